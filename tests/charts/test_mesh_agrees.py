"""A cluster and the local mesh have the same lesson: what the mesh chart renders at each step says
of routes what the local mesh reads from the steps' files.
"""

import unittest

from harness import mesh_chart
from harness.mesh_chart import DATAPLANES, STEPS
from local import routes, steps
from local.routes import Registry, Service

FULL_NAME = f".{mesh_chart.NAMESPACE}.svc.cluster.local"

# What a cluster needs besides, by kind.
ADDED = {"DestinationRule": {"trafficPolicy"}, "ServiceEntry": {"exportTo"}}
READ = ("Gateway", "VirtualService", "DestinationRule", "Sidecar", "ServiceEntry")

PORTS = {8080: "http", 9090: "grpc"}
# Where hops call each other. A GRPCRoute counts only here, a VirtualService at each port of a host.
CALLED_PORT = 9090
EVERYBODY = "everybody"  # the host of all that comes through the gateway
VERSIONS = {"frontend": ("prod",), "middleware": ("prod", "canary"), "backend": ("prod",)}


def short(value):
    """With services by the names that the steps have for them."""
    if isinstance(value, dict):
        return {name: short(member) for name, member in value.items()}
    if isinstance(value, list):
        return [short(item) for item in value]
    return value.removesuffix(FULL_NAME) if isinstance(value, str) else value


def rules_of_chart(values):
    """(kind, name) -> spec, without what only a cluster needs."""
    return {
        (found["kind"], found["metadata"]["name"]): {
            name: short(member)
            for name, member in found["spec"].items()
            if name not in ADDED.get(found["kind"], ())
        }
        for found in mesh_chart.objects(values)
        if found["kind"] in READ and found["apiVersion"].startswith("networking.istio.io/")
    }


def registry(rules):
    outside = {
        (host, port["number"])
        for spec in rules.of_kind("ServiceEntry").values()
        for host in spec["hosts"]
        for port in spec["ports"]
    }
    services = {role: Service(PORTS, dict.fromkeys(names, 1)) for role, names in VERSIONS.items()}
    return Registry(services, dict.fromkeys(outside, 1))


def routes_of_steps(step):
    """Virtual host -> [(headers, target)], in the order in which the proxies try them."""
    rules = steps.rules_at(step)
    known = registry(rules)
    hosts = [
        *routes.outbound(rules, known)["virtual_hosts"],
        *routes.gateway(rules, known)["virtual_hosts"],
    ]
    wanted = {EVERYBODY, *(f"{role}:{CALLED_PORT}" for role in VERSIONS)}
    return {
        host["name"]: [read_route(route) for route in host["routes"]]
        for host in hosts
        if host["name"] in wanted
    }


def read_route(route):
    headers = {
        header["name"]: header["string_match"] for header in route["match"].get("headers", ())
    }
    return headers, route["route"]["cluster"]


def routes_of_gateway_api(values):
    """The same, from HTTPRoutes and GRPCRoutes; who has none goes to all versions."""
    found = {
        f"{role}:{CALLED_PORT}": [({}, routes.cluster_name(role, CALLED_PORT))] for role in VERSIONS
    }
    for route in mesh_chart.objects(values):
        if route["kind"] in ("HTTPRoute", "GRPCRoute"):
            for parent in route["spec"]["parentRefs"]:
                found[host_of(parent)] = [
                    read for rule in route["spec"]["rules"] for read in routes_of_rule(rule)
                ]
    return found


def host_of(parent):
    if parent.get("kind", "Gateway") == "Gateway":
        return EVERYBODY
    return f"{parent['name']}:{parent['port']}"


def routes_of_rule(rule):
    (backend,) = rule["backendRefs"]
    role, _, version = backend["name"].partition("-")
    target = routes.cluster_name(role, backend["port"], version)
    return [
        ({header["name"]: {"exact": header["value"]} for header in match["headers"]}, target)
        for match in rule.get("matches", [{"headers": []}])
    ]


def egress_of(rules):
    return {
        (kind, name): spec
        for (kind, name), spec in rules.items()
        if kind in ("Sidecar", "ServiceEntry")
    }


class MeshAgrees(unittest.TestCase):
    maxDiff = None

    def test_the_chart_knows_the_steps_that_the_local_mesh_knows(self):
        self.assertEqual(list(STEPS), steps.names()[1:])

        for step in STEPS:
            mesh_chart.text({"step": step})
        for not_a_step in (steps.START, "nonsense"):
            self.assertIn("/step", mesh_chart.refusal({"step": not_a_step}))

    def test_at_each_step_sidecars_are_told_what_the_local_proxies_are_told(self):
        for step in STEPS:
            with self.subTest(step):
                rendered = rules_of_chart({"step": step})

                self.assertEqual(rendered, dict(steps.rules_at(step).items()))

    def test_at_each_step_a_waypoint_is_told_the_same_but_for_what_ambient_does_not_know(self):
        for step in STEPS:
            with self.subTest(step):
                rendered = rules_of_chart({"step": step, "dataplane": "ambient"})

                wanted = dict(steps.rules_at(step).items())
                del wanted["Sidecar", "default"]
                self.assertEqual(rendered, wanted)

    def test_at_each_step_the_gateway_api_leads_to_the_same_versions(self):
        for step in STEPS:
            for dataplane in DATAPLANES:
                with self.subTest(step=step, dataplane=dataplane):
                    values = {"step": step, "api": "gateway", "dataplane": dataplane}

                    self.assertEqual(routes_of_gateway_api(values), routes_of_steps(step))

    def test_at_each_step_the_gateway_api_opens_the_same_port(self):
        for step in STEPS:
            rendered = mesh_chart.objects({"step": step, "api": "gateway"})

            listeners = mesh_chart.specs(rendered, "Gateway")["gateway"]["listeners"]
            opened = [(one["name"], one["port"], one["protocol"]) for one in listeners]
            servers = steps.rules_at(step).of_kind("Gateway")["gateway"]["servers"]
            ports = [server["port"] for server in servers]
            self.assertEqual(
                opened, [(port["name"], port["number"], port["protocol"]) for port in ports]
            )

    def test_at_each_step_the_same_may_leave_the_mesh_with_the_gateway_api(self):
        for step in STEPS:
            rendered = rules_of_chart({"step": step, "api": "gateway"})

            self.assertEqual(egress_of(rendered), egress_of(dict(steps.rules_at(step).items())))

    def test_the_gateway_s_retries_are_the_step_s_where_the_gateway_api_has_the_words(self):
        values = {"step": "retry", "api": "gateway", "gatewayApi.retry": "true"}
        route = mesh_chart.specs(mesh_chart.objects(values), "HTTPRoute")["frontend"]

        services = steps.rules_at("retry").of_kind("VirtualService")
        retries = services["frontend"]["http"][0]["retries"]
        (rule,) = route["rules"]
        self.assertEqual(rule["retry"]["attempts"], retries["attempts"])
        self.assertEqual(rule["timeouts"]["backendRequest"], retries["perTryTimeout"])
        self.assertIn("5xx", retries["retryOn"])
        self.assertEqual(rule["retry"]["codes"], [500, 502, 503, 504])
