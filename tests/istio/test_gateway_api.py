"""The steps written in the Gateway API, whose gateway istiod itself starts: the same lesson, but for
the failures that its routes have no word for.
"""

import unittest

from harness.istio_lesson import CANARY, PROD, SECRET, IstioLessonTest
from harness.istio_cluster import NAMESPACE


class GatewayApi(IstioLessonTest):
    mesh_options = {"api": "gateway"}

    def test_the_gateway_comes_with_the_first_step_and_goes_with_the_last(self):
        def gateways():
            selector = "--selector=gateway.networking.k8s.io/gateway-name=gateway"
            words = ("deployments,services,serviceaccounts", "--namespace", NAMESPACE, selector)
            return {one["metadata"]["name"] for one in self.mesh.cluster.get(*words)["items"]}

        self.mesh.go("ingress")
        self.assertEqual(gateways(), {"gateway-istio"})
        self.mesh.go("start")
        self.assertEqual(gateways(), set())

    def test_at_ingress_only_the_outside_is_missing(self):
        self.mesh.go("ingress")
        self.assertEqual(self.lines()[3], "http://clock.outside:8080/time -> 502 Bad Gateway")

    def test_at_egress_the_clock_tells_the_time_and_both_versions_are_met(self):
        self.mesh.go("egress")
        self.assertIn('http://clock.outside:8080/time -> {"time":"', self.lines()[3])
        self.assertEqual(self.versions_met(), {PROD, CANARY})

    def test_at_prod_everybody_gets_prod(self):
        self.mesh.go("prod")
        self.assertEqual(self.versions_met(), {PROD})

    def test_at_retry_istio_s_own_choice_holds(self):
        self.mesh.go("retry")
        self.assert_calls(self.lines({"fail": "backend=first-1:unavailable"}), 5)
        self.assert_calls(self.lines({"fail": "backend=first-1"}, status=500), 3)

    def test_at_canary_who_says_the_secret_word_gets_the_canary_and_nobody_else(self):
        self.mesh.go("canary")
        self.assertEqual(self.versions_met(SECRET), {CANARY})
        self.assertEqual(self.versions_met({"x-dev-user": "somebody"}), {PROD})
        self.assertEqual(self.versions_met(), {PROD})

    def test_no_request_fails_while_steps_are_made_and_unmade(self):
        self.assert_that_no_request_fails_while_steps_are_made_and_unmade()


if __name__ == "__main__":
    unittest.main()
