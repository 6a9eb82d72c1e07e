"""What istioctl says of the charts: `validate` of each resource by itself, `analyze` of all together.

The analyzers that look at pods and Services read them from a cluster only, so there is a real API
server. No pod runs: each is written down as Kubernetes and Istio would make it.
"""

import json
import subprocess
import unittest

from harness import build, charts, mesh_chart
from harness.api_server import ApiServer, list_of
from harness.cluster import gateway_definitions, istio_definitions
from harness.mesh_chart import APIS, COMBINATIONS, NAMESPACE, STEPS


HOPS = (("frontend", "prod"), ("middleware", "prod"), ("middleware", "canary"), ("backend", "prod"))
OUTSIDE = "outside"

PROXY = {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.31.0"}
NOT_IN_THE_MESH = {"istio-injection": "disabled"}
IN_THE_MESH = {
    "sidecar": {"istio-injection": "enabled"},
    "ambient": {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "waypoint"},
}


def namespace(name, labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(name, metadata, spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": f"{name}-0"},
        "spec": spec,
    }


def pods_of(objects):
    """What a cluster makes of workloads."""
    return [
        pod(found["metadata"]["name"], **found["spec"]["template"])
        for found in objects
        if found["kind"] in ("Deployment", "StatefulSet")
    ]


def with_sidecar(one):
    """A pod as Istio's webhook changes it."""
    sidecars = [*one["spec"].get("initContainers", ()), {**PROXY, "restartPolicy": "Always"}]
    return {**one, "spec": {**one["spec"], "initContainers": sidecars}}


def redirected(one):
    """A pod as Istio's node agent marks it, once its traffic goes through ztunnel."""
    annotations = one["metadata"].get("annotations", {})
    mark = {"ambient.istio.io/redirection": "enabled"}
    return {**one, "metadata": {**one["metadata"], "annotations": {**annotations, **mark}}}


ENROLLED = {"sidecar": with_sidecar, "ambient": redirected}


def ingress_gateway():
    """What Istio's own chart makes, as far as it matters here."""
    labels = {"istio": "ingressgateway"}
    port = {"name": "http2", "port": 80, "targetPort": 80}
    return [
        pod("ingressgateway", {"labels": labels}, {"containers": [PROXY]}),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "ingressgateway"},
            "spec": {"selector": labels, "ports": [port]},
        },
    ]


def placed(objects, name):
    """In that namespace."""
    return [{**one, "metadata": {**one["metadata"], "namespace": name}} for one in objects]


def release(chart, **values):
    found = charts.objects(chart, values=values)
    return [one for one in found if "helm.sh/hook" not in one["metadata"].get("annotations", ())]


def mesh_config(values):
    """As the notes of the chart tell an operator to write it."""
    return mesh_chart.notes(values).partition("\nmeshConfig:\n")[2].partition("\n\n")[0]


def validate(text):
    return subprocess.run(
        [build.tool("istioctl"), "validate", "-f", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


class Validate(unittest.TestCase):
    def test_each_resource_is_valid(self):
        for combination in COMBINATIONS:
            with self.subTest(combination):
                step, api, dataplane = combination
                rendered = mesh_chart.text({"step": step, "api": api, "dataplane": dataplane})

                ended = validate(rendered)
                self.assertEqual(ended.returncode, 0, ended.stderr)
                self.assertNotRegex(ended.stdout + ended.stderr, "(?i)warning|unknown field")

    def test_a_bad_one_is_not(self):
        rendered = mesh_chart.text({"step": "retry"}).replace("attempts: 3", "attempts: -3")

        ended = validate(rendered)
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("attempts", ended.stderr)


class Objects(ApiServer):
    """Nobody makes service accounts here, and nobody takes part in the cluster's own Service."""

    options = ("--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none")


class Analyze:
    """Of a whole namespace, on one data plane."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Objects())
        cls.server.apply_files(*istio_definitions(), *gateway_definitions())
        cls.make_namespaces()
        cls.install_hops()

    @classmethod
    def make_namespaces(cls):
        others = [namespace(name, NOT_IN_THE_MESH) for name in (OUTSIDE, "default")]
        mesh = namespace(NAMESPACE, IN_THE_MESH[cls.dataplane])
        cls.server.apply(list_of([mesh, namespace("istio-system", {}), *others]))

    @classmethod
    def install_hops(cls):
        hops = [
            found
            for role, version in HOPS
            for found in release("hop", role=role, version=version)
        ]
        inside = [*hops, *release("collector")]
        pods = [ENROLLED[cls.dataplane](one) for one in pods_of(inside)]
        clock = release("hop", role="clock")
        everything = [
            *placed([*inside, *pods], NAMESPACE),
            *placed([*clock, *pods_of(clock)], OUTSIDE),
            *placed(ingress_gateway(), "istio-system"),
        ]
        cls.server.apply(list_of(everything))

    def analyze(self, **values):
        """The messages of all analyzers while this release of the mesh chart is there."""
        values = {"dataplane": self.dataplane, **values}
        found = list_of(mesh_chart.objects(values))
        self.server.apply(found)
        try:
            config = self.server.write("mesh.yaml", mesh_config(values))
            told = ("--output=json", "--meshConfigFile", config)
            # It also fails when it has something to say.
            ended = self.server.run("istioctl", "analyze", "-A", *told, check=False)
        finally:
            self.server.delete(found)
        return [(one["code"], one["origin"]) for one in json.loads(ended.stdout) or ()]

    def test_at_each_step_there_is_nothing_to_say(self):
        for api in APIS:
            for step in STEPS:
                with self.subTest(api=api, step=step):
                    self.assertEqual(self.analyze(api=api, step=step), [])

    def test_there_is_when_something_is_missing(self):
        missing = {"gateway.selector.istio": "nobody"}

        self.assertIn(
            ("IST0101", f"Gateway {NAMESPACE}/gateway"), self.analyze(step="prod", **missing)
        )

    def test_a_field_that_the_cluster_does_not_know_is_refused(self):
        with self.assertRaisesRegex(AssertionError, 'unknown field "retry"'):
            self.analyze(api="gateway", step="retry", **{"gatewayApi.retry": "true"})


class Sidecars(Analyze, unittest.TestCase):
    dataplane = "sidecar"


class Ambient(Analyze, unittest.TestCase):
    dataplane = "ambient"
