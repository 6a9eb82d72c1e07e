"""Attempts: every retry that a proxy makes repeats the mark of its call, and is counted."""

import uuid

from harness import http, metrics, rpc, tree
from harness.case import ProgramTest
from harness.upstreams import RetryingProxy


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
