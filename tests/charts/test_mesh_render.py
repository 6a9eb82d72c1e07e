"""What the mesh chart gives a cluster. All steps, in both words and on both data planes, are
compared with tests/charts/golden/mesh-*.yaml; UPDATE_GOLDEN=1 writes these anew.
"""

import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

from harness import build, charts, mesh_chart
from harness.mesh_chart import COMBINATIONS, STEPS

GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"


def combined(step, api, dataplane):
    # Dashboards are the same everywhere, and long.
    return {"step": step, "api": api, "dataplane": dataplane, "dashboards.enabled": "false"}


def principals(rules):
    return [
        principal.rpartition("/")[2]
        for rule in rules
        for source in rule.get("from", ())
        for principal in source["source"]["principals"]
    ]


class Render(unittest.TestCase):
    maxDiff = None

    def objects(self, **values):
        return mesh_chart.objects(values)

    def specs(self, kind, **values):
        return mesh_chart.specs(self.objects(**values), kind)


class Golden(Render):
    def test_every_combination_is_as_it_was(self):
        for combination in COMBINATIONS:
            with self.subTest(combination):
                golden = GOLDEN / f"mesh-{'-'.join(combination)}.yaml"
                rendered = mesh_chart.text(combined(*combination))
                if os.environ.get("UPDATE_GOLDEN") == "1":
                    golden.write_text(rendered, encoding="utf-8")

                self.assertEqual(rendered, golden.read_text(encoding="utf-8"))

    def test_helm_3_renders_the_same(self):
        for combination in COMBINATIONS:
            with self.subTest(combination):
                values = combined(*combination)

                self.assertEqual(
                    mesh_chart.objects(values, program="helm3"), mesh_chart.objects(values)
                )

    def test_no_line_ends_with_spaces(self):
        for combination in COMBINATIONS:
            self.assertNotRegex(mesh_chart.text(combined(*combination)), r"[ \t]\n")


class Objects(Render):
    def test_all_are_in_the_release_s_namespace_but_the_gateway_s_tracing(self):
        elsewhere = [
            (found["kind"], found["metadata"]["namespace"])
            for found in self.objects(step="canary", **{"gateway.namespace": "edge"})
            if found["metadata"]["namespace"] != mesh_chart.NAMESPACE
        ]

        self.assertEqual(elsewhere, [("Telemetry", "edge")])

    def test_the_user_s_labels_and_annotations_are_on_all(self):
        for found in self.objects(
            step="canary", **{"extraLabels.team": "clocks", "extraAnnotations.why": "lesson"}
        ):
            self.assertEqual(found["metadata"]["labels"]["team"], "clocks")
            self.assertEqual(found["metadata"]["labels"]["app.kubernetes.io/part-of"], "tracehop")
            self.assertEqual(found["metadata"]["annotations"], {"why": "lesson"})

    def test_another_gateway_is_named_once(self):
        found = self.objects(**{"gateway.selector.istio": "edge", "gateway.hosts": "{a.example}"})

        gateway = mesh_chart.specs(found, "Gateway")["gateway"]
        self.assertEqual(gateway["selector"], {"istio": "edge"})
        (server,) = gateway["servers"]
        self.assertEqual(server["hosts"], ["a.example"])
        services = mesh_chart.specs(found, "VirtualService")
        self.assertEqual(services["frontend"]["hosts"], ["a.example"])
        tracing = mesh_chart.specs(found, "Telemetry")["demo-gateway"]
        self.assertEqual(tracing["selector"], {"matchLabels": {"istio": "edge"}})

    def test_the_gateway_api_takes_the_same_hosts(self):
        routes = self.specs("HTTPRoute", api="gateway", **{"gateway.hosts": "{a.example}"})

        self.assertEqual(routes["frontend"]["hostnames"], ["a.example"])

    def test_a_sidecar_may_see_more(self):
        sidecars = self.specs("Sidecar", **{"sidecar.egressHosts": "{monitoring/*}"})

        (egress,) = sidecars["default"]["egress"]
        self.assertEqual(egress["hosts"], ["./*", "istio-system/*", "monitoring/*"])

    def test_names_of_services_follow_the_cluster_s_domain(self):
        rendered = mesh_chart.text({"step": "canary", "clusterDomain": "corp.example"})

        self.assertIn("middleware.demo.svc.corp.example", rendered)
        self.assertNotIn("svc.cluster.local", rendered)


class Security(Render):
    def test_it_begins_with_the_step_prod(self):
        kinds = {"PeerAuthentication", "AuthorizationPolicy"}
        for step in STEPS:
            with self.subTest(step):
                objects = self.objects(step=step)

                begun = step not in ("ingress", "egress")
                found = {one["kind"] for one in objects} & kinds
                self.assertEqual(found, kinds if begun else set())
                rules = mesh_chart.specs(objects, "DestinationRule").values()
                self.assertEqual(["trafficPolicy" in one for one in rules], [begun] * 3)

    def test_each_role_is_called_by_the_one_before_it_and_by_itself(self):
        policies = self.specs("AuthorizationPolicy", step="prod")

        callers = {
            role: principals(policies[role]["rules"])
            for role in ("frontend", "middleware", "backend")
        }
        gateways = ["istio-ingressgateway-service-account", "istio-ingressgateway"]
        self.assertEqual(
            callers,
            {
                "frontend": [*gateways, "frontend"],
                "middleware": ["frontend", "middleware"],
                "backend": ["middleware", "backend"],
            },
        )

    def test_the_gateway_of_the_gateway_api_is_known_by_its_own_service_account(self):
        policies = self.specs("AuthorizationPolicy", step="prod", api="gateway")

        callers = principals(policies["frontend"]["rules"])
        self.assertEqual(callers, ["gateway-istio", "frontend"])

    def test_who_asks_the_waypoint_is_checked_there_and_nobody_gets_past_it(self):
        policies = self.specs("AuthorizationPolicy", step="prod", dataplane="ambient")

        at_waypoint = policies["middleware-at-waypoint"]
        self.assertEqual(
            [target["name"] for target in at_waypoint["targetRefs"]],
            ["middleware", "middleware-prod", "middleware-canary"],
        )
        self.assertEqual(principals(at_waypoint["rules"]), ["frontend", "middleware"])
        self.assertEqual(principals(policies["middleware"]["rules"]), ["waypoint"])

    def test_admin_ports_take_plaintext_from_everybody(self):
        found = self.objects(step="prod")

        ports = mesh_chart.specs(found, "PeerAuthentication")["plaintext-ports"]["portLevelMtls"]
        self.assertEqual(ports, {"9464": {"mode": "PERMISSIVE"}, "9465": {"mode": "PERMISSIVE"}})
        for policy in mesh_chart.specs(found, "AuthorizationPolicy").values():
            self.assertIn({"to": [{"operation": {"ports": ["9464", "9465"]}}]}, policy["rules"])

    def test_without_such_ports_nothing_takes_plaintext(self):
        found = self.objects(step="prod", **{"mtls.plaintextPorts": "null"})

        self.assertEqual(set(charts.of_kind(found, "PeerAuthentication")), {"default"})
        for policy in mesh_chart.specs(found, "AuthorizationPolicy").values():
            self.assertTrue(all("from" in rule for rule in policy["rules"]))

    def test_it_can_be_left_to_others(self):
        found = self.objects(step="prod", **{"authorization.enabled": "false"})

        self.assertEqual(charts.of_kind(found, "AuthorizationPolicy"), {})


class Dashboards(Render):
    def dashboards(self, **values):
        return charts.of_kind(self.objects(**values), "ConfigMap")

    def boards(self):
        return {
            name: json.loads(found["data"][f"{name}.json"])
            for name, found in self.dashboards().items()
        }

    def test_grafana_finds_them_by_their_label(self):
        found = self.dashboards(**{"dashboards.namespace": "monitoring"})

        self.assertEqual(set(found), {"tracehop-hops", "tracehop-collector"})
        for one in found.values():
            self.assertEqual(one["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertEqual(one["metadata"]["namespace"], "monitoring")

    def test_they_can_be_left_out(self):
        self.assertEqual(self.dashboards(**{"dashboards.enabled": "false"}), {})

    def test_they_ask_for_metrics_that_the_programs_have(self):
        sources = "".join(
            path.read_text(encoding="utf-8")
            for part in ("server", "collector", "common")
            for path in (build.ROOT / part).rglob("*.c")
        )
        had = set(re.findall(r'"((?:tracehop|process)_[a-z_]+)"', sources))

        for name, board in self.boards().items():
            asked = set(re.findall(r"\b(?:tracehop|process)_[a-z_]+", expressions(board)))
            self.assertGreater(len(asked), 10)
            self.assertEqual({family(metric) for metric in asked} - had, set(), name)

    def test_each_panel_has_an_id_a_place_and_a_title_of_its_own(self):
        for name, board in self.boards().items():
            panels = board["panels"]
            for key in (lambda one: one["id"], lambda one: one["title"], place):
                self.assertEqual(len({key(panel) for panel in panels}), len(panels), name)


def expressions(board):
    return "\n".join(
        target["expr"] for panel in board["panels"] for target in panel.get("targets", ())
    )


def family(metric):
    """The name in the source: counters and histograms are given their ends when they are shown."""
    return re.sub("_(total|bucket)$", "", metric)


def place(panel):
    return panel["gridPos"]["x"], panel["gridPos"]["y"]


class Notes(Render):
    def test_they_tell_the_next_step(self):
        for step, following in zip(STEPS, STEPS[1:]):
            self.assertIn(f"--set step={following}\n", mesh_chart.notes({"step": step}))
        self.assertNotIn("Next", mesh_chart.notes({"step": STEPS[-1]}))

    def test_the_provider_s_lines_are_those_that_the_telemetry_names(self):
        for protocol, port in (("zipkin", 9411), ("opentelemetry", 4317)):
            values = {"tracing.protocol": protocol, "tracing.provider": "ours"}
            found = mesh_chart.objects(values)

            (named,) = mesh_chart.specs(found, "Telemetry")["tracing"]["tracing"][0]["providers"]
            (provider,) = mesh_config(mesh_chart.notes(values))["extensionProviders"]
            self.assertEqual(provider["name"], named["name"])
            self.assertEqual(
                provider[protocol], {"service": "collector.demo.svc.cluster.local", "port": port}
            )

    def test_what_the_gateway_api_has_no_words_for_is_said(self):
        values = {"step": "retry", "api": "gateway"}

        self.assertIn("INTERNAL is not retried", mesh_chart.notes(values))
        self.assertIn("gatewayApi.retry=true", mesh_chart.notes(values))
        self.assertNotIn("INTERNAL", mesh_chart.notes({"step": "retry"}))

    def test_what_ambient_cannot_do_is_said(self):
        told = mesh_chart.notes({"dataplane": "ambient"})

        self.assertIn("before step egress", told)
        self.assertIn("istio.io/use-waypoint=waypoint", told)


def mesh_config(told):
    """The lines of the notes that are meant for istiod."""
    after = told.partition("\nmeshConfig:\n")[2]
    lines = re.match("(?:  .*\n)+", after)[0]
    return yaml.safe_load(lines)


class OwnSteps(Render):
    """Steps that a user has changed."""

    def chart_with(self, name, text):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="tracehop-chart-"))
        chart = pathlib.Path(folder) / "mesh"
        shutil.copytree(charts.CHARTS / "mesh", chart)
        (chart / "steps" / name).write_text(text, encoding="utf-8")
        return chart

    def with_middleware(self, http):
        rule = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "middleware"},
            "spec": {"hosts": ["middleware"], "http": http},
        }
        return self.chart_with("5-canary.yaml", yaml.safe_dump(rule))

    def test_weights_are_kept_even_when_they_are_0(self):
        chart = self.with_middleware([{"route": [to("prod", 100), to("canary", 0)]}])

        rendered = mesh_chart.objects({"step": "canary", "api": "gateway"}, chart=chart)
        (rule,) = mesh_chart.specs(rendered, "GRPCRoute")["middleware"]["rules"]
        self.assertEqual(
            [(one["name"], one["weight"]) for one in rule["backendRefs"]],
            [("middleware-prod", 100), ("middleware-canary", 0)],
        )

    def test_what_cannot_be_told_in_the_gateway_api_is_refused(self):
        match = [{"headers": {"x-dev-user": {"prefix": "super"}}}]
        chart = self.with_middleware([{"match": match, "route": [to("prod", 100)]}])

        told = mesh_chart.refusal({"step": "canary", "api": "gateway"}, chart=chart)
        self.assertIn("matches headers by `exact` only", told)

    def test_a_file_that_is_not_yaml_is_refused_by_name(self):
        chart = self.chart_with("2-egress.yaml", "kind: [")

        self.assertIn("steps/2-egress.yaml", mesh_chart.refusal({"step": "egress"}, chart=chart))
        mesh_chart.text({"step": "ingress"}, chart=chart)


def to(version, weight):
    destination = {"host": "middleware", "port": {"number": 9090}, "subset": version}
    return {"destination": destination, "weight": weight}
