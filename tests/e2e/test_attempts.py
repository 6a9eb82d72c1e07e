"""Attempts: every retry that a proxy makes repeats the mark of its call, and is counted."""

import uuid

from harness import http, metrics, rpc, tree
from harness.case import ProgramTest
from harness.messages import message
from harness.upstreams import GrpcUpstream, HttpUpstream, RefusingUpstream, RetryingProxy
from harness.wait import eventually


def new_id():
    return str(uuid.uuid4())


class Counting(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hop_under_test = cls.shared_hop("backend")

    def attempt(self, *metadata):
        return rpc.call(self.hop_under_test.grpc_port, metadata).reply.attempt

    def test_without_a_mark_every_call_is_the_first(self):
        self.assertEqual([self.attempt() for _ in range(3)], [1, 1, 1])

    def test_the_same_mark_counts_up(self):
        mark = ("x-tracehop-call", new_id())
        self.assertEqual([self.attempt(mark) for _ in range(4)], [1, 2, 3, 4])
        self.assertEqual(self.attempt(("x-tracehop-call", new_id())), 1)

    def test_at_the_edge_the_request_id_is_the_mark(self):
        request_id = ("x-request-id", new_id())
        self.assertEqual([self.attempt(request_id) for _ in range(3)], [1, 2, 3])

    def test_the_mark_of_a_hop_comes_before_the_request_id(self):
        request_id = ("x-request-id", new_id())
        marks = [("x-tracehop-call", new_id()) for _ in range(3)]
        self.assertEqual([self.attempt(request_id, mark) for mark in marks], [1, 1, 1])

    def test_a_proxy_s_count_wins_when_it_is_larger(self):
        mark = ("x-tracehop-call", new_id())
        self.assertEqual(self.attempt(mark, ("x-envoy-attempt-count", "5")), 5)
        self.assertEqual(self.attempt(mark, ("x-envoy-attempt-count", "1")), 2)

    def test_a_proxy_s_nonsense_is_ignored(self):
        for count in ("", "x", "-1", "0", "1.5", "99999999999999999999", "4294967296"):
            with self.subTest(count=count):
                self.assertEqual(self.attempt(("x-envoy-attempt-count", count)), 1)

    def test_marks_may_be_anything(self):
        for mark in ("", " ", "x" * 4000, "%s%n", "a,b;c"):
            with self.subTest(mark=mark[:20]):
                self.assertGreaterEqual(self.attempt(("x-tracehop-call", mark)), 1)

    def test_attempts_are_counted(self):
        before = metrics.read(self.hop_under_test).total("tracehop_attempts_total", attempt="2")
        mark = ("x-tracehop-call", new_id())
        for _ in range(3):
            self.attempt(mark)
        after = metrics.read(self.hop_under_test).total("tracehop_attempts_total", attempt="2")
        self.assertEqual(after - before, 1)


class FirstAttempts(ProgramTest):
    def test_first_2_fails_exactly_twice_per_call(self):
        backend = self.hop("backend")
        for _ in range(10):
            metadata = [("fail", "backend=first-2"), ("x-tracehop-call", new_id())]
            codes = [rpc.call(backend.grpc_port, metadata).code for _ in range(5)]
            self.assertEqual(codes, ["INTERNAL", "INTERNAL", "OK", "OK", "OK"])

    def test_first_2_at_the_edge(self):
        frontend = self.hop("frontend")
        for _ in range(10):
            headers = {"fail": "first-2", "x-request-id": new_id()}
            statuses = [http.get(frontend.http_port, headers=headers).status for _ in range(4)]
            self.assertEqual(statuses, [500, 500, 200, 200])

    def test_behind_a_proxy_that_retries_a_call_fails_twice_and_then_succeeds(self):
        backend = self.hop("backend")
        proxy = self.start(RetryingProxy(backend.grpc_port, tries=4))
        frontend = self.hop("frontend", upstream=proxy.uri)
        for _ in range(10):
            proxy.codes.clear()
            reply = rpc.call(frontend.grpc_port, [("fail", "backend=first-2")]).reply
            self.assertEqual(proxy.codes, ["INTERNAL", "INTERNAL", "OK"])
            self.assertEqual(tree.last_hop(reply).attempt, 3)

    def test_too_few_retries_fail_the_chain(self):
        backend = self.hop("backend")
        proxy = self.start(RetryingProxy(backend.grpc_port, tries=2))
        frontend = self.hop("frontend", upstream=proxy.uri)
        self.assertEqual(rpc.call(frontend.grpc_port, [("fail", "backend=first-2")]).code, "INTERNAL")


class Calls(ProgramTest):
    """What one click cost: each hop's own call, all below it, and each try of each of them."""

    def chain(self, tries, **settings):
        """The first proxy of: proxy -> frontend -> proxy -> middleware -> proxy -> backend."""
        clock = self.hop("clock")
        upstream = clock.time_uri
        for role in ("backend", "middleware", "frontend"):
            hop = self.hop(role, upstream=upstream, **settings)
            proxy = self.start(RetryingProxy(hop.grpc_port, tries))
            upstream = proxy.uri
        return proxy

    def test_a_chain_without_failures_costs_each_call_once(self):
        reply = rpc.call(self.chain(tries=4).port).reply
        costs = []
        while True:
            costs.append(reply.calls)
            if not reply.upstreams[0].HasField("hop"):
                break
            reply = reply.upstreams[0].hop
        self.assertEqual(costs, [4, 3, 2])

    def test_retries_at_every_stage_multiply(self):
        proxy = self.chain(tries=4)
        for _ in range(2):
            metadata = [("fail", "backend=1"), ("x-request-id", new_id())]
            outcome = rpc.call(proxy.port, metadata)
            self.assertEqual(outcome.code, "INTERNAL")
            self.assertEqual(partial_tree(outcome).calls, 4 + 16 + 64)

    def test_tries_that_failed_count_in_the_answer_of_the_one_that_did_not(self):
        reply = rpc.call(self.chain(tries=4).port, [("fail", "backend=first-2")]).reply
        # frontend, middleware, three tries at backend, and the third one's call of the clock
        self.assertEqual(reply.calls, 1 + 1 + 3 + 1)
        self.assertEqual(tree.last_hop(reply).calls, 3 + 1)
        self.assertEqual(tree.last_hop(reply).attempt, 3)

    def test_without_a_mark_nothing_is_known_of_earlier_tries(self):
        backend = self.hop("backend")
        self.assertEqual([rpc.call(backend.grpc_port).reply.calls for _ in range(3)], [1, 1, 1])

    def test_a_try_that_was_given_up_counts_once_it_has_ended(self):
        backend = self.hop("backend")
        mark = ("x-tracehop-call", new_id())
        with rpc.connect(backend.grpc_port) as channel:
            slow = rpc.start_call(channel, [mark, ("delay", "30s")])
            eventually(lambda: delays(backend) == 1, "the call waits")
            self.assertEqual(rpc.call_on(channel, [mark]).reply.calls, 1)
            slow.cancel()
            eventually(lambda: len(backend.logged("request")) == 2, "the call ends")
        reply = rpc.call(backend.grpc_port, [mark]).reply
        self.assertEqual((reply.attempt, reply.calls), (3, 3))

    def test_what_is_no_hop_or_fails_without_a_tree_costs_one_call(self):
        dead = self.start(RefusingUpstream())
        page = self.start(HttpUpstream("500 Internal Server Error"))
        hop = self.hop(
            upstream=[page.uri, f"grpc://127.0.0.1:{dead.port}"], ON_UPSTREAM_FAILURE="report"
        )
        self.assertEqual(rpc.call(hop.grpc_port).reply.calls, 3)

    def test_over_http_a_call_costs_the_same(self):
        last = self.hop("last")
        first = self.hop("first", upstream=last.http_uri)
        self.assertEqual(http.get_json(first.http_port).json["calls"], 2)
        answer = http.get_json(first.http_port, headers={"fail": "last=1"})
        self.assertEqual((answer.status, answer.json["calls"]), (500, 2))

    def test_a_tree_too_large_for_a_failure_still_says_what_it_cost(self):
        last = self.hop("last")
        page = self.start(HttpUpstream(body=b"x" * 4096))
        middle = self.hop("middle", upstream=[page.uri] * 3 + [last.grpc_uri])
        first = self.hop("first", upstream=middle.grpc_uri)
        outcome = rpc.call(first.grpc_port, [("fail", "last=1")])
        self.assertEqual(outcome.code, "INTERNAL")
        self.assertEqual(partial_tree(outcome).calls, 1 + 1 + 3 + 1)

    def test_a_stranger_s_number_is_bounded(self):
        reply = message("tracehop.v1.CallReply")(role="boaster", calls=0xFFFFFFFF)
        boasters = [self.start(GrpcUpstream(lambda context: reply)) for _ in range(2)]
        hop = self.hop(upstream=[boaster.uri for boaster in boasters])
        self.assertEqual(rpc.call(hop.grpc_port).reply.calls, 0xFFFFFFFF)


def delays(hop):
    return metrics.read(hop).total("tracehop_faults_total", kind="delay")


def partial_tree(outcome):
    """The tree in the details of a failed call."""
    failure = message("tracehop.v1.Failure")()
    outcome.details.details[0].Unpack(failure)
    return failure.partial
