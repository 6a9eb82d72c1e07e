"""Upstreams that are dead, hang, die or talk nonsense: the right status, in time."""

import threading
import time

import grpc

from harness import http, metrics, rpc
from harness.case import ProgramTest
from harness.upstreams import (
    BabblingUpstream,
    DyingUpstream,
    GrpcUpstream,
    HttpUpstream,
    RefusingUpstream,
    SilentUpstream,
)
from harness.wait import eventually

TIMEOUT = "500ms"
# Long enough for a loaded machine, much shorter than anybody's default timeout.
IN_TIME_S = 8


class UpstreamFailures(ProgramTest):
    def assert_fails(self, uri, code, http_status, **settings):
        hop = self.hop(upstream=uri, UPSTREAM_TIMEOUT=TIMEOUT, **settings)
        for front in ("grpc", "http"):
            started = time.monotonic()
            if front == "grpc":
                self.assertEqual(rpc.call(hop.grpc_port).code, code)
            else:
                answer = http.get_json(hop.http_port)
                self.assertEqual(answer.status, http_status)
                failure = answer.json["failure"]
                self.assertEqual(failure["status"], code)
                self.assertTrue(failure["message"])
                self.assertEqual(answer.json["upstreams"][0]["uri"], uri)
            self.assertLess(time.monotonic() - started, IN_TIME_S)
        self.assertEqual(
            metrics.read(hop).total("tracehop_upstream_requests_total", upstream=uri, status=code), 2
        )

    def test_a_dead_upstream_is_unavailable(self):
        dead = self.start(RefusingUpstream())
        self.assert_fails(f"grpc://127.0.0.1:{dead.port}", "UNAVAILABLE", 503)
        self.assert_fails(f"http://127.0.0.1:{dead.port}/", "UNAVAILABLE", 503)

    def test_a_dead_upstream_is_found_out_at_once(self):
        dead = self.start(RefusingUpstream())
        for scheme in ("grpc", "http"):
            with self.subTest(scheme=scheme):
                hop = self.hop(upstream=f"{scheme}://127.0.0.1:{dead.port}", UPSTREAM_TIMEOUT="60s")
                started = time.monotonic()
                self.assertEqual(rpc.call(hop.grpc_port).code, "UNAVAILABLE")
                self.assertLess(time.monotonic() - started, IN_TIME_S)

    def test_a_name_that_nobody_has_is_unavailable(self):
        self.assert_fails("grpc://no-such-host.invalid:9090", "UNAVAILABLE", 503)
        self.assert_fails("http://no-such-host.invalid/", "UNAVAILABLE", 503)

    def test_an_upstream_that_says_nothing_runs_into_the_timeout(self):
        silent = self.start(SilentUpstream())
        self.assert_fails(f"grpc://127.0.0.1:{silent.port}", "DEADLINE_EXCEEDED", 504)
        self.assert_fails(f"http://127.0.0.1:{silent.port}/", "DEADLINE_EXCEEDED", 504)

    def test_a_call_that_hangs_runs_into_the_timeout(self):
        over = threading.Event()
        hanging = self.start(GrpcUpstream(lambda context: over.wait(60) and None))
        self.addCleanup(over.set)
        self.assert_fails(hanging.uri, "DEADLINE_EXCEEDED", 504)

    def test_an_upstream_that_dies_is_unavailable(self):
        dying = self.start(DyingUpstream())
        self.assert_fails(f"grpc://127.0.0.1:{dying.port}", "UNAVAILABLE", 503)
        self.assert_fails(f"http://127.0.0.1:{dying.port}/", "UNAVAILABLE", 503)

    def test_an_upstream_that_talks_nonsense_is_unavailable(self):
        babbling = self.start(BabblingUpstream())
        self.assert_fails(f"grpc://127.0.0.1:{babbling.port}", "UNAVAILABLE", 503)
        self.assert_fails(f"http://127.0.0.1:{babbling.port}/", "UNAVAILABLE", 503)

    def test_a_reply_that_is_none_is_an_internal_error(self):
        class Nonsense:
            @staticmethod
            def SerializeToString():  # As protobuf's messages have it.
                return b"\xff\xff\xff\xff"

        babbling = self.start(GrpcUpstream(lambda context: Nonsense))
        self.assert_fails(babbling.uri, "INTERNAL", 500)

    def test_a_reply_that_nests_too_deep_is_an_internal_error(self):
        class Deep:
            @staticmethod
            def SerializeToString():
                reply = b""
                for _ in range(2000):  # CallReply.upstreams[0].hop, again and again.
                    result = b"\x1a" + _varint(len(reply)) + reply
                    reply = b"\x4a" + _varint(len(result)) + result
                return reply

        deep = self.start(GrpcUpstream(lambda context: Deep))
        self.assert_fails(deep.uri, "INTERNAL", 500)

    def test_every_status_of_an_upstream_is_passed_on(self):
        code = None
        upstream = self.start(GrpcUpstream(lambda context: context.abort(code, "because")))
        hop = self.hop(upstream=upstream.uri)
        for _, name, http_status in rpc.FAILURES:
            with self.subTest(code=name):
                code = getattr(grpc.StatusCode, name)
                outcome = rpc.call(hop.grpc_port)
                self.assertEqual((outcome.code, outcome.message), (name, "because"))
                self.assertEqual(http.get(hop.http_port).status, http_status)

    def test_details_that_are_not_ours_break_nothing(self):
        details = b""

        def fail(context):
            context.set_trailing_metadata([("grpc-status-details-bin", details)])
            context.abort(grpc.StatusCode.INTERNAL, "because")

        upstream = self.start(GrpcUpstream(fail))
        hop = self.hop(upstream=upstream.uri)
        for details in (b"", b"\xff" * 100, bytes(range(256)), b"\x0a" * 4000, b"\x1a\x02\x0a\x00"):
            with self.subTest(details=details[:20]):
                outcome = rpc.call(hop.grpc_port)
                self.assertEqual((outcome.code, outcome.message), ("INTERNAL", "because"))

    def test_messages_that_are_no_text_break_nothing(self):
        upstream = self.start(
            GrpcUpstream(lambda context: context.abort(grpc.StatusCode.INTERNAL, "é\n\0%\x7f" * 50))
        )
        hop = self.hop(upstream=upstream.uri)
        self.assertEqual(rpc.call(hop.grpc_port).code, "INTERNAL")
        self.assertEqual(http.get_json(hop.http_port).json["failure"]["status"], "INTERNAL")

    def test_failures_are_only_reported_when_asked(self):
        dead = self.start(RefusingUpstream())
        uri = f"grpc://127.0.0.1:{dead.port}"
        hop = self.hop(upstream=uri, ON_UPSTREAM_FAILURE="report")
        outcome = rpc.call(hop.grpc_port)
        self.assertEqual(outcome.code, "OK")
        self.assertEqual(outcome.reply.upstreams[0].failure.status, "UNAVAILABLE")
        answer = http.get(hop.http_port)
        self.assertEqual(answer.status, 200)
        self.assertIn("UNAVAILABLE", answer.text)

    def test_one_failed_upstream_of_two_fails_the_hop_and_shows_both(self):
        dead = self.start(RefusingUpstream())
        alive = self.hop("alive")
        hop = self.hop(upstream=[alive.grpc_uri, f"grpc://127.0.0.1:{dead.port}"])
        answer = http.get_json(hop.http_port)
        self.assertEqual(answer.status, 503)
        first, second = answer.json["upstreams"]
        self.assertEqual(first["hop"]["role"], "alive")
        self.assertEqual(second["failure"]["status"], "UNAVAILABLE")

    def test_a_failed_address_gives_way_to_the_other(self):
        dead = self.start(RefusingUpstream())
        alive = self.hop("alive")
        hop = self.hop(upstream=f"grpc://127.0.0.1:{dead.port}|127.0.0.1:{alive.grpc_port}")
        codes = [rpc.call(hop.grpc_port).code for _ in range(20)]
        # Until the dead one is known to be dead, a call may find it.
        self.assertEqual(codes[-10:], ["OK"] * 10)

    def test_an_upstream_that_comes_back_is_found_again(self):
        dead = RefusingUpstream()
        with dead:
            hop = self.hop(upstream=f"grpc://127.0.0.1:{dead.port}")
            self.assertEqual(rpc.call(hop.grpc_port).code, "UNAVAILABLE")
        self.hop("back", GRPC_LISTEN=f"127.0.0.1:{dead.port}")
        eventually(lambda: rpc.call(hop.grpc_port).code == "OK", "the hop finds its upstream")

    def test_a_reply_too_large_is_refused(self):
        reply = rpc.message("tracehop.v1.CallReply")(role="x" * (8 << 20))
        upstream = self.start(GrpcUpstream(lambda context: reply))
        hop = self.hop(upstream=upstream.uri)
        self.assertEqual(rpc.call(hop.grpc_port).code, "RESOURCE_EXHAUSTED")

    def test_an_http_hop_that_fails_fails_its_caller(self):
        last = self.hop("last")
        first = self.hop("first", upstream=last.http_uri)
        outcome = rpc.call(first.grpc_port, [("fail", "last=1:429")])
        self.assertEqual(outcome.code, "RESOURCE_EXHAUSTED")
        answer = http.get_json(first.http_port, headers={"fail": "last=1:429"})
        self.assertEqual(answer.status, 429)
        self.assertEqual(answer.json["failure"]["hop"], "last-prod")

    def test_an_external_url_that_answers_badly_fails_nothing(self):
        for status in ("400 Bad Request", "404 Not Found", "500 Internal Server Error", "302 Found"):
            with self.subTest(status=status), HttpUpstream(status) as upstream:
                hop = self.hop(upstream=upstream.uri)
                self.assertEqual(rpc.call(hop.grpc_port).code, "OK")


def _varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
