"""What a release of the chart collector is: with a journal, and without."""

import re
import tempfile
import unittest

from harness import charts
from harness.charts import container, of_kind, selects, test_pods, the, workload
from harness.programs import run_collector
from harness.upstreams import RefusingUpstream

RELAYED = {"relayTo": ["grpc://jaeger:4317"]}


def collector(values=None, release="collector", **how):
    return charts.objects("collector", release, values, **how)


def settings(found):
    return the(found, "ConfigMap")["data"]


def pod(found):
    return workload(found)["spec"]["template"]["spec"]


def selector(found):
    return workload(found)["spec"]["selector"]["matchLabels"]


class Journal(unittest.TestCase):
    def test_with_destinations_each_pod_has_a_volume(self):
        found = collector(RELAYED)
        (claim,) = workload(found)["spec"]["volumeClaimTemplates"]
        (mount,) = container(found)["volumeMounts"]

        self.assertEqual(workload(found)["kind"], "StatefulSet")
        self.assertEqual(claim["spec"]["resources"], {"requests": {"storage": "10Gi"}})
        self.assertNotIn("storageClassName", claim["spec"])
        self.assertEqual(mount["name"], claim["metadata"]["name"])
        self.assertEqual(settings(found)["JOURNAL_DIR"], f"{mount['mountPath']}/journal")

    def test_without_destinations_there_is_none(self):
        found = collector()

        self.assertEqual(workload(found)["kind"], "Deployment")
        self.assertNotIn("volumes", pod(found))
        self.assertNotIn("volumeMounts", container(found))
        self.assertFalse({"RELAY_TO", "JOURNAL_DIR", "DURABILITY"} & set(settings(found)))

    def test_without_a_volume_it_ends_with_its_pod(self):
        found = collector({**RELAYED, "journal": {"enabled": False, "size": "512Mi"}})

        self.assertEqual(workload(found)["kind"], "Deployment")
        self.assertEqual(pod(found)["volumes"], [
            {"name": "journal", "emptyDir": {"sizeLimit": "512Mi"}}
        ])
        self.assertIn("JOURNAL_DIR", settings(found))

    def test_it_leaves_room_on_its_volume(self):
        for size, most in (("512Mi", "460MiB"), ("10Gi", "9216MiB"), ("1Ti", "943718MiB")):
            with self.subTest(size):
                found = collector({**RELAYED, "journal": {"size": size}})
                self.assertEqual(settings(found)["JOURNAL_MAX_BYTES"], most)

    def test_the_user_s_limit_and_class_win(self):
        found = collector({**RELAYED, "journal": {"maxBytes": "4GiB", "storageClass": "fast"}})
        (claim,) = workload(found)["spec"]["volumeClaimTemplates"]

        self.assertEqual(settings(found)["JOURNAL_MAX_BYTES"], "4GiB")
        self.assertEqual(claim["spec"]["storageClassName"], "fast")

    def test_it_may_be_written_by_the_user_that_runs_there(self):
        security = pod(collector(RELAYED))["securityContext"]

        self.assertEqual((security["runAsUser"], security["fsGroup"]), (65532, 65532))

    def test_what_is_not_delivered_outlives_the_release(self):
        policy = workload(collector(RELAYED))["spec"]["persistentVolumeClaimRetentionPolicy"]

        self.assertEqual(policy, {"whenDeleted": "Retain", "whenScaled": "Retain"})


class Services(unittest.TestCase):
    PORTS = {"grpc-otlp": 4317, "http-otlp": 4318, "http-zipkin": 9411, "http-admin": 9465}

    def test_each_port_says_what_it_speaks_twice(self):
        for service in of_kind(collector(RELAYED), "Service").values():
            for port in service["spec"]["ports"]:
                self.assertEqual(port["port"], self.PORTS[port["name"]])
                self.assertEqual(port["targetPort"], port["name"])
                self.assertEqual(port["appProtocol"], port["name"].partition("-")[0])

    def test_the_container_has_those_of_the_services(self):
        found = container(collector(RELAYED))

        self.assertEqual(
            {port["name"]: port["containerPort"] for port in found["ports"]}, self.PORTS
        )

    def test_several_are_found_one_by_one_behind_a_headless_service(self):
        for values in (RELAYED, {"replicas": 2}):
            with self.subTest(values):
                found = collector(values)
                headless = of_kind(found, "Service")["collector-headless"]["spec"]
                self.assertEqual(headless["clusterIP"], "None")
                self.assertTrue(selects(
                    headless["selector"], workload(found)["spec"]["template"]["metadata"]["labels"]
                ))
        self.assertEqual(
            workload(collector(RELAYED))["spec"]["serviceName"], "collector-headless"
        )

    def test_one_without_a_journal_needs_none(self):
        self.assertEqual(list(of_kind(collector(), "Service")), ["collector"])

    def test_hops_find_it_whatever_the_release_is_called(self):
        found = collector(release="tracing")
        hop = charts.objects("hop")

        (service,) = of_kind(found, "Service")
        self.assertEqual(
            the(hop, "ConfigMap")["data"]["OTEL_EXPORTER_OTLP_ENDPOINT"], f"http://{service}:4317"
        )

    def test_another_name_is_everywhere(self):
        found = collector({**RELAYED, "name": "traces", "replicas": 2})

        self.assertEqual({one["metadata"]["name"].partition("-")[0] for one in found}, {"traces"})
        self.assertEqual(pod(found)["serviceAccountName"], "traces")


class Pods(unittest.TestCase):
    def test_start_and_readiness_are_asked_over_grpc_and_life_over_http(self):
        found = container(collector())

        self.assertEqual(found["startupProbe"]["grpc"], {"port": 4317})
        self.assertEqual(found["readinessProbe"]["grpc"], {"port": 4317})
        self.assertEqual(
            found["livenessProbe"]["httpGet"], {"path": "/healthz", "port": "http-admin"}
        )

    def test_the_pod_is_given_longer_than_the_program_takes(self):
        found = collector({"drain": {"preStopSeconds": 7, "graceSeconds": 3, "timeoutSeconds": 60}})

        # For requests and for the relay: DRAIN_TIMEOUT counts twice.
        self.assertGreater(pod(found)["terminationGracePeriodSeconds"], 7 + 3 + 2 * 60)
        self.assertEqual(container(found)["lifecycle"]["preStop"], {"sleep": {"seconds": 7}})

    def test_every_pod_satisfies_the_standard_restricted(self):
        for values in ({}, RELAYED, {**RELAYED, "journal": {"enabled": False}}):
            for spec in charts.pod_specs(collector(values)):
                security = spec["securityContext"]
                self.assertTrue(security["runAsNonRoot"])
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse(spec["automountServiceAccountToken"])
                for one in spec["containers"]:
                    self.assertFalse(one["securityContext"]["allowPrivilegeEscalation"])
                    self.assertEqual(one["securityContext"]["capabilities"], {"drop": ["ALL"]})
                    self.assertTrue(one["securityContext"]["readOnlyRootFilesystem"])

    def test_a_budget_is_made_for_more_than_one_pod_only(self):
        for values, is_made in (
            ({}, False),
            ({"pdb": {"enabled": True}}, False),
            ({"replicas": 3}, True),
            ({"replicas": 3, "pdb": {"enabled": False}}, False),
        ):
            with self.subTest(values):
                self.assertEqual(bool(of_kind(collector(values), "PodDisruptionBudget")), is_made)

    def test_collectors_are_spread(self):
        for values, labels in ((RELAYED, None), ({}, ["pod-template-hash"])):
            with self.subTest(values):
                found = collector(values)
                for one in pod(found)["topologySpreadConstraints"]:
                    self.assertEqual(one["labelSelector"]["matchLabels"], selector(found))
                    self.assertEqual(one.get("matchLabelKeys"), labels)

    def test_helm_test_asks_it_by_its_name_from_within_the_mesh(self):
        found = collector({"name": "traces"})
        (test,) = test_pods(found)
        about = {**test["metadata"]["labels"], **test["metadata"]["annotations"]}

        self.assertEqual(test["metadata"]["name"], "traces-test-ready")
        self.assertEqual(test["spec"]["containers"][0]["command"], [
            "/usr/bin/tracehop-server", "--call", "http://traces:9465/readyz"
        ])
        self.assertEqual(about["helm.sh/hook"], "test")
        self.assertNotIn("sidecar.istio.io/inject", about)
        self.assertFalse(selects(selector(found), test["metadata"]["labels"]))


class Network(unittest.TestCase):
    def policy(self, values, **more):
        found = collector({**values, "networkPolicy": {"enabled": True, **more}})
        return the(found, "NetworkPolicy")["spec"]

    def test_there_is_none_unless_asked_for(self):
        self.assertEqual(of_kind(collector(RELAYED), "NetworkPolicy"), {})

    def test_spans_come_from_every_namespace_or_from_those_named(self):
        (everywhere,) = self.policy({})["ingress"][0]["from"]
        (named,) = self.policy({}, **{"from": ["shop"]})["ingress"][0]["from"]

        self.assertEqual(everywhere, {"namespaceSelector": {}})
        (match,) = named["namespaceSelector"]["matchExpressions"]
        self.assertEqual(match["values"], ["shop"])

    def test_destinations_can_be_reached_at_their_ports(self):
        relay_to = ["grpc://jaeger:4317", "http://tempo:4318", "https://otlp.example/v1/traces",
                    "grpc://[fd00::1]:14317", "http://plain/"]
        went = [rule["ports"] for rule in self.policy({"relayTo": relay_to})["egress"]]

        self.assertIn(
            [{"port": port} for port in (15008, 4317, 4318, 443, 14317, 80)], went
        )


class Monitor(unittest.TestCase):
    def test_a_service_monitor_finds_each_pod_once(self):
        found = collector({**RELAYED, "monitor": {"enabled": True}})
        monitor = the(found, "ServiceMonitor")["spec"]
        (endpoint,) = monitor["endpoints"]

        scraped = [
            name for name, service in of_kind(found, "Service").items()
            if selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
            and endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
        ]
        self.assertEqual(scraped, ["collector"])


class Settings(unittest.TestCase):
    """The program is told what it understands."""

    def test_every_variable_is_one_of_the_program_s(self):
        _, told, _ = run_collector("--help")
        known = set(re.findall(r"^  ([A-Z_]+) +--", told, re.MULTILINE))

        for name, values in charts.ci_values("collector").items():
            with self.subTest(name):
                self.assertEqual(set(settings(collector(values))) - known, set())

    def test_the_program_takes_every_value(self):
        taken = self.enterContext(RefusingUpstream())
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="tracehop-journal-"))
        for name, values in charts.ci_values("collector").items():
            with self.subTest(name):
                # It reads its settings before it finds the port taken.
                address = f"127.0.0.1:{taken.port}"
                given = {**settings(collector(values)), "JOURNAL_DIR": folder}
                status, _, said = run_collector(**given, OTLP_GRPC_LISTEN=address)
                self.assertEqual(status, 1, said)
                self.assertIn(address, said)

    def test_memory_is_what_the_readme_says(self):
        self.assertEqual(container(collector())["resources"]["limits"], {"memory": "256Mi"})
        self.assertEqual(settings(collector())["MAX_REQUEST_BYTES"], "64MiB")


class Notes(unittest.TestCase):
    def told(self, values):
        return charts.notes("collector", "collector", values, words=("--namespace", "demo"))

    def test_they_tell_the_addresses_and_the_lines_for_istiod(self):
        told = self.told(RELAYED)

        self.assertIn("http://collector.demo:4317", told)
        self.assertIn("service: collector.demo.svc.cluster.local", told)
        self.assertIn("grpc://jaeger:4317", told)
        self.assertNotIn("WARNING", told)

    def test_spans_that_go_nowhere_are_warned_of(self):
        self.assertIn("WARNING: relayTo is empty", self.told({}))

    def test_a_journal_that_ends_with_its_pod_is_warned_of(self):
        told = self.told({**RELAYED, "journal": {"enabled": False}})

        self.assertIn("WARNING: journal.enabled is false", told)

    def test_a_budget_that_one_pod_cannot_have_is_warned_of(self):
        self.assertIn("WARNING: pdb.enabled", self.told({**RELAYED, "pdb": {"enabled": True}}))

    def test_a_name_that_hops_do_not_know_is_told(self):
        self.assertIn("tracing.endpoint=http://traces:4317", self.told({"name": "traces"}))
