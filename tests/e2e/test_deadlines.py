"""Deadlines and cancellation pass down the chain, and nothing of a call that ended stays behind."""

import socket
import threading
import time

from harness import http, metrics, rpc
from harness.case import Chain, ProgramTest
from harness.upstreams import GrpcUpstream, SilentUpstream
from harness.wait import eventually

# At every hop, grpc-timeout is rounded up to three digits.
ROUNDING_S = 0.05


class Hanging:
    """A gRPC upstream whose calls hang, and which knows what became of them."""

    def __init__(self):
        self.remaining_s = []
        self._hanging = []
        self._ended = threading.Semaphore(0)
        self.upstream = GrpcUpstream(self._hang)

    def _hang(self, context):
        ended = threading.Event()
        self._hanging.append(ended)
        if context.add_callback(ended.set):
            self.remaining_s.append(context.time_remaining())
            ended.wait()
        self._ended.release()
        return rpc.message("tracehop.v1.CallReply")()

    def wait_for_an_end(self, timeout_s):
        """Whether a call ended, by cancellation or deadline, within that time."""
        return self._ended.acquire(timeout=timeout_s)

    def __enter__(self):
        self.upstream.__enter__()
        return self

    def __exit__(self, *exception):
        for ended in self._hanging:
            ended.set()
        self.upstream.__exit__(*exception)


class Deadlines(ProgramTest):
    def test_the_caller_s_deadline_wins_when_it_is_shorter(self):
        hanging = self.start(Hanging())
        hop = self.hop(upstream=hanging.upstream.uri, UPSTREAM_TIMEOUT="60s")
        started = time.monotonic()
        outcome = rpc.call(hop.grpc_port, timeout_s=0.5)
        self.assertEqual(outcome.code, "DEADLINE_EXCEEDED")
        self.assertLess(time.monotonic() - started, 8)
        self.assertLessEqual(hanging.remaining_s[0], 0.5 + ROUNDING_S)

    def test_the_setting_wins_when_it_is_shorter(self):
        hanging = self.start(Hanging())
        hop = self.hop(upstream=hanging.upstream.uri, UPSTREAM_TIMEOUT="300ms")
        outcome = rpc.call(hop.grpc_port, timeout_s=60)
        self.assertEqual(outcome.code, "DEADLINE_EXCEEDED")
        self.assertLessEqual(hanging.remaining_s[0], 0.3 + ROUNDING_S)

    def test_a_deadline_passes_down_three_hops_over_grpc(self):
        hanging = self.start(Hanging())
        uri = hanging.upstream.uri
        for role in ("third", "second", "first"):
            hop = self.hop(role, upstream=uri, UPSTREAM_TIMEOUT="60s")
            uri = hop.grpc_uri
        rpc.call(hop.grpc_port, timeout_s=1)
        self.assertTrue(hanging.wait_for_an_end(20))
        self.assertLessEqual(hanging.remaining_s[0], 1 + ROUNDING_S)

    def test_a_deadline_passes_down_over_http(self):
        hanging = self.start(Hanging())
        uri = hanging.upstream.uri
        for role in ("third", "second", "first"):
            hop = self.hop(role, upstream=uri, UPSTREAM_TIMEOUT="60s")
            uri = hop.http_uri
        rpc.call(hop.grpc_port, timeout_s=1)
        self.assertTrue(hanging.wait_for_an_end(20))
        self.assertLessEqual(hanging.remaining_s[0], 1 + ROUNDING_S)

    def test_a_deadline_that_has_passed_already_is_told_at_once(self):
        hop = self.hop(upstream="grpc://127.0.0.1:1")
        self.assertEqual(rpc.call(hop.grpc_port, timeout_s=0.000001).code, "DEADLINE_EXCEEDED")
        self.assertEqual(rpc.check(hop.grpc_port), "SERVING")


class CallersWhoLeave(ProgramTest):
    def assert_nothing_is_left(self, hop, descriptors):
        # One more request on each front, and all that was opened for those before is closed.
        eventually(
            lambda: hop.open_descriptors() <= descriptors,
            f"{hop.name} has {descriptors} open descriptors again",
        )

    def test_a_cancelled_call_is_cancelled_all_the_way_down(self):
        hanging = self.start(Hanging())
        uri = hanging.upstream.uri
        for role in ("third", "second", "first"):
            hop = self.hop(role, upstream=uri, UPSTREAM_TIMEOUT="60s")
            uri = hop.grpc_uri
        with rpc.connect(hop.grpc_port) as channel:
            pending = rpc.start_call(channel)
            eventually(lambda: hanging.remaining_s, "the call arrives at the end of the chain")
            pending.cancel()
            self.assertTrue(hanging.wait_for_an_end(20))

    def test_a_cancelled_call_hangs_up_on_an_http_upstream(self):
        silent = self.start(SilentUpstream())
        hop = self.hop(upstream=f"http://127.0.0.1:{silent.port}/", UPSTREAM_TIMEOUT="60s")
        with rpc.connect(hop.grpc_port) as channel:
            pending = rpc.start_call(channel)
            self.assertTrue(silent.wait_for_a_request(20))
            pending.cancel()
            self.assertTrue(silent.wait_for_a_hang_up(20))

    def test_a_cancelled_delay_ends(self):
        hop = self.hop()
        with rpc.connect(hop.grpc_port) as channel:
            pending = [rpc.start_call(channel, [("delay", "30s")]) for _ in range(20)]
            eventually(
                lambda: metrics.read(hop).total("tracehop_faults_total", kind="delay") == 20,
                "all twenty wait",
            )
            for call in pending:
                call.cancel()
            eventually(
                lambda: metrics.read(hop).total("tracehop_requests_total", front="grpc") == 20,
                "all twenty end long before their delay would",
                timeout_s=20,
            )

    def test_http_callers_who_vanish_leave_nothing_behind(self):
        silent = self.start(SilentUpstream())
        hop = self.hop(upstream=f"http://127.0.0.1:{silent.port}/", UPSTREAM_TIMEOUT="500ms")
        http.get(hop.http_port)
        descriptors = hop.open_descriptors()
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", hop.http_port)) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(
            lambda: metrics.read(hop).total("tracehop_requests_total", front="http") == 51,
            "the requests of the vanished end too",
        )
        self.assertEqual(http.get(hop.http_port, "/time").status, 200)
        # The connections of curl to the upstream may be kept for the next call.
        self.assert_nothing_is_left(hop, descriptors + 10)

    def test_grpc_callers_who_vanish_leave_nothing_behind(self):
        hanging = self.start(Hanging())
        hop = self.hop(upstream=hanging.upstream.uri, UPSTREAM_TIMEOUT="60s")
        rpc.call(hop.grpc_port, timeout_s=0.1)
        descriptors = hop.open_descriptors()
        for arrived in range(1, 21):
            with rpc.connect(hop.grpc_port) as channel:
                pending = rpc.start_call(channel)
                eventually(
                    lambda: len(hanging.remaining_s) == arrived + 1, "the call arrives upstream"
                )
                self.assertFalse(pending.done())
        eventually(lambda: len(hop.logged("request")) == 21, "the calls of the vanished end")
        # The first one had a deadline, after which its caller vanished too.
        statuses = [line["status"] for line in hop.logged("request")][1:]
        self.assertEqual(statuses, ["CANCELLED"] * 20)
        self.assert_nothing_is_left(hop, descriptors + 2)

    def test_half_a_request_does_not_keep_the_hop(self):
        hop = self.hop(DRAIN_TIMEOUT="1s")
        half = self.start(socket.create_connection(("127.0.0.1", hop.http_port)))
        half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        hop.stop()
        self.assertLess(time.monotonic() - started, 8)


class Load(ProgramTest):
    def test_many_at_once_are_all_answered(self):
        chain = self.start(Chain())
        codes = []

        def client():
            with rpc.connect(chain.frontend.grpc_port) as channel:
                codes.extend(rpc.call_on(channel).code for _ in range(50))

        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, ["OK"] * 400)
