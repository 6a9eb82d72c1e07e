"""What the charts hop and collector give a cluster, compared with tests/charts/golden;
UPDATE_GOLDEN=1 writes these anew.
"""

import collections
import os
import pathlib
import unittest

import yaml

from harness import charts

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"

class Release(collections.namedtuple("Release", "chart name values_name")):
    """One of a chart, with a file of the values it is checked with."""

    def __str__(self):
        return f"{self.chart}-{self.values_name}"

    @property
    def values(self):
        return charts.ci_values(self.chart)[self.values_name]

    def text(self, **how):
        return charts.text(self.chart, self.name, self.values, **how)

    def objects(self, **how):
        return charts.objects(self.chart, self.name, self.values, **how)


# The first four are the lesson's.
RELEASES = (
    Release("hop", "frontend", "frontend"),
    Release("hop", "middleware-prod", "middleware-prod"),
    Release("hop", "middleware-canary", "middleware-canary"),
    Release("hop", "backend", "backend"),
    Release("hop", "clock", "clock"),
    Release("hop", "checkout-v2", "everything"),
    Release("hop", "frontend-canary", "nothing"),
    Release("collector", "collector", "memory"),
    Release("collector", "collector", "journal"),
    Release("collector", "collector", "no-volume"),
    Release("collector", "traces", "everything"),
)


def holes(value, path=""):
    """Where a render says nothing: null, and empty maps, lists and texts."""
    if value in (None, {}, [], ""):
        yield path
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from holes(member, f"{path}/{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from holes(item, f"{path}/{index}")


class Render(unittest.TestCase):
    maxDiff = None

    def test_every_release_is_as_it_was(self):
        for release in RELEASES:
            with self.subTest(str(release)):
                golden = GOLDEN / f"{release}.yaml"
                rendered = release.text()
                if os.environ.get("UPDATE_GOLDEN") == "1":
                    golden.write_text(rendered, encoding="utf-8")

                self.assertEqual(rendered, golden.read_text(encoding="utf-8"))

    def test_each_file_of_values_has_its_release(self):
        for chart in ("hop", "collector"):
            rendered = {release.values_name for release in RELEASES if release.chart == chart}

            self.assertEqual(set(charts.ci_values(chart)), rendered)

    def test_helm_3_renders_the_same(self):
        for release in RELEASES:
            with self.subTest(str(release)):
                self.assertEqual(release.objects(program="helm3"), release.objects())

    def test_a_chart_as_it_comes_renders(self):
        for program in charts.HELMS:
            for chart in ("hop", "collector"):
                with self.subTest(chart, program=program):
                    self.assertTrue(charts.objects(chart, program=program))

    def test_nothing_is_rendered_empty(self):
        for release in RELEASES:
            with self.subTest(str(release)):
                for one in release.objects():
                    # There, {} is every namespace.
                    found = [hole for hole in holes(one) if not hole.endswith("/namespaceSelector")]
                    self.assertEqual(found, [], one["metadata"]["name"])

    def test_the_same_values_render_the_same_text(self):
        for release in RELEASES:
            with self.subTest(str(release)):
                self.assertEqual(release.text(), release.text())

    def test_no_line_ends_with_spaces_and_no_key_comes_twice(self):
        for release in RELEASES:
            with self.subTest(str(release)):
                text = release.text()

                self.assertNotRegex(text, r"[ \t]\n")
                self.assertTrue(list(yaml.load_all(text, Loader=StrictLoader)))

    def test_labels_of_the_user_s_are_on_every_object_and_pod(self):
        for chart in ("hop", "collector"):
            found = charts.objects(chart, values=charts.ci_values(chart)["everything"])

            for one in [*found, charts.workload(found)["spec"]["template"]]:
                self.assertEqual(one["metadata"]["labels"]["team"], "a")
                self.assertEqual(one["metadata"]["annotations"]["example.com/contact"], "team-a")


class StrictLoader(yaml.SafeLoader):
    """Takes no key twice."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key) for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise AssertionError(f"{twice} twice, {node.start_mark}")
        return super().construct_mapping(node, deep)
