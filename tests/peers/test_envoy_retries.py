"""Retries by the real Envoy: which failures of a hop it takes back and which it cannot, and what
that costs. The hops count their calls themselves.
"""

from harness import metrics
from harness.case import ProgramTest
from harness.mesh import IN_MESH, PROXIES, Mesh, attempts
from harness.wait import eventually

# All of gRPC that retryOn has a word for.
CONDITIONS = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")
ALL_CONDITIONS = ",".join((*CONDITIONS, "5xx", "reset", "refused-stream", "connect-failure"))

BEFORE_BACKEND = {"frontend-prod": 1, "middleware-prod": 1}


def backend_failing_with(condition):
    """The value of the header fail. Its statuses have the names that gRPC gives them."""
    return f"backend=1:{condition.replace('-', '_')}"


def failed_hop(answer):
    """Of a chain: the hop that failed, as the answer tells it."""
    hop = answer.json
    while hop.get("upstreams"):
        hop = hop["upstreams"][0]["failure"]["partial"]
    return hop


def attempts_down(hop):
    """The attempt of each hop of a chain at which it succeeded."""
    [upstream] = hop["upstreams"]
    below = attempts_down(upstream["hop"]) if "hop" in upstream else ()
    return (hop["attempt"], *below)


class Retries(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(Mesh(step="prod"))

    def assert_calls(self, fail, expected):
        """What a request costs, by the hops' own count and by the answer; returns the answer."""
        answer, calls = self.mesh.cost({"fail": fail})
        self.assertEqual(calls, expected, answer)
        self.assertEqual(answer.json["calls"], sum(expected.values()))
        return answer

    def assert_fails_at_backend(self, fail, calls):
        answer = self.assert_calls(fail, {**BEFORE_BACKEND, "backend-prod": calls})
        hop = failed_hop(answer)
        self.assertEqual((hop["attempt"], hop["calls"]), (calls, calls))
        self.assertEqual((hop["name"], answer.json["failure"]["hop"]), ("backend-prod",) * 2)
        return answer


class WhatIsRetried(Retries):
    def test_internal_where_the_rule_names_it_as_often_as_the_rule_says(self):
        for number in (1, 3, 5):
            with self.subTest(attempts=number):
                self.mesh.set_retries(backend=attempts("internal", attempts=number))
                answer = self.assert_fails_at_backend("backend=1", 1 + number)
                self.assertEqual(answer.status, 500)

    def test_nothing_once_headers_were_sent(self):
        self.mesh.set_retries(backend=attempts(ALL_CONDITIONS, attempts=3))
        for name in CONDITIONS:
            with self.subTest(name):
                self.assert_fails_at_backend(backend_failing_with(name), 4)
                self.assert_fails_at_backend(f"{backend_failing_with(name)}:trailers", 1)

    def test_each_status_by_its_own_name_only(self):
        for wanted in CONDITIONS:
            self.mesh.set_retries(backend=attempts(wanted, attempts=1))
            for status in CONDITIONS:
                with self.subTest(retryOn=wanted, status=status):
                    calls = 2 if status == wanted else 1
                    self.assert_fails_at_backend(backend_failing_with(status), calls)

    def test_5xx_is_about_http(self):
        retries = attempts("5xx", attempts=3)
        self.mesh.set_retries(frontend=retries, backend=retries)
        answer = self.assert_calls("frontend=1", {"frontend-prod": 4})
        self.assertEqual((answer.status, answer.json["attempt"]), (500, 4))
        # The backend's INTERNAL has HTTP's 200; only what the frontend makes of it is a 500.
        each = {"frontend-prod": 4, "middleware-prod": 4, "backend-prod": 4}
        self.assertEqual(self.assert_calls("backend=1", each).status, 500)

    def test_numbers_are_http_statuses(self):
        self.mesh.set_retries(frontend=attempts("503", attempts=2))
        for status, calls in (("503", 3), ("500", 1), ("504", 1)):
            answer = self.assert_calls(f"frontend=1:{status}", {"frontend-prod": calls})
            self.assertEqual(answer.status, int(status))

    def test_attempts_alone_do_not_hide_a_failure(self):
        bare = attempts(attempts=3)
        self.mesh.set_retries(frontend=bare, middleware=bare, backend=bare)
        for fail, hop in (("frontend=1", 0), ("middleware=1", 1), ("backend=1", 2)):
            with self.subTest(fail):
                names = ("frontend-prod", "middleware-prod", "backend-prod")[: hop + 1]
                answer = self.assert_calls(fail, dict.fromkeys(names, 1))
                self.assertEqual(answer.status, 500)
                self.assertEqual(answer.json["failure"]["hop"], names[-1])

    def test_nor_does_a_route_that_says_nothing(self):
        self.mesh.must("prod")
        self.assertEqual(self.assert_fails_at_backend("backend=1", 1).status, 500)
        self.assertEqual(self.assert_calls("frontend=1", {"frontend-prod": 1}).status, 500)

    def test_unavailable_is_retried_without_being_asked_for(self):
        """Twice, by the sidecar of whoever calls; not by the gateway, to which it is a 503."""
        self.mesh.must("prod")
        each = {"frontend-prod": 1, "middleware-prod": 3, "backend-prod": 9}
        self.assertEqual(self.assert_calls("backend=1:unavailable", each).status, 503)
        self.mesh.set_retries(backend={"retries": {"attempts": 2}})
        self.assert_fails_at_backend("backend=1:unavailable", 3)

    def test_unless_attempts_are_0(self):
        self.mesh.set_retries()
        self.assert_fails_at_backend("backend=1:unavailable", 1)

    def test_until_it_succeeds(self):
        self.mesh.must("retry")
        for fail, tries in (
            ("frontend=first-2", (3, 1, 1)),
            ("middleware=first-2", (1, 3, 1)),
            ("backend=first-2", (1, 1, 3)),
            ("first-2", (3, 3, 3)),
            ("backend=first-3", (1, 1, 4)),
        ):
            with self.subTest(fail):
                calls = dict(zip((*BEFORE_BACKEND, "backend-prod"), tries))
                answer = self.assert_calls(fail, {**calls, "clock": 1})
                self.assertEqual((answer.status, attempts_down(answer.json)), (200, tries))

    def test_one_too_few_fails(self):
        self.mesh.set_retries(backend=attempts("internal", attempts=1))
        self.assert_fails_at_backend("backend=first-2", 2)


class TimeLimits(Retries):
    # It fails in the end so that it calls nobody when it is given up.
    SLOW_FRONTEND = {"delay": "frontend=2s", "fail": "frontend=1"}

    def cut(self, proxy, name):
        return self.mesh.statistics(proxy, rf"cluster\.outbound\|.*\.{name}")

    def test_a_try_that_takes_too_long_is_cut_and_made_again(self):
        self.mesh.set_retries(frontend=attempts("5xx", attempts=2, perTryTimeout="200ms"))
        before = self.cut("gateway", "upstream_rq_per_try_timeout")
        answer = self.mesh.get(self.SLOW_FRONTEND)
        self.assertEqual(answer.status, 504, answer)
        self.assertEqual(self.cut("gateway", "upstream_rq_per_try_timeout") - before, 3)

    def test_the_hop_is_told_how_long_its_caller_will_wait(self):
        """So it stops, too: either it says first that time is over, or the proxy hangs up."""
        self.mesh.set_retries(
            backend=attempts("5xx,deadline-exceeded", attempts=1, perTryTimeout="500ms")
        )
        self.assert_given_up_at_backend(2)

    def test_a_route_s_timeout_is_for_all_its_tries(self):
        self.mesh.set_retries(
            frontend={**attempts("5xx", attempts=50, perTryTimeout="200ms"), "timeout": "500ms"}
        )
        before = self.cut("gateway", "upstream_rq_timeout")
        answer = self.mesh.get(self.SLOW_FRONTEND)
        self.assertEqual(answer.status, 504, answer)
        self.assertEqual(self.cut("gateway", "upstream_rq_timeout") - before, 1)

    def test_and_a_route_s_without_tries(self):
        self.mesh.set_retries(backend={"retries": {"attempts": 0}, "timeout": "500ms"})
        self.assert_given_up_at_backend(1)

    def assert_given_up_at_backend(self, count):
        before = self.mesh.calls()["backend-prod"]
        answer = self.mesh.get({"delay": "backend=25s"})
        self.assertIn(answer.status, (503, 504), answer)
        eventually(
            lambda: self.mesh.calls()["backend-prod"] - before == count, f"{count} calls end", 10
        )


class Multiplication(Retries):
    """At the step of the lesson: what fails for good is tried 4 times by each of three callers."""

    def setUp(self):
        self.mesh.must("retry")

    def tries_cut(self):
        """How many tries took longer than the rule allows, as callers and as called hops count."""
        by_proxies = sum(
            self.mesh.statistics(proxy, r"cluster\..*\.upstream_rq_per_try_timeout")
            for proxy in PROXIES
        )
        by_hops = sum(
            metrics.read(self.mesh.hop(name)).total("tracehop_requests_total", status=status)
            for name in IN_MESH
            for status in ("CANCELLED", "DEADLINE_EXCEEDED")
        )
        return by_proxies + by_hops

    def assert_cost(self, fail, expected):
        cut_before = self.tries_cut()
        answer, calls = self.mesh.cost({"fail": fail})
        if self.tries_cut() > cut_before:
            self.assertGreaterEqual(answer.status, 500)
            for name, count in calls.items():
                self.assertLessEqual(count, expected[name], name)
            self.skipTest(f"some tries were cut, for they took longer than 2 s: {calls}")
        self.assertEqual((answer.status, calls), (500, expected))
        self.assertEqual(answer.json["calls"], sum(expected.values()))
        return answer

    def test_when_the_backend_always_fails_4_16_64(self):
        each = {"frontend-prod": 4, "middleware-prod": 16, "backend-prod": 64}
        answer = self.assert_cost("backend=1", each)
        self.assertEqual(failed_hop(answer)["attempt"], 4)

    def test_when_the_backend_has_sent_its_headers_only_the_others_retry(self):
        each = {"frontend-prod": 4, "middleware-prod": 16, "backend-prod": 16}
        answer = self.assert_cost("backend=1:trailers", each)
        self.assertEqual(failed_hop(answer)["attempt"], 1)

    def test_whoever_fails_first_spares_those_behind_it(self):
        self.assert_cost("1", {"frontend-prod": 4})
        self.assert_cost("middleware=1", {"frontend-prod": 4, "middleware-prod": 16})
