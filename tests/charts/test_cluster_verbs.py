"""What scripts/cluster and scripts/step do with a real API server, and say when there is none."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import build
from harness.cluster import Cluster, gateway_definitions, istio_definitions
from harness.namespace import Namespace
from harness.network import free_ranges
from local.settings import Settings

CLUSTER, STEP = "scripts/cluster", "scripts/step"
STEPS = ("ingress", "egress", "prod", "retry", "canary")
RELEASES = {"collector", "backend-prod", "middleware-prod", "middleware-canary", "frontend-prod"}
RULES = "gateways.networking.istio.io,virtualservices,destinationrules,serviceentries"
# Ends deploy at its first release.
REFUSED_AT_ONCE = {"COLLECTOR_ARGS": "--set replicas=-1"}
GATEWAY = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "ingress", "namespace": "istio-system", "labels": {"istio": "ingressgateway"},
    },
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
}  # fmt: skip


def setUpModule():
    global cluster
    cluster = unittest.enterModuleContext(Cluster())
    cluster.apply_files(*istio_definitions(), *gateway_definitions())
    Namespace(cluster, "istio-system")


def run(script, verb, root=build.ROOT, **environment):
    """Where no demo runs, unless the environment says otherwise."""
    tools = build.tool("helm").parent
    return subprocess.run(
        [root / script, verb],
        env={
            **cluster.environment,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "DEMO_STATE": f"{cluster.folder}/no-demo",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def must(script, verb, **environment):
    """What it says."""
    ended = run(script, verb, **environment)
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout


def refusal(script, verb, **environment):
    """What it says when it fails, as it has to; never with a traceback."""
    ended = run(script, verb, **environment)
    if ended.returncode == 0 or "Traceback" in ended.stderr:
        raise AssertionError(ended.stdout + ended.stderr)
    return ended.stderr


def kubeconfig_of_nobody():
    """It leads to a port where nobody listens."""
    (port,) = free_ranges(1, 1)
    path = cluster.folder / "kubeconfig-of-nobody"
    text = cluster.kubeconfig.read_text(encoding="ascii")
    path.write_text(text.replace(f":{cluster.port}", f":{port}"), encoding="ascii")
    return str(path)


class Chain(unittest.TestCase):
    """All of it, in one namespace."""

    RELAY = {"RELAY_TO": "grpc://jaeger:4317"}

    @classmethod
    def setUpClass(cls):
        cls.namespace = Namespace(cluster, "chain")
        cls.outside = Namespace(cluster, "outside")
        cls.said = cls.must("deploy", **cls.RELAY)

    @classmethod
    def must(cls, verb, script=CLUSTER, **environment):
        return must(script, verb, NAMESPACE=cls.namespace.name, **environment)

    def refusal(self, verb, **environment):
        return refusal(CLUSTER, verb, NAMESPACE=self.namespace.name, **environment)

    def releases(self, namespace):
        return set(namespace.helm("list", "--short").split())

    def marked_step(self):
        """Which one scripts/step marks, without being told where the chain runs."""
        lines = self.must("step", script=STEP).splitlines()
        self.assertEqual(lines[0], f"Where   the cluster tests, namespace {self.namespace.name}")
        return [line.split()[1] for line in lines if line.startswith("> ")]

    def test_deploy_makes_a_release_of_each_version_and_role(self):
        self.assertEqual(self.releases(self.namespace) - {"mesh"}, RELEASES)
        self.assertEqual(self.releases(self.outside), {"clock"})
        for name in RELEASES:
            self.assertIn(f"Done    {name} in chain\n", self.said)
        self.assertIn("Done    clock in outside\n", self.said)
        self.assertTrue(self.said.endswith("Next    make ingress\n"), self.said)

    def test_deploy_tells_istio_which_pods_get_a_sidecar_and_the_collector_whom_to_relay_to(self):
        labels = self.namespace.get("namespace", "chain")["metadata"]["labels"]
        self.assertEqual(labels["istio-injection"], "enabled")
        settings = self.namespace.get("configmap", "collector")["data"]
        self.assertEqual(settings["RELAY_TO"], "grpc://jaeger:4317")

    def test_deploy_again_changes_the_image_and_nothing_else(self):
        self.must("deploy", IMAGE="registry.example:5000/team/tracehop:0.1.1", **self.RELAY)

        images = {
            container["image"]
            for namespace in (self.namespace, self.outside)
            for pod in namespace.pods().values()
            for container in pod["spec"]["containers"]
        }
        self.assertEqual(images, {"registry.example:5000/team/tracehop:0.1.1"})
        self.assertEqual(self.releases(self.namespace) - {"mesh"}, RELEASES)

    def test_get_shows_all_of_it_and_the_step(self):
        shown = self.must("get")

        for name in (*RELEASES, "clock", "pod/clock-prod-", "service/middleware ", "> start"):
            self.assertIn(name, shown)

    def test_steps_go_up_and_down_and_say_where(self):
        self.addCleanup(self.must, "reset")
        self.assertEqual(self.marked_step(), ["start"])
        for number, step in enumerate(STEPS, 1):
            told = self.must(step, script=STEP)
            self.assertIn(f"Step {number} of 5: {step} (", told)
            self.assertIn("Where   the cluster tests, namespace chain\n", told)

        self.assertEqual(self.marked_step(), ["canary"])
        self.assertIn("Changed nothing: it was made already\n", self.must("canary"))
        self.assertIn("- VirtualService middleware, backend\n", self.must("egress"))
        self.assertEqual(self.marked_step(), ["egress"])
        self.must("reset", script=STEP)
        self.assertEqual(self.marked_step(), ["start"])
        self.assertIsNone(self.namespace.get(RULES))

    def test_a_step_that_fails_leaves_the_one_before(self):
        self.addCleanup(self.must, "reset")
        self.must("egress")
        before = set(self.namespace.all(RULES))

        said = self.refusal("canary", MESH_ARGS="--set gateway.namespace=nowhere")
        self.assertIn('namespaces "nowhere" not found', said)
        self.assertIn("cluster: helm failed: ", said)
        self.assertEqual(self.marked_step(), ["egress"])
        self.assertEqual(set(self.namespace.all(RULES)), before)

    def test_steps_say_how_to_reach_the_gateway(self):
        self.addCleanup(self.must, "reset")
        told = self.must("ingress")
        self.assertIn("Reach   no gateway: there is no service with istio=ingressgateway", told)

        cluster.apply(GATEWAY)
        self.addCleanup(cluster.kubectl, "delete", "service", "-n", "istio-system", "ingress")
        told = self.must("ingress")
        self.assertIn("--namespace istio-system service/ingress 8080:80 &\n", told)
        self.assertIn("Try     curl localhost:8080/\n", told)

        given = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
        service = ("service", "ingress", "--namespace=istio-system", "--subresource=status")
        cluster.kubectl("patch", *service, f"--patch={json.dumps(given)}")
        self.assertIn("Try     curl 192.0.2.7/\n", self.must("ingress"))


class Delete(unittest.TestCase):
    def test_it_takes_all_of_it_and_is_fine_when_there_is_nothing(self):
        namespace = Namespace(cluster, "shortlived")
        names = {"NAMESPACE": namespace.name}
        must(CLUSTER, "deploy", **names)
        must(CLUSTER, "ingress", **names)

        for _ in range(2):
            told = must(CLUSTER, "delete", **names)
            self.assertIn("Left    the namespaces shortlived and outside", told)
            self.assertEqual(namespace.helm("list", "--short"), "")
        kinds = f"deployments,services,configmaps,pods,{RULES}"
        self.assertEqual(set(namespace.all(kinds)), {"kube-root-ca.crt"})


class Dataplane(unittest.TestCase):
    def labels(self, name):
        found = cluster.get("namespace", name)["metadata"]["labels"]
        return {label: value for label, value in found.items() if label.startswith("istio")}

    def test_a_namespace_may_be_for_ambient_and_steps_follow_it(self):
        refusal(CLUSTER, "deploy", NAMESPACE="ambient", DATAPLANE="ambient", **REFUSED_AT_ONCE)
        self.assertEqual(
            self.labels("ambient"),
            {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "waypoint"},
        )

        must(CLUSTER, "ingress", NAMESPACE="ambient")
        gateways = cluster.get("gateways.gateway.networking.k8s.io", "--namespace=ambient")
        (waypoint,) = gateways["items"]
        self.assertEqual(waypoint["metadata"]["name"], "waypoint")

    def test_what_a_namespace_says_to_istio_already_holds(self):
        Namespace(cluster, "revised", {"istio.io/rev": "stable"})
        refusal(CLUSTER, "deploy", NAMESPACE="revised", **REFUSED_AT_ONCE)

        self.assertEqual(self.labels("revised"), {"istio.io/rev": "stable"})

    def test_another_one_is_refused(self):
        said = refusal(CLUSTER, "deploy", NAMESPACE="revised", DATAPLANE="magic")

        self.assertEqual(said, "cluster: DATAPLANE=magic: it is one of sidecar, ambient\n")


class Target(unittest.TestCase):
    """Which place a step is made in."""

    def test_the_demo_on_this_machine_wins(self):
        with tempfile.TemporaryDirectory() as state:
            settings = dataclasses.asdict(Settings.from_environment(mesh="none"))
            pathlib.Path(state, "settings.json").write_text(json.dumps(settings), encoding="ascii")
            said = refusal(STEP, "retry", NAMESPACE="chain", DEMO_STATE=state)

        self.assertEqual(said, "demo: the demo runs without a mesh, so there are no steps\n")

    def test_it_can_be_said(self):
        self.assertIn("no demo runs", refusal(STEP, "step", TARGET="local"))
        self.assertIn("Where   the cluster tests", must(STEP, "step", TARGET="cluster"))
        said = refusal(STEP, "step", TARGET="moon")
        self.assertEqual(said, "step: TARGET=moon: it is local or cluster\n")

    def test_without_a_chain_anywhere_both_ways_to_one_are_told(self):
        for environment in ({"NAMESPACE": "nobody"}, {"KUBECONFIG": kubeconfig_of_nobody()}):
            said = refusal(STEP, "step", **environment)

            self.assertIn("make demo", said)
            self.assertIn("make deploy", said)


class Failures(unittest.TestCase):
    def test_without_a_cluster_no_verb_pretends_that_it_is_empty(self):
        for verb in ("deploy", "get", "monitoring", "delete", "step", "reset", "retry"):
            with self.subTest(verb):
                said = refusal(CLUSTER, verb, KUBECONFIG=kubeconfig_of_nobody())

                self.assertRegex(said, "^cluster: no cluster answers: .*was refused")

    def test_without_helm_it_is_told_how_to_get_one(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            shutil.copytree(build.ROOT / "scripts", root / "scripts")
            said = refusal(CLUSTER, "deploy", root=root, PATH=folder)

        self.assertEqual(
            said,
            "cluster: no helm, neither on PATH nor in .tools/bin: scripts/get helm builds it\n",
        )

    def test_a_value_that_a_chart_refuses_ends_it(self):
        said = refusal(CLUSTER, "deploy", NAMESPACE="refused", **REFUSED_AT_ONCE)

        self.assertIn("at '/replicas': minimum: got -1", said)
        self.assertIn("cluster: helm failed: ", said)
        self.assertIn("--set replicas=-1", said.splitlines()[-1])

    def test_pods_that_the_cluster_does_not_let_in_end_it_and_it_says_why(self):
        Namespace(cluster, "strict", {"pod-security.kubernetes.io/enforce": "restricted"})
        bad = "--set podSecurityContext=null --timeout 3s"
        said = refusal(CLUSTER, "deploy", NAMESPACE="strict", COLLECTOR_ARGS=bad)

        self.assertIn("is forbidden: violates PodSecurity", said)
        self.assertIn("cluster: helm failed: ", said)

    def test_helm_3_will_do(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
            os.symlink(build.tool("helm3"), f"{folder}/helm")
            cleanup.callback(Namespace(cluster, "old").uninstall, "mesh", program="helm3")
            old = {"NAMESPACE": "old", "PATH": f"{folder}:{build.tool('kubectl').parent}"}

            self.assertIn("Step 3 of 5: prod", must(CLUSTER, "prod", **old))
            refusal(CLUSTER, "canary", MESH_ARGS="--set gateway.namespace=nowhere", **old)
            self.assertIn("> prod", must(CLUSTER, "step", **old))
