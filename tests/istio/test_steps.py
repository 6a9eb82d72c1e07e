"""The steps of the lesson with Istio itself: what each opens, hides and shows, as the README tells
it of the local mesh, and that the local mesh does the same.
"""

import re
import unittest

from harness import http
from harness.istio_lesson import CANARY, PROD, SECRET, IstioLessonTest
from harness.istio_cluster import STEPS
from harness.mesh import Mesh

# What both meshes are asked at each step. While nobody has said who gets which version, calls of
# middleware must not be tried again: who gets the next try is drawn.
REQUESTS = (
    {},
    SECRET,
    {"x-dev-user": "somebody"},
    {"fail": "frontend=1"},
    {"fail": "frontend=1:unavailable"},
    {"fail": "backend=first-1:unavailable"},
    {"fail": "backend=first-2"},
    {"fail": "middleware=first-3;backend=first-1"},
    {"fail": "backend=1"},
    {"fail": "backend=1:trailers"},
    {"fail": "backend=1:resource_exhausted"},
    {"fail": "middleware/canary=1"},
    {"fail": "middleware/canary=1", **SECRET},
    {"fail": "nonsense=="},
)
# So often is each asked then, until both meshes have shown the same. Of two versions, the same one
# 40 times in a row is drawn once in 500 billion times.
LEAST, MOST = 12, 40

_VARYING = (
    (r"\d+\.\d+secs", "SECONDS"),
    (r'\{"time":.*\}', "TIME"),
)


def told(port, headers=()):
    """What curl shows, but for times."""
    answer = http.get(port, "/?detail", headers)
    text = answer.text
    for varying, name in _VARYING:
        text = re.sub(varying, name, text)
    return answer.status, answer.headers.get("x-tracehop-warning"), text


class Steps(IstioLessonTest):
    def test_before_ingress_nobody_gets_in(self):
        self.mesh.go("start")
        with self.assertRaises(ConnectionRefusedError):
            self.ask()

    def test_at_ingress_only_the_outside_is_missing(self):
        self.mesh.go("ingress")
        lines = self.lines()
        self.assertTrue(lines[2].startswith("grpc://backend:9090 -> backend-prod - "), lines)
        self.assertEqual(lines[3], "http://clock.outside:8080/time -> 502 Bad Gateway")

    def test_at_egress_the_clock_tells_the_time_and_both_versions_are_met(self):
        self.mesh.go("egress")
        self.assertIn('http://clock.outside:8080/time -> {"time":"', self.lines()[3])
        self.assertEqual(self.versions_met(), {PROD, CANARY})

    def test_at_prod_everybody_gets_prod_and_failures_come_through(self):
        self.mesh.go("prod")
        self.assertEqual(self.versions_met(), {PROD})
        failure = "backend-prod failed because the fail header asked for it"
        lines = self.lines({"fail": "backend=first-2"}, status=500)
        self.assertIn(f"failed: INTERNAL: {failure} (at backend-prod)", lines)
        self.assert_calls(lines, 3)

    def test_at_retry_failed_calls_are_made_again(self):
        self.mesh.go("retry")
        self.assertEqual(self.versions_met(), {PROD})
        self.assert_calls(self.lines({"fail": "backend=first-2"}), 6)

    def test_at_retry_one_click_becomes_84_calls_and_36_after_headers_were_sent(self):
        self.mesh.go("retry")
        self.assert_calls(self.lines({"fail": "backend=1"}, status=500), 84)
        self.assert_calls(self.lines({"fail": "backend=1:trailers"}, status=500), 36)

    def test_at_canary_who_says_the_secret_word_gets_the_canary_and_nobody_else(self):
        self.mesh.go("canary")
        self.assertEqual(self.versions_met(SECRET), {CANARY})
        self.assertEqual(self.versions_met({"x-dev-user": "somebody"}), {PROD})
        self.assertEqual(self.versions_met(), {PROD})
        self.assert_calls(self.lines({"fail": "backend=first-2", **SECRET}), 6)

    def test_a_step_replaces_no_pod_ends_no_process_and_is_refused_by_no_proxy(self):
        def pods():
            known = self.mesh.cluster.get("pods", "--all-namespaces")["items"]
            return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in known}

        before = pods()
        for step in (*STEPS, "start"):
            with self.subTest(step):
                self.mesh.go(step)
                self.assertEqual(self.mesh.refused(), {})
        self.assertEqual(pods(), before)
        self.assertEqual([str(pod) for pod in self.mesh.pods if not pod.is_running()], [])
        self.assertEqual(self.mesh.complaints(), {})

    def test_no_request_fails_while_steps_are_made_and_unmade(self):
        self.assert_that_no_request_fails_while_steps_are_made_and_unmade()

    def answers(self, local, headers, least, most):
        """Of the local mesh, and of Istio's: all that differ, until both have given the same."""
        expected, found = set(), set()
        for asked in range(most):
            if asked >= least and found == expected:
                break
            expected.add(told(local.http, headers))
            found.add(told(self.mesh.http, headers))
        return expected, found

    def test_the_local_mesh_gives_the_same_answers_at_every_step(self):
        local = self.start(Mesh(step="start"))
        for step in STEPS[1:]:
            self.mesh.go(step)
            local.must(step)
            least, most = (LEAST, MOST) if step in ("ingress", "egress") else (1, 1)
            for headers in REQUESTS:
                with self.subTest(step=step, **headers):
                    expected, found = self.answers(local, headers, least, most)
                    self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
