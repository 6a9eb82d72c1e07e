"""Whether what the charts render is what Kubernetes, Istio, the Gateway API and the Prometheus
operator take, by the schemas that they publish.
"""

import json
import pathlib
import subprocess
import tempfile
import unittest

import yaml

from harness import build, kube_schemas

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"


def conform(folder, *files):
    """(file, kind, name) -> what is wrong with it, or ""."""
    ended = subprocess.run(
        [
            build.tool("kubeconform"), "-strict", "-verbose", "-output", "json",
            "-schema-location", f"{folder}/{kube_schemas.LOCATION}", *files,
        ],
        capture_output=True, text=True, check=False,
    )
    if not ended.stdout:
        raise AssertionError(ended.stderr)
    return {
        (pathlib.Path(one["filename"]).name, one["kind"], one["name"]): one["msg"]
        for one in json.loads(ended.stdout)["resources"]
        if one["status"] != "statusEmpty"
    }


class Conform(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.files = sorted(GOLDEN.glob("*.yaml"))
        cls.found = {
            path.name: [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
            for path in cls.files
        }
        cls.folder = pathlib.Path(
            cls.enterClassContext(tempfile.TemporaryDirectory(prefix="tracehop-schemas-"))
        )
        kinds = {kube_schemas.kind_of(one) for found in cls.found.values() for one in found}
        kube_schemas.write_schemas(cls.folder, kinds)

    def test_every_golden_render_is_what_a_cluster_takes(self):
        complaints = conform(self.folder, *self.files)

        self.assertEqual({name: said for name, said in complaints.items() if said}, {})
        self.assertEqual(set(complaints), {
            (name, one["kind"], one["metadata"]["name"])
            for name, found in self.found.items() for one in found
        })

    def assert_complaint(self, one, named):
        bad = self.folder / "bad.yaml"
        bad.write_text(yaml.safe_dump(one), encoding="utf-8")
        (said,) = conform(self.folder, bad).values()

        self.assertIn(named, said)

    def one(self, golden, kind):
        found = next(one for one in self.found[golden] if one["kind"] == kind)
        return yaml.safe_load(yaml.safe_dump(found))

    def test_a_field_that_nobody_knows_is_found(self):
        deployment = self.one("hop-frontend.yaml", "Deployment")
        deployment["spec"]["template"]["spec"]["containers"][0]["portz"] = []

        self.assert_complaint(deployment, "portz")

    def test_so_is_one_of_a_custom_resource_and_of_what_all_have(self):
        monitor = self.one("hop-everything.yaml", "ServiceMonitor")
        monitor["spec"]["endpoints"][0]["prot"] = "http-admin"
        service = self.one("hop-frontend.yaml", "Service")
        service["metadata"]["label"] = {}

        self.assert_complaint(monitor, "prot")
        self.assert_complaint(service, "label")

    def test_so_is_a_value_of_another_type(self):
        scaler = self.one("hop-everything.yaml", "HorizontalPodAutoscaler")
        scaler["spec"]["minReplicas"] = "2"

        self.assert_complaint(scaler, "minReplicas")
