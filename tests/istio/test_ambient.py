"""Ambient, as far as istiod tells: it writes into the status of each object whether it takes it, and
who enforces it. Nothing runs there, for ztunnel is no Envoy, and a waypoint needs Istio's own build
of one.
"""

import unittest

from harness.case import ProgramTest
from harness.istio_cluster import HOPS, NAMESPACE, IstioCluster
from harness.wait import eventually

APIS = ("istio", "gateway")
ROLES = ("frontend", "middleware", "backend")
GATEWAYS = "gateways.gateway.networking.k8s.io"


def conditions(told):
    """(name, type) of each condition of an object -> whether it holds."""
    status = told.get("status", {})
    return {
        (told["metadata"]["name"], one["type"]): one["status"] == "True"
        for part in (status, *status.get("parents", ()))
        for one in part.get("conditions", ())
    }


class Ambient(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(IstioCluster(dataplane="ambient"))

    def told(self, kinds):
        found = self.mesh.cluster.get(kinds, "--namespace", NAMESPACE)["items"]
        return {name: holds for one in found for name, holds in conditions(one).items()}

    def assert_all_hold(self, kinds, names):
        """In the end, and that no other condition of an object of these kinds is told."""
        wanted = dict.fromkeys(names, True)
        try:
            eventually(lambda: self.told(kinds) == wanted, "what istiod tells")
        except AssertionError:
            self.assertEqual(self.told(kinds), wanted)

    def test_every_service_and_the_clock_are_bound_to_the_waypoint(self):
        self.mesh.make_step("egress")
        versions = {f"{role}-{version}" for role, version in HOPS}
        services = {*ROLES, *versions, "collector", "collector-headless", "clock"}
        bound = {(name, "istio.io/WaypointBound") for name in services}
        self.assert_all_hold("services,serviceentries", bound)

    def test_each_policy_is_taken_by_who_enforces_it(self):
        at_waypoint = {(f"{role}-at-waypoint", "WaypointAccepted") for role in ROLES}
        at_pods = {(name, "ZtunnelAccepted") for name in (*ROLES, "collector")}
        for api in APIS:
            with self.subTest(api):
                self.mesh.make_step("prod", api=api)
                self.assert_all_hold("authorizationpolicies", at_waypoint | at_pods)

    def test_each_route_is_accepted_and_leads_somewhere(self):
        types = ("Accepted", "ResolvedRefs", "ResolvedWaypoints")
        routes = {(role, one) for role in ROLES for one in types}
        self.mesh.make_step("canary", api="gateway")
        self.assert_all_hold("httproutes,grpcroutes", routes)

    def test_the_waypoint_is_there_from_the_first_step_on(self):
        self.mesh.make_step("ingress")
        waypoint = {("waypoint", one) for one in ("Accepted", "Programmed", "ResolvedRefs")}
        self.assert_all_hold(GATEWAYS, waypoint)
        self.mesh.wait_until_ready(NAMESPACE, "deployment/waypoint")


if __name__ == "__main__":
    unittest.main()
