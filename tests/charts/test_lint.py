"""What helm lint says of each chart, with each of its files of values."""

import re
import unittest

from harness import build, charts
from harness.charts import CHARTS, HELMS

NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))


class Lint(unittest.TestCase):
    def assert_clean(self, program, *arguments):
        ended = charts.run("lint", "--strict", *arguments, program=program)

        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertNotRegex(ended.stdout + ended.stderr, "WARNING|ERROR")

    def test_a_chart_as_it_comes_is_clean(self):
        for program in HELMS:
            for name in NAMES:
                with self.subTest(name, program=program):
                    self.assert_clean(program, CHARTS / name)

    def test_so_is_one_with_each_of_its_files_of_values(self):
        for program in HELMS:
            for path in sorted(CHARTS.glob("*/ci/*-values.yaml")):
                with self.subTest(str(path.relative_to(CHARTS)), program=program):
                    self.assert_clean(program, path.parents[1], "--values", path)


class Metadata(unittest.TestCase):
    def test_charts_are_for_the_programs_of_this_tree(self):
        project = (build.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
        (version,) = re.findall(r"^project\(tracehop VERSION ([0-9.]+)", project, re.MULTILINE)

        for name in NAMES:
            with self.subTest(name):
                chart = charts.load(CHARTS / name / "Chart.yaml")
                self.assertEqual(chart["apiVersion"], "v2")
                self.assertEqual(chart["appVersion"], version)
                self.assertNotIn("dependencies", chart)

    def test_providers_versions_of_kubernetes_are_taken_and_old_ones_are_not(self):
        for name in NAMES:
            for program in HELMS:
                with self.subTest(name, program=program):
                    charts.text(name, kubernetes="1.29.4-gke.1000", program=program)
                    with self.assertRaisesRegex(AssertionError, "kubeVersion"):
                        charts.text(name, kubernetes="1.28.0", program=program)
