"""The whole lesson in a real API server that enforces the pod security standard `restricted`, and
knows the kinds of Istio, of the Gateway API and of the Prometheus operator.
"""

import concurrent.futures
import json
import pathlib
import unittest

import yaml

from harness import build, charts, mesh_chart
from harness.cluster import Cluster, gateway_definitions, istio_definitions
from harness.mesh_chart import NAMESPACE, STEPS
from harness.namespace import Namespace
from harness.wait import eventually

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
PROMETHEUS = build.ROOT / (
    ".tools/sources/prometheus-operator/example/prometheus-operator-crd/"
    "monitoring.coreos.com_servicemonitors.yaml"
)
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
HOPS = ("backend-prod", "middleware-prod", "middleware-canary", "frontend-prod")
MESH_KINDS = (
    "gateways.networking.istio.io,virtualservices,sidecars.networking.istio.io,serviceentries,"
    "destinationrules,peerauthentications,authorizationpolicies,telemetries"
)


def setUpModule():
    global cluster
    cluster = unittest.enterModuleContext(Cluster())
    cluster.apply_files(*istio_definitions(), *gateway_definitions(), PROMETHEUS)
    Namespace(cluster, "istio-system")


def dry_run(*words, text=""):
    """What the cluster would say of them, and not do."""
    command = ("apply", "--server-side", "--dry-run=server", *words)
    return cluster.run("kubectl", *command, text_in=text, check=False)


class Lesson(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.outside = Namespace(cluster, "outside", RESTRICTED)
        cls.chain = Namespace(cluster, "chain", RESTRICTED)
        cls.chain.install("collector", "collector", relayTo=["grpc://jaeger:4317"], replicas=2)
        cls.outside.install("clock", role="clock")
        for name in HOPS:
            role, _, version = name.partition("-")
            cls.chain.install(name, role=role, version=version)

    def test_all_pods_are_let_in_and_run(self):
        pods = {**self.chain.pods(), **self.outside.pods()}

        self.assertEqual({pod["status"]["phase"] for pod in pods.values()}, {"Running"})
        self.assertEqual(
            sorted(pod["metadata"]["labels"]["app"] for pod in pods.values()),
            ["backend", "clock", "collector", "collector", "frontend", "middleware", "middleware"],
        )

    def test_one_that_wants_more_than_it_may_is_not(self):
        for section, field, value in (
            ("podSecurityContext", "runAsNonRoot", False),
            ("podSecurityContext", "seccompProfile", None),
            ("securityContext", "allowPrivilegeEscalation", True),
            ("securityContext", "capabilities", None),
        ):
            with self.subTest(field):
                said = self.refusal_of_test_pod({section: {field: value}})

                self.assertIn('violates PodSecurity "restricted', said)
                self.assertIn(field, said)

    def refusal_of_test_pod(self, values):
        """The pods of `helm test` have the same contexts as all others."""
        pod, *_ = charts.test_pods(charts.objects("hop", values={"role": "backend", **values}))
        ended = dry_run("--namespace", self.chain.name, "--filename=-", text=json.dumps(pod))
        self.assertNotEqual(ended.returncode, 0)
        return ended.stderr

    def test_the_pods_of_helm_test_are_let_in_and_go_when_they_succeed(self):
        for release, count in (("frontend-prod", 2), ("collector", 1)):
            with self.subTest(release), concurrent.futures.ThreadPoolExecutor() as pool:
                told = pool.submit(self.chain.helm, "test", release, "--timeout", "30s")
                self.let_tests_succeed(told)

                self.assertEqual(told.result().count("Phase:          Succeeded"), count)
                self.assertEqual(self.pods_of_tests(), {})

    def pods_of_tests(self):
        return self.chain.pods(**{"app.kubernetes.io/component": "test"})

    def let_tests_succeed(self, told):
        """kwok runs pods, and ends none but those of Jobs."""
        status = '--patch={"status": {"phase": "Succeeded"}}'

        def let_succeed():
            for name, pod in self.pods_of_tests().items():
                if pod["status"]["phase"] == "Running":
                    words = ("pod", name, "--namespace", self.chain.name, "--subresource=status")
                    cluster.kubectl("patch", *words, status)
            return told.done()

        eventually(let_succeed, "helm test ends")

    def test_journals_outlive_their_release(self):
        before = self.volumes()
        self.assertEqual(set(before), {"journal-collector-0", "journal-collector-1"})

        values = {"relayTo": ["grpc://jaeger:4317"], "replicas": 2}
        self.chain.uninstall("collector")
        self.assertEqual(self.volumes(), before)
        self.chain.install("collector", "collector", **values)
        self.assertEqual(self.volumes(), before)

    def volumes(self):
        """Of each claim: the volume that it is bound to."""
        claims = self.chain.all("persistentvolumeclaims")
        self.assertEqual({one["status"]["phase"] for one in claims.values()}, {"Bound"})
        return {name: one["spec"]["volumeName"] for name, one in claims.items()}

    def test_the_mesh_goes_up_step_by_step_and_back(self):
        held = []
        for step in STEPS:
            held.append(self.go_to(step))
        self.assertEqual(len({json.dumps(rules) for rules in held}), len(STEPS))

        for revision in (4, 1):
            self.chain.helm("rollback", "mesh", str(revision), "--wait")
            self.assertEqual(self.rules(), held[revision - 1])

        self.chain.uninstall("mesh")
        self.assertEqual(self.rules(), {})

    def go_to(self, step):
        values = ("--reset-then-reuse-values", "--set", f"step={step}")
        self.chain.helm("upgrade", "mesh", charts.CHARTS / "mesh", "--install", *values)
        return self.rules()

    def rules(self):
        """Of the mesh, as the cluster has them."""
        found = self.chain.list(MESH_KINDS)
        return {f"{one['kind']} {one['metadata']['name']}": one["spec"] for one in found}


class Accepted(unittest.TestCase):
    """By the cluster, which also warns of workloads that are not restricted enough."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.restricted = Namespace(cluster, NAMESPACE, RESTRICTED)
        cls.open = Namespace(cluster, "open")

    def accepted_kinds(self, paths, *words):
        """As kubectl calls them: {"service", "deployment.apps", ...}."""
        ended = dry_run(*words, *(f"--filename={path}" for path in paths))

        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return {line.partition("/")[0] for line in ended.stdout.splitlines()}

    def test_every_combination_of_the_mesh(self):
        paths = sorted(GOLDEN.glob("mesh-*.yaml"))
        self.assertEqual(len(paths), len(mesh_chart.COMBINATIONS))

        self.assertLess(
            {
                "authorizationpolicy.security.istio.io",
                "gateway.gateway.networking.k8s.io",
                "gateway.networking.istio.io",
                "grpcroute.gateway.networking.k8s.io",
                "httproute.gateway.networking.k8s.io",
                "virtualservice.networking.istio.io",
            },
            self.accepted_kinds(paths),
        )

    def test_every_render_of_the_hops_and_the_collector(self):
        paths = {path for chart in ("hop", "collector") for path in GOLDEN.glob(f"{chart}-*.yaml")}
        bare = {GOLDEN / "hop-nothing.yaml"}
        self.make_accounts(self.restricted, paths - bare)
        self.make_accounts(self.open, bare)

        self.accepted_kinds(bare, "--namespace", self.open.name)
        self.assertLess(
            {
                "horizontalpodautoscaler.autoscaling",
                "networkpolicy.networking.k8s.io",
                "pod",
                "poddisruptionbudget.policy",
                "servicemonitor.monitoring.coreos.com",
                "statefulset.apps",
            },
            self.accepted_kinds(paths - bare, "--namespace", self.restricted.name),
        )

    def make_accounts(self, namespace, paths):
        """No pod, not even one that only might be, is accepted without its ServiceAccount."""
        found = [one for path in paths for one in yaml.safe_load_all(path.read_text("utf-8"))]
        names = {pod["spec"]["serviceAccountName"] for pod in charts.test_pods(found)}
        for name in names:
            cluster.kubectl("create", "--namespace", namespace.name, "serviceaccount", name)

    def test_what_is_wrong_is_not(self):
        for kind, step, api, old, new, reason in (
            ("VirtualService", "retry", "istio", "Timeout: 2s", "Timeout: soon", "valid duration"),
            ("VirtualService", "retry", "istio", "attempts:", "attempt:", "field not declared"),
            ("ServiceEntry", "egress", "istio", "number: 8080", "number: 80800", "1-65535"),
            ("Sidecar", "ingress", "istio", "REGISTRY_ONLY", "REGISTRY", "Unsupported value"),
            ("HTTPRoute", "ingress", "gateway", "port: 8080", "weight: 1", "Must have port"),
        ):
            with self.subTest(new):
                rendered = mesh_chart.objects({"step": step, "api": api})
                text = yaml.safe_dump(next(one for one in rendered if one["kind"] == kind))
                self.assertIn(old, text)

                ended = dry_run("--filename=-", text=text.replace(old, new))
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(reason, ended.stderr)

    def test_the_steps_apply_as_they_are(self):
        folder = charts.CHARTS / "mesh/steps"
        cluster.kubectl("apply", "--namespace", self.open.name, f"--filename={folder}")

        canary, prod = self.open.get("virtualservice", "middleware")["spec"]["http"]
        self.assertEqual(canary["match"], [{"headers": {"x-dev-user": {"exact": "super-secret"}}}])
        self.assertNotIn("match", prod)
