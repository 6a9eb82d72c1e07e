"""What a release of the chart hop is: alone, and beside other versions of its role."""

import pathlib
import re
import shutil
import tempfile
import unittest

from harness import charts
from harness.charts import CHARTS, container, of_kind, selects, test_pods, the, workload
from harness.programs import run_server
from harness.upstreams import RefusingUpstream

PROD = {"role": "middleware"}
CANARY = {"role": "middleware", "version": "canary"}

# What comes from the pod itself, and is no setting.
OF_THE_POD = {"POD_NAME", "POD_NAMESPACE", "NODE_NAME"}


def hop(values, release="release", **how):
    return charts.objects("hop", release, values, **how)


def selector(found):
    return workload(found)["spec"]["selector"]["matchLabels"]


def pod_labels(found):
    return workload(found)["spec"]["template"]["metadata"]["labels"]


def settings(found):
    return the(found, "ConfigMap")["data"]


def annotations(found):
    return workload(found)["spec"]["template"]["metadata"]["annotations"]


class Versions(unittest.TestCase):
    """Two releases of one role."""

    def setUp(self):
        self.prod = hop(PROD, "middleware-prod")
        self.canary = hop(CANARY, "middleware-canary")

    def test_what_all_versions_share_belongs_to_prod(self):
        services = [list(of_kind(found, "Service")) for found in (self.prod, self.canary)]

        self.assertEqual(services, [["middleware", "middleware-prod"], ["middleware-canary"]])
        self.assertEqual(list(of_kind(self.prod, "ServiceAccount")), ["middleware"])
        self.assertEqual(list(of_kind(self.canary, "ServiceAccount")), [])

    def test_another_release_may_be_said_to_own_it(self):
        for values, owns in (({**PROD, "shared": {"create": False}}, False),
                             ({**CANARY, "shared": {"create": True}}, True)):
            with self.subTest(values):
                found = hop(values)
                self.assertEqual("middleware" in of_kind(found, "Service"), owns)
                self.assertEqual("middleware" in of_kind(found, "ServiceAccount"), owns)

    def test_the_role_s_service_finds_both_and_each_version_s_its_own(self):
        services = {**of_kind(self.prod, "Service"), **of_kind(self.canary, "Service")}
        pods = {"prod": pod_labels(self.prod), "canary": pod_labels(self.canary)}
        finds = {
            name: [version for version, labels in pods.items()
                   if selects(service["spec"]["selector"], labels)]
            for name, service in services.items()
        }

        self.assertEqual(finds, {
            "middleware": ["prod", "canary"],
            "middleware-prod": ["prod"],
            "middleware-canary": ["canary"],
        })

    def test_no_deployment_takes_the_other_s_pods(self):
        self.assertTrue(selects(selector(self.prod), pod_labels(self.prod)))
        self.assertFalse(selects(selector(self.prod), pod_labels(self.canary)))
        self.assertFalse(selects(selector(self.canary), pod_labels(self.prod)))

    def test_no_object_belongs_to_both(self):
        names = [{(one["kind"], one["metadata"]["name"]) for one in found}
                 for found in (self.prod, self.canary)]

        self.assertEqual(names[0] & names[1], set())

    def test_both_run_as_the_role(self):
        for found in (self.prod, self.canary):
            for spec in charts.pod_specs(found):
                self.assertEqual(spec["serviceAccountName"], "middleware")

    def test_an_existing_service_account_is_used_and_none_is_made(self):
        found = hop({**PROD, "serviceAccount": {"name": "existing"}})

        self.assertEqual(of_kind(found, "ServiceAccount"), {})
        for spec in charts.pod_specs(found):
            self.assertEqual(spec["serviceAccountName"], "existing")


class Labels(unittest.TestCase):
    def chart_of_version(self, version):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="tracehop-chart-"))
        chart = pathlib.Path(folder) / "hop"
        shutil.copytree(CHARTS / "hop", chart)
        meta = chart / "Chart.yaml"
        text = meta.read_text(encoding="utf-8").replace("0.1.0", version)
        meta.write_text(text, encoding="utf-8")
        return chart

    def test_istio_is_told_what_the_role_and_the_version_are_called(self):
        labels = pod_labels(hop(CANARY))

        self.assertEqual(labels["service.istio.io/canonical-name"], "middleware")
        self.assertEqual(labels["service.istio.io/canonical-revision"], "canary")
        self.assertEqual((labels["app"], labels["version"]), ("middleware", "canary"))
        self.assertEqual(labels["app.kubernetes.io/name"], "middleware")

    def test_a_selector_has_what_never_changes(self):
        self.assertEqual(selector(hop(CANARY, "blue")), {
            "app": "middleware",
            "version": "canary",
            "app.kubernetes.io/name": "middleware",
            "app.kubernetes.io/instance": "blue",
        })

    def test_another_version_of_the_chart_changes_no_selector_and_restarts_no_pod(self):
        values = {**PROD, "image": {"tag": "pinned"}}
        before = workload(hop(values))
        after = workload(charts.objects(self.chart_of_version("0.9.0"), values=values))

        self.assertEqual(after["metadata"]["labels"]["helm.sh/chart"], "hop-0.9.0")
        self.assertEqual(after["spec"], before["spec"])

    def test_a_release_may_be_called_by_a_number(self):
        labels = pod_labels(hop(PROD, "123"))

        self.assertEqual(labels["app.kubernetes.io/instance"], "123")


class Ports(unittest.TestCase):
    def test_each_says_what_it_speaks_twice(self):
        spoken = {"http": 8080, "grpc": 9090, "http-admin": 9464}
        for service in of_kind(hop(PROD), "Service").values():
            for port in service["spec"]["ports"]:
                self.assertEqual(port["port"], spoken[port["name"]])
                self.assertEqual(port["targetPort"], port["name"])
                self.assertEqual(port["appProtocol"], port["name"].partition("-")[0])

    def test_the_container_has_those_of_the_services(self):
        found = hop(PROD)
        listens = {port["name"]: port["containerPort"] for port in container(found)["ports"]}

        self.assertEqual(listens, {"http": 8080, "grpc": 9090, "http-admin": 9464})

    def test_the_admin_port_is_of_one_version_only(self):
        services = of_kind(hop(PROD), "Service")
        names = {name: [port["name"] for port in service["spec"]["ports"]]
                 for name, service in services.items()}

        self.assertEqual(names, {
            "middleware": ["http", "grpc"],
            "middleware-prod": ["http", "grpc", "http-admin"],
        })


class Probes(unittest.TestCase):
    def test_start_and_readiness_are_asked_over_grpc_and_life_over_http(self):
        found = container(hop(PROD))

        self.assertEqual(found["startupProbe"]["grpc"], {"port": 9090})
        self.assertEqual(found["readinessProbe"]["grpc"], {"port": 9090})
        self.assertEqual(
            found["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "http-admin"}
        )

    def test_each_can_be_tuned_or_left_out(self):
        found = container(hop({"probes": {"startup": None, "readiness": {"periodSeconds": 1}}}))

        self.assertNotIn("startupProbe", found)
        self.assertEqual(found["readinessProbe"]["periodSeconds"], 1)
        self.assertEqual(found["readinessProbe"]["failureThreshold"], 2)


class Drain(unittest.TestCase):
    DRAIN = {"preStopSeconds": 7, "graceSeconds": 3, "timeoutSeconds": 20}

    def test_the_pod_is_given_longer_than_the_program_takes(self):
        found = hop({"drain": self.DRAIN})
        spec = workload(found)["spec"]["template"]["spec"]

        # For requests and for spans: DRAIN_TIMEOUT counts twice.
        self.assertGreater(spec["terminationGracePeriodSeconds"], 7 + 3 + 2 * 20)
        self.assertEqual(container(found)["lifecycle"]["preStop"], {"sleep": {"seconds": 7}})
        self.assertEqual(settings(found)["DRAIN_GRACE"], "3s")
        self.assertEqual(settings(found)["DRAIN_TIMEOUT"], "20s")

    def test_a_kubernetes_that_does_not_know_sleep_is_not_asked_for_it(self):
        found = hop({"drain": self.DRAIN}, kubernetes="1.29.0")

        self.assertNotIn("lifecycle", container(found))


class Security(unittest.TestCase):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""

    def test_every_pod_satisfies_the_standard_restricted(self):
        for spec in charts.pod_specs(hop(PROD)):
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["runAsUser"], 65532)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertNotIn("volumes", spec)
            for one in spec["containers"]:
                self.assertFalse(one["securityContext"]["allowPrivilegeEscalation"])
                self.assertEqual(one["securityContext"]["capabilities"], {"drop": ["ALL"]})
                self.assertTrue(one["securityContext"]["readOnlyRootFilesystem"])

    def test_no_pod_gets_a_token_or_the_addresses_of_services(self):
        for spec in charts.pod_specs(hop(PROD)):
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertFalse(spec["enableServiceLinks"])


class Image(unittest.TestCase):
    def image(self, **values):
        return container(hop({"image": values}))["image"]

    def test_it_is_that_of_the_chart_s_app_version(self):
        self.assertEqual(self.image(), "tracehop:0.1.0")

    def test_a_digest_wins_over_a_tag(self):
        digest = "sha256:" + "0" * 64

        self.assertEqual(self.image(tag="edge"), "tracehop:edge")
        self.assertEqual(self.image(tag="edge", digest=digest), f"tracehop@{digest}")


class Replicas(unittest.TestCase):
    AUTOSCALING = {"enabled": True, "minReplicas": 2, "maxReplicas": 4}

    def test_with_autoscaling_the_deployment_says_nothing_of_them(self):
        found = hop({"replicas": 3, "autoscaling": self.AUTOSCALING})
        scaler = the(found, "HorizontalPodAutoscaler")["spec"]

        self.assertNotIn("replicas", workload(found)["spec"])
        self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (2, 4))
        self.assertEqual(scaler["scaleTargetRef"]["name"], workload(found)["metadata"]["name"])

    def test_the_sidecar_s_load_does_not_count(self):
        found = hop({"autoscaling": self.AUTOSCALING})
        (metric,) = the(found, "HorizontalPodAutoscaler")["spec"]["metrics"]

        self.assertEqual(metric["containerResource"]["container"], container(found)["name"])

    def test_a_budget_is_made_for_more_than_one_pod_only(self):
        for values, is_made in (
            ({}, False),
            ({"pdb": {"enabled": True}}, False),
            ({"replicas": 2}, True),
            ({"replicas": 2, "pdb": {"enabled": False}}, False),
            ({"autoscaling": self.AUTOSCALING}, True),
            ({"replicas": 3, "autoscaling": {**self.AUTOSCALING, "minReplicas": 1}}, False),
        ):
            with self.subTest(values):
                self.assertEqual(bool(of_kind(hop(values), "PodDisruptionBudget")), is_made)

    def test_a_budget_does_not_protect_what_is_broken(self):
        found = hop({"replicas": 2})
        budget = the(found, "PodDisruptionBudget")["spec"]

        self.assertEqual(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow")
        self.assertEqual(budget["maxUnavailable"], 1)
        self.assertEqual(budget["selector"]["matchLabels"], selector(found))

    def test_a_budget_can_say_how_many_must_stay(self):
        budget = the(hop({"replicas": 4, "pdb": {"minAvailable": "75%"}}), "PodDisruptionBudget")

        self.assertEqual(budget["spec"]["minAvailable"], "75%")
        self.assertNotIn("maxUnavailable", budget["spec"])

    def test_pods_of_one_rollout_are_spread(self):
        found = hop({})
        constraints = workload(found)["spec"]["template"]["spec"]["topologySpreadConstraints"]

        self.assertEqual(
            [one["topologyKey"] for one in constraints],
            ["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
        )
        for one in constraints:
            self.assertEqual(one["whenUnsatisfiable"], "ScheduleAnyway")
            self.assertEqual(one["matchLabelKeys"], ["pod-template-hash"])
            self.assertEqual(one["labelSelector"]["matchLabels"], selector(found))


class Upstream(unittest.TestCase):
    def uri(self, values):
        return settings(hop(values)).get("UPSTREAM_URI")

    def test_it_follows_from_the_role(self):
        for role, uri in (
            ("frontend", "grpc://middleware:9090"),
            ("middleware", "grpc://backend:9090"),
            ("backend", "http://clock.outside:8080/time"),
            ("clock", None),
            ("checkout", None),
        ):
            with self.subTest(role):
                self.assertEqual(self.uri({"role": role}), uri)

    def test_the_user_s_wins(self):
        self.assertEqual(
            self.uri({"role": "backend", "upstream": {"uri": "http://time:80/"}}), "http://time:80/"
        )
        self.assertIsNone(self.uri({"role": "backend", "upstream": {"uri": ""}}))


class Settings(unittest.TestCase):
    """The program is told what it understands."""

    def test_every_variable_is_one_of_the_program_s(self):
        _, told, _ = run_server("--help")
        known = set(re.findall(r"^  ([A-Z_]+) +--", told, re.MULTILINE))

        for name, values in charts.ci_values("hop").items():
            with self.subTest(name):
                found = hop(values)
                names = {one["name"] for one in container(found).get("env", ())}
                self.assertEqual({*settings(found), *names} - OF_THE_POD - known, set())

    def test_the_program_takes_every_value(self):
        taken = self.enterContext(RefusingUpstream())
        for name, values in charts.ci_values("hop").items():
            with self.subTest(name):
                # It reads its settings before it finds the port taken.
                address = f"127.0.0.1:{taken.port}"
                status, _, said = run_server(**settings(hop(values)), GRPC_LISTEN=address)
                self.assertEqual(status, 1, said)
                self.assertIn(address, said)

    def test_a_change_of_them_restarts_pods_and_nothing_else_does(self):
        before = annotations(hop(PROD))["checksum/config"]
        noisy = annotations(hop({**PROD, "log": {"level": "debug"}}))["checksum/config"]
        labelled = annotations(hop({**PROD, "service": {"labels": {"a": "b"}}}))["checksum/config"]

        self.assertNotEqual(noisy, before)
        self.assertEqual(labelled, before)

    def test_spans_say_where_they_were_made(self):
        found = hop({**PROD, "tracing": {"resourceAttributes": {"deployment.environment": "test"}}})
        env = {one["name"]: one.get("value") for one in container(found)["env"]}

        self.assertEqual(dict(
            pair.split("=") for pair in env["OTEL_RESOURCE_ATTRIBUTES"].split(",")
        ), {
            "k8s.namespace.name": "$(POD_NAMESPACE)",
            "k8s.deployment.name": "middleware-prod",
            "k8s.pod.name": "$(POD_NAME)",
            "k8s.container.name": "hop",
            "k8s.node.name": "$(NODE_NAME)",
            "service.instance.id": "$(POD_NAME)",
            "deployment.environment": "test",
        })
        # $(NAME) is replaced only by what comes before.
        self.assertEqual(list(env)[-1], "OTEL_RESOURCE_ATTRIBUTES")

    def test_without_tracing_nothing_is_said_of_it(self):
        for values in ({"tracing": {"disabled": True}}, {"role": "clock"}):
            with self.subTest(values):
                found = hop(values)
                about = {name for name in settings(found) if name.startswith("OTEL_")}
                self.assertEqual(about, {"OTEL_SDK_DISABLED"})
                self.assertNotIn("env", container(found))

    def test_the_clock_can_make_spans_all_the_same(self):
        found = hop({"role": "clock", "tracing": {"disabled": False}})

        self.assertNotIn("OTEL_SDK_DISABLED", settings(found))

    def test_a_seed_may_be_0(self):
        self.assertEqual(settings(hop({"faults": {"seed": 0}}))["FAULT_SEED"], "0")
        self.assertNotIn("FAULT_SEED", settings(hop({})))


class Network(unittest.TestCase):
    def policy(self, values, **more):
        found = hop({**values, "networkPolicy": {"enabled": True, **more}})
        return the(found, "NetworkPolicy")["spec"]

    def roles(self, rules, way, port):
        """The roles that these rules let through to this port; "anybody" where one names nobody."""
        named = []
        for rule in rules:
            if {"port": port} not in rule.get("ports", ()):
                continue
            named += ["anybody"] if way not in rule else []
            for peer in rule.get(way, ()):
                for match in peer.get("podSelector", {}).get("matchExpressions", ()):
                    named += match.get("values", ())
        return named

    def test_there_is_none_unless_asked_for(self):
        self.assertEqual(of_kind(hop(PROD), "NetworkPolicy"), {})

    def test_each_role_knows_who_is_before_and_after_it(self):
        for role, before, after in (
            ("frontend", [], ["middleware"]),
            ("middleware", ["frontend"], ["backend"]),
            ("backend", ["middleware"], []),
            ("checkout", ["anybody"], []),
        ):
            with self.subTest(role):
                policy = self.policy({"role": role})
                self.assertEqual(self.roles(policy["ingress"], "from", 9090), before)
                self.assertEqual(self.roles(policy["egress"], "to", 9090), after)

    def test_the_user_knows_better(self):
        policy = self.policy({"role": "checkout"}, before=["shop", "app"], after=["payment"])

        self.assertEqual(self.roles(policy["ingress"], "from", 9090), ["shop", "app"])
        self.assertEqual(self.roles(policy["egress"], "to", 9090), ["payment"])

    def test_only_the_frontend_is_for_the_gateway(self):
        for role, is_for_it in (("frontend", True), ("middleware", False), ("backend", False)):
            with self.subTest(role):
                policy = self.policy({"role": role}, gatewayNamespace="edge")
                self.assertEqual("'edge'" in str(policy["ingress"]), is_for_it)

    def test_the_mesh_s_own_ports_are_open(self):
        policy = self.policy(PROD)
        came = [port["port"] for rule in policy["ingress"] for port in rule.get("ports", ())]
        went = [port["port"] for rule in policy["egress"] for port in rule.get("ports", ())]

        self.assertLessEqual({15008, 15020, 15090}, set(came))
        self.assertLessEqual({53, 15008, 15012, 4317, 9411}, set(went))

    def test_it_is_of_the_release_s_pods(self):
        found = hop({**PROD, "networkPolicy": {"enabled": True}})

        self.assertEqual(
            the(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"], selector(found)
        )


class Monitor(unittest.TestCase):
    def test_a_service_monitor_finds_each_pod_once(self):
        found = hop({**PROD, "monitor": {"enabled": True}})
        wanted = the(found, "ServiceMonitor")["spec"]["selector"]["matchLabels"]

        matched = [name for name, service in of_kind(found, "Service").items()
                   if selects(wanted, service["metadata"]["labels"])]
        self.assertEqual(matched, ["middleware-prod"])

    def test_without_one_pods_have_annotations_that_istio_merges(self):
        self.assertEqual(annotations(hop(PROD))["prometheus.io/port"], "9464")
        for monitor in ({"enabled": True}, {"annotations": False}):
            self.assertEqual(
                list(annotations(hop({**PROD, "monitor": monitor}))), ["checksum/config"]
            )


class Tests(unittest.TestCase):
    """The pods of helm test."""

    def test_they_call_their_version_over_each_protocol(self):
        calls = {pod["metadata"]["name"]: pod["spec"]["containers"][0]["command"]
                 for pod in test_pods(hop(CANARY))}

        self.assertEqual(calls, {
            "middleware-canary-test-grpc":
                ["/usr/bin/tracehop-server", "--call", "grpc://middleware-canary:9090"],
            "middleware-canary-test-http":
                ["/usr/bin/tracehop-server", "--call", "http://middleware-canary:8080/"],
        })

    def test_they_are_hooks_that_go_when_they_succeed(self):
        for pod in test_pods(hop(PROD)):
            self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
            self.assertEqual(
                pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"],
                "before-hook-creation,hook-succeeded",
            )
            self.assertEqual(pod["spec"]["restartPolicy"], "Never")

    def test_they_are_in_the_mesh_and_end_there(self):
        for pod in test_pods(hop(PROD)):
            about = {**pod["metadata"]["labels"], **pod["metadata"]["annotations"]}
            self.assertNotIn("sidecar.istio.io/inject", about)
            self.assertEqual(about["sidecar.istio.io/nativeSidecar"], "true")

    def test_no_service_takes_them_for_a_hop(self):
        found = hop(PROD)
        for pod in test_pods(found):
            for service in of_kind(found, "Service").values():
                self.assertFalse(
                    selects(service["spec"]["selector"], pod["metadata"]["labels"])
                )


class Notes(unittest.TestCase):
    def told(self, values, release="release"):
        return charts.notes("hop", release, values, words=("--namespace", "demo"))

    def test_they_tell_the_addresses(self):
        told = self.told(PROD)

        self.assertIn("http://middleware.demo:8080/", told)
        self.assertIn("grpc://middleware-prod.demo:9090", told)
        self.assertIn("http://collector:4317", told)

    def test_they_tell_the_next_command(self):
        for values, following in (
            ({"role": "clock"}, "role=backend"),
            ({"role": "backend"}, "role=middleware"),
            (PROD, "role=middleware,version=canary"),
            (CANARY, "role=frontend"),
            ({"role": "frontend"}, "charts/mesh"),
        ):
            with self.subTest(values):
                self.assertIn(following, self.told(values).partition("Next")[2])

    def test_nothing_is_warned_of_without_need(self):
        for values in (PROD, {"role": "frontend", "replicas": 2}, {"role": "clock"}):
            self.assertNotIn("WARNING", self.told(values))

    def test_a_canary_without_prod_is_warned_of(self):
        told = self.told(CANARY)

        self.assertIn("WARNING: the Service middleware is not there", told)
        self.assertIn("helm install middleware-prod", told)

    def test_a_budget_that_one_pod_cannot_have_is_warned_of(self):
        self.assertIn("WARNING: pdb.enabled", self.told({**PROD, "pdb": {"enabled": True}}))

    def test_tracing_that_is_off_is_warned_of(self):
        told = self.told({**PROD, "tracing": {"disabled": True}})

        self.assertIn("WARNING: tracing is off", told)
