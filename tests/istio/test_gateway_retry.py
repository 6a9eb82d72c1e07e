"""Where the cluster has the Gateway API's experimental channel, its routes have a word for retries:
from the gateway to the frontend, of statuses of HTTP.
"""

import unittest

from harness.istio_lesson import IstioLessonTest


class GatewayRetry(IstioLessonTest):
    mesh_options = {"api": "gateway", "channel": "experimental"}

    def test_the_gateway_tries_again_when_the_frontend_fails(self):
        self.mesh.go("retry", gatewayApi={"retry": True})
        self.assertIn(", attempt 4", self.lines({"fail": "frontend=first-3"})[0])
        self.assertIn(", attempt 4", self.lines({"fail": "frontend=1"}, status=500)[0])

    def test_it_does_not_when_the_route_may_not_say_so(self):
        self.mesh.go("retry", gatewayApi={"retry": False})
        self.assertIn(", attempt 1", self.lines({"fail": "frontend=first-3"}, status=500)[0])


if __name__ == "__main__":
    unittest.main()
