"""The tables of values in the charts' READMEs."""

import subprocess
import unittest

from harness import build, charts
from harness.charts import CHARTS


class Docs(unittest.TestCase):
    def test_they_are_what_values_yaml_says(self):
        command = [build.ROOT / "scripts/chart-docs", "--check"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)

        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_every_value_can_be_found_in_them(self):
        for chart in ("hop", "collector"):
            readme = (CHARTS / chart / "README.md").read_text(encoding="utf-8")
            for name, value in charts.load(CHARTS / chart / "values.yaml").items():
                with self.subTest(f"{chart} {name}"):
                    rows = [f"\n| `{name}` | "]
                    if isinstance(value, dict):
                        rows += [f"\n| `{name}.{member}` | " for member in value]
                    self.assertTrue(any(row in readme for row in rows))
