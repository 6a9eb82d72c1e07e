"""The headers fail and delay."""

import collections
import math
import time

from harness import http, metrics, rpc, tree
from harness.case import Chain, ProgramTest

# Each is one item that must be ignored with a warning. Those of `delay` stand below.
MALFORMED_FAILS = (
    "abc", "-0.1", "1.1", "2", "+0.5", "0,3", "0.3.3", ".", "..", "1e0", "1e-1", "0x1", "0.3 0.4",
    "NaN", "nan", "inf", "-inf", "Infinity", "true", "%", "30%", "0.3%",
    "first", "first-", "first-0", "first--1", "first-x", "first-2x", "first-1.5", "First-2",
    "first-99999999999999999999", "first 2", "second-2",
    "=0.3", "=", "/canary=1", "backend=", "backend", "backend/=1", "/=1", "backend==1",
    "back end=1", "backend/canary/x=1", "backend=backend=1",
    "0.3:", "0.3::", ":0.3", ":", "0.3:nosuch", "0.3:0", "0.3:17", "0.3:200", "0.3:399", "0.3:600",
    "0.3:OK", "0.3:-1", "0.3:503:503", "0.3:unavailable:internal", "0.3:trailers:trailers",
    "0.3:99999999999999999999", "0.3:un available", "1:trailer",
    "%s%s%n", "$(id)", "../../etc/passwd", "<script>alert(1)</script>", '"', "'", "\\", "{}", "[]",
    "\x7f", "0.3\t0.4", "ñ", "０.３", "x" * 4096, "9" * 4096, ":" * 4096, "=" * 4096, "/" * 4096,
)
MALFORMED_DELAYS = (
    "100", "0", "ms", "s", "-1s", "+1s", "1 s", "1S", "1d", "1e3ms", "0x10ms", "..1s", "1.1.1s",
    "NaNs", "infs", "1s1s", "1s2ms", "soon", "=1s", "backend=", "backend/=1s",
    "1ms:", ":1ms", "1ms:2", "1ms:-1", "1ms:x", "1ms:0.5:0.5", "1ms:trailers", "first-2", "%n",
    "x" * 4096,
)

SIGMAS = 3
REQUESTS = 3000


class FaultTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())


class Dice(FaultTest):
    def failures_by_hop(self, fail, requests):
        """How often each hop failed; under None how often none did."""
        counts = collections.Counter()
        with http.Client(self.chain.frontend.http_port) as client:
            for _ in range(requests):
                answer = client.get_json("/", {"fail": fail})
                failure = answer.json.get("failure")
                self.assertEqual(answer.status, 500 if failure else 200, answer)
                counts[failure and failure["hop"]] += 1
        return counts

    def outlier(self, counts, probability):
        """The first hop whose rate of failure is not `probability`, within 3 sigma; or None."""
        reached = sum(counts.values())
        for role in Chain.ROLES:
            failed = counts[f"{role}-prod"]
            sigma = math.sqrt(reached * probability * (1 - probability))
            if abs(failed - reached * probability) > SIGMAS * sigma:
                return f"{role}: {failed} of {reached}"
            reached -= failed
        return None

    def test_every_hop_fails_as_often_as_asked(self):
        outliers = []
        # Fair dice are 3 sigma off once in 370 runs, so a miss is thrown again: twice in a row
        # is once in 15,000 runs of these three hops.
        for _ in range(2):
            counts = self.failures_by_hop("0.3", REQUESTS)
            self.assertEqual(set(counts) - {f"{role}-prod" for role in Chain.ROLES}, {None})
            outlier = self.outlier(counts, 0.3)
            if outlier is None:
                return
            outliers.append(outlier)
        self.fail(f"not 0.3, twice: {outliers}")

    def test_zero_never_fails(self):
        self.assertEqual(self.failures_by_hop("0", 300), {None: 300})

    def test_one_always_fails_and_calls_nobody(self):
        before = metrics.read(self.chain.middleware).total("tracehop_requests_total")
        self.assertEqual(self.failures_by_hop("1", 300), {"frontend-prod": 300})
        after = metrics.read(self.chain.middleware).total("tracehop_requests_total")
        self.assertEqual(after, before)

    def test_the_clock_only_tells_the_time(self):
        self.assertEqual(self.failures_by_hop("clock=1", 20), {None: 20})

    def test_only_the_role_that_is_named_fails(self):
        for role in Chain.ROLES:
            self.assertEqual(self.failures_by_hop(f"{role}=1", 20), {f"{role}-prod": 20})

    def test_only_the_version_that_is_named_fails(self):
        self.assertEqual(self.failures_by_hop("backend/canary=1", 20), {None: 20})
        self.assertEqual(self.failures_by_hop("backend/prod=1", 20), {"backend-prod": 20})

    def test_the_most_closely_targeted_item_wins(self):
        table = {
            "1; frontend=0; middleware=0": "backend-prod",
            "frontend=0; middleware=0; 1": "backend-prod",
            "middleware/prod=1; middleware=0; frontend=0": "middleware-prod",
            "middleware=1; middleware/prod=0": None,
            "middleware/canary=1; 0": None,
        }
        for fail, hop in table.items():
            with self.subTest(fail=fail):
                self.assertEqual(self.failures_by_hop(fail, 5), {hop: 5})

    def test_what_was_rolled_is_counted(self):
        before = metrics.read(self.chain.backend).total("tracehop_faults_total", kind="fail")
        self.failures_by_hop("backend=1", 10)
        after = metrics.read(self.chain.backend).total("tracehop_faults_total", kind="fail")
        self.assertEqual(after - before, 10)

    def test_a_seed_repeats_every_roll(self):
        def rolls(seed):
            hop = self.hop(FAULT_SEED=seed)
            with rpc.connect(hop.grpc_port) as channel:
                return [rpc.call_on(channel, [("fail", "0.5")]).code for _ in range(64)]

        self.assertEqual(rolls(42), rolls(42))
        self.assertNotEqual(rolls(42), rolls(43))


class Statuses(FaultTest):
    def test_every_code_by_name_and_number_on_both_fronts(self):
        for number, name, http_status in rpc.FAILURES:
            for asked in (name, name.lower(), name.lower().replace("_", "-"), str(number)):
                with self.subTest(asked=asked):
                    fail = f"backend=1:{asked}"
                    outcome = rpc.call(self.chain.frontend.grpc_port, [("fail", fail)])
                    self.assertEqual(outcome.code, name, outcome)
                    answer = http.get(self.chain.frontend.http_port, headers={"fail": fail})
                    self.assertEqual(answer.status, http_status, answer)

    def test_http_codes_are_mapped_to_grpc(self):
        for code, name in {
            400: "INVALID_ARGUMENT",
            401: "UNAUTHENTICATED",
            403: "PERMISSION_DENIED",
            404: "NOT_FOUND",
            429: "RESOURCE_EXHAUSTED",
            499: "CANCELLED",
            500: "INTERNAL",
            501: "UNIMPLEMENTED",
            503: "UNAVAILABLE",
            504: "DEADLINE_EXCEEDED",
        }.items():
            with self.subTest(code=code):
                outcome = rpc.call(self.chain.backend.grpc_port, [("fail", f"1:{code}")])
                self.assertEqual(outcome.code, name)
                answer = http.get(self.chain.backend.http_port, headers={"fail": f"1:{code}"})
                self.assertEqual(answer.status, code)

    def test_a_failure_names_the_hop_and_carries_the_partial_tree(self):
        answer = http.get_json(self.chain.frontend.http_port, headers={"fail": "backend=1:503"})
        self.assertEqual(answer.status, 503)
        failure = answer.json["failure"]
        self.assertEqual((failure["hop"], failure["status"]), ("backend-prod", "UNAVAILABLE"))
        self.assertEqual(failure["code"], 14)
        reply = tree.from_json(answer.json)
        self.assertEqual(reply.name, "frontend-prod")
        middleware = reply.upstreams[0].failure
        self.assertEqual(middleware.partial.name, "middleware-prod")
        backend = middleware.partial.upstreams[0].failure
        self.assertEqual((backend.partial.name, backend.hop), ("backend-prod", "backend-prod"))

    def test_a_grpc_failure_has_its_tree_in_the_details(self):
        outcome = rpc.call(self.chain.frontend.grpc_port, [("fail", "backend=1")])
        self.assertEqual(outcome.code, "INTERNAL")
        self.assertEqual(outcome.details.code, 13)
        self.assertEqual(outcome.details.message, outcome.message)
        self.assertIn("backend-prod", outcome.message)
        self.assertIn("tracehop.v1", outcome.details.details[0].type_url)

    def test_text_and_page_name_the_failing_hop_too(self):
        for accept in ("text/plain", "text/html"):
            answer = http.get(
                self.chain.frontend.http_port, headers={"Accept": accept, "fail": "backend=1"}
            )
            self.assertEqual(answer.status, 500)
            self.assertIn("backend-prod", answer.text)


class Delays(FaultTest):
    def test_a_delay_waits_at_the_hop_that_is_named(self):
        reply = rpc.call(self.chain.frontend.grpc_port, [("delay", "backend=300ms")]).reply
        self.assertGreaterEqual(tree.last_hop(reply).duration_us, 300_000)
        alone = rpc.call(self.chain.frontend.grpc_port, [("delay", "nobody=30s")]).reply
        self.assertLess(alone.duration_us, 10_000_000)

    def test_a_probability_of_zero_and_one_is_exact(self):
        started = time.monotonic()
        for _ in range(50):
            rpc.call(self.chain.backend.grpc_port, [("delay", "1s:0")])
        self.assertLess(time.monotonic() - started, 30)
        reply = rpc.call(self.chain.backend.grpc_port, [("delay", "200ms:1")]).reply
        self.assertGreaterEqual(reply.duration_us, 200_000)

    def test_a_delay_holds_no_thread(self):
        hop = self.hop()
        with rpc.connect(hop.grpc_port) as channel:
            started = time.monotonic()
            pending = [rpc.start_call(channel, [("delay", "1s")]) for _ in range(100)]
            for one in pending:
                one.result()
        self.assertLess(time.monotonic() - started, 20)

    def test_the_deadline_bounds_a_delay(self):
        started = time.monotonic()
        outcome = rpc.call(self.chain.backend.grpc_port, [("delay", "20s")], timeout_s=0.3)
        self.assertEqual(outcome.code, "DEADLINE_EXCEEDED")
        self.assertLess(time.monotonic() - started, 10)


class Malformed(FaultTest):
    def assert_ignored(self, name, value):
        raw = value.encode("utf-8")
        answer = http.get_json(self.chain.backend.http_port, headers=[(name, raw)])
        self.assertEqual(answer.status, 200, answer)
        warning = answer.headers["x-tracehop-warning"]
        self.assertTrue(warning, answer)
        self.assertTrue(warning.isascii() and warning.isprintable(), warning)
        self.assertLess(len(warning), 1024)
        self.assertEqual(answer.json["warning"], warning)

    def test_there_are_enough_of_them(self):
        self.assertGreaterEqual(len(set(MALFORMED_FAILS)), 40)

    def test_each_bad_fail_item_is_ignored_with_a_warning(self):
        for value in MALFORMED_FAILS:
            with self.subTest(fail=value[:80]):
                self.assert_ignored("fail", value)

    def test_each_bad_delay_item_is_ignored_with_a_warning(self):
        for value in MALFORMED_DELAYS:
            with self.subTest(delay=value[:80]):
                self.assert_ignored("delay", value)

    def test_bytes_that_are_no_text_are_ignored_with_a_warning(self):
        for raw in (b"\xff", b"\xc3\x28", b"0.3\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"):
            with self.subTest(raw=raw):
                answer = http.get(self.chain.frontend.http_port, headers=[("fail", raw)])
                self.assertEqual(answer.status, 200, answer)
                self.assertTrue(answer.headers["x-tracehop-warning"].isascii())

    def test_a_bad_item_does_not_spoil_the_good_one_beside_it(self):
        for fail in ("nonsense; backend=1", "backend=1; nonsense", "nonsense;backend=1;;:;"):
            with self.subTest(fail=fail):
                answer = http.get_json(self.chain.frontend.http_port, headers={"fail": fail})
                self.assertEqual(answer.json["failure"]["hop"], "backend-prod")
                self.assertIn("nonsense", answer.headers["x-tracehop-warning"])

    def test_empty_items_ask_for_nothing_and_need_no_warning(self):
        for fail in ("", ";", " ; ;", ";;;;"):
            with self.subTest(fail=fail):
                answer = http.get(self.chain.frontend.http_port, headers={"fail": fail})
                self.assertEqual(answer.status, 200)
                self.assertNotIn("x-tracehop-warning", answer.headers)

    def test_more_items_than_a_plan_holds_are_ignored_with_a_warning(self):
        fail = ";".join(["nobody=1"] * 200)
        answer = http.get(self.chain.backend.http_port, headers={"fail": fail})
        self.assertEqual(answer.status, 200)
        self.assertIn("x-tracehop-warning", answer.headers)

    def test_ignored_items_are_counted(self):
        name = "tracehop_fault_items_ignored_total"
        before = metrics.read(self.chain.backend).total(name)
        http.get(self.chain.backend.http_port, headers={"fail": "one;two;three", "delay": "four"})
        self.assertEqual(metrics.read(self.chain.backend).total(name) - before, 4)

    def test_grpc_callers_are_warned_too(self):
        outcome = rpc.call(self.chain.backend.grpc_port, [("fail", "nonsense")])
        self.assertEqual(outcome.code, "OK")
        self.assertIn("nonsense", outcome.trailing["x-tracehop-warning"])
