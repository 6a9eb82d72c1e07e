"""One click: frontend, middleware and backend over gRPC, the clock over HTTP."""

import re
import unittest

from harness import http, network, rpc, tree
from harness.case import Chain, ProgramTest
from harness.programs import Hop
from harness.upstreams import GrpcUpstream, HttpUpstream

CLOCK = r'\{"time":"\d\d:\d\d:\d\d [AP]M","milliseconds_since_epoch":\d{13},"date":"\d\d-\d\d-\d{4}"\}'


class Classic(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())

    def test_curl_gets_the_four_classic_lines(self):
        answer = http.get(self.chain.frontend.http_port)
        self.assertEqual(answer.status, 200)
        self.assertRegex(
            answer.text,
            "^frontend-prod - \\d+\\.\\d{3}secs\n"
            f"{re.escape(self.chain.middleware.grpc_uri)} -> middleware-prod - \\d+\\.\\d{{3}}secs\n"
            f"{re.escape(self.chain.backend.grpc_uri)} -> backend-prod - \\d+\\.\\d{{3}}secs\n"
            f"{re.escape(self.chain.clock.time_uri)} -> {CLOCK}\n$",
        )

    def test_json_is_the_tree_in_the_mapping_of_the_proto(self):
        answer = http.get_json(self.chain.frontend.http_port)
        self.assertEqual(answer.status, 200)
        reply = tree.from_json(answer.json)
        self.assertEqual(tree.path(reply), ["frontend-prod", "middleware-prod", "backend-prod"])
        clock = tree.last_hop(reply).upstreams[0]
        self.assertEqual(clock.uri, self.chain.clock.time_uri)
        self.assertEqual(clock.http.status, 200)
        self.assertRegex(clock.http.body, f"^{CLOCK}\n?$")

    def test_grpc_gets_the_same_tree(self):
        outcome = rpc.call(self.chain.frontend.grpc_port)
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertEqual(
            tree.path(outcome.reply), ["frontend-prod", "middleware-prod", "backend-prod"]
        )

    def test_no_hop_claims_more_time_than_its_caller_saw_it_take(self):
        reply = rpc.call(self.chain.frontend.grpc_port).reply
        while reply.upstreams and reply.upstreams[0].HasField("hop"):
            upstream = reply.upstreams[0]
            self.assertGreaterEqual(reply.duration_us, upstream.duration_us)
            self.assertGreaterEqual(upstream.duration_us, upstream.hop.duration_us)
            reply = upstream.hop

    def test_every_hop_of_a_click_tells_the_same_trace_id(self):
        answer = http.get_json(self.chain.frontend.http_port)
        reply = tree.from_json(answer.json)
        self.assertRegex(reply.trace_id, "^[0-9a-f]{32}$")
        self.assertEqual(answer.headers["x-trace-id"], reply.trace_id)
        self.assertEqual(tree.last_hop(reply).trace_id, reply.trace_id)

    def test_every_hop_tells_the_time(self):
        for hop in self.chain.hops:
            answer = http.get(hop.http_port, "/time")
            self.assertEqual(answer.status, 200)
            self.assertRegex(answer.text, f"^{CLOCK}\n?$")
            self.assertEqual(answer.headers.get_content_type(), "application/json")

    def test_a_hop_of_another_program_may_stand_anywhere(self):
        recorder = self.start(GrpcUpstream())
        hop = self.hop(upstream=recorder.uri)
        reply = rpc.call(hop.grpc_port).reply
        self.assertEqual(tree.path(reply), ["hop-prod", "recorder"])


class Topologies(ProgramTest):
    def test_two_addresses_of_one_upstream_take_turns(self):
        prod, canary = (self.hop("middleware", version=version) for version in ("prod", "canary"))
        frontend = self.hop(
            "frontend", upstream=f"{prod.grpc_uri}|127.0.0.1:{canary.grpc_port}"
        )
        answers = [rpc.call(frontend.grpc_port).reply for _ in range(20)]
        versions = [answer.upstreams[0].hop.version for answer in answers]
        # Until both are connected, one of them may answer alone.
        self.assertIn(versions[-6:], (["prod", "canary"] * 3, ["canary", "prod"] * 3))

    @unittest.skipUnless(network.localhost_has_two_addresses(), "localhost has one address here")
    def test_a_name_with_two_addresses_takes_turns(self):
        prod = self.hop("middleware", version="prod")
        canary = self.start(
            Hop("middleware", version="canary", GRPC_LISTEN=f"[::1]:{prod.grpc_port}")
        )
        frontend = self.hop("frontend", upstream=f"grpc://localhost:{canary.grpc_port}")
        answers = [rpc.call(frontend.grpc_port).reply for _ in range(20)]
        versions = {answer.upstreams[0].hop.version for answer in answers}
        self.assertEqual(versions, {"prod", "canary"})

    def test_several_upstreams_are_called_at_once(self):
        slow = [self.hop("slow", version=str(number)) for number in range(3)]
        hop = self.hop(upstream=[one.grpc_uri for one in slow])
        outcome = rpc.call(hop.grpc_port, [("delay", "slow=500ms")])
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertEqual(
            [result.hop.version for result in outcome.reply.upstreams], ["0", "1", "2"]
        )
        self.assertGreaterEqual(outcome.reply.duration_us, 500_000)
        self.assertLess(outcome.reply.duration_us, 1_000_000)

    def test_several_upstreams_are_called_in_turn_when_asked(self):
        slow = [self.hop("slow", version=str(number)) for number in range(3)]
        hop = self.hop(upstream=[one.grpc_uri for one in slow], UPSTREAM_ORDER="sequential")
        outcome = rpc.call(hop.grpc_port, [("delay", "slow=200ms")])
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertGreaterEqual(outcome.reply.duration_us, 600_000)

    def test_hops_call_each_other_over_http_too(self):
        last = self.hop("last")
        middle = self.hop("middle", upstream=last.http_uri)
        first = self.hop("first", upstream=middle.http_uri)
        for reply in (
            rpc.call(first.grpc_port).reply,
            tree.from_json(http.get_json(first.http_port).json),
        ):
            self.assertEqual(tree.path(reply), ["first-prod", "middle-prod", "last-prod"])

    def test_the_answer_of_an_external_url_is_shown_and_fails_nothing(self):
        missing = self.start(HttpUpstream("404 Not Found", b"no such thing"))
        hop = self.hop(upstream=missing.uri)
        answer = http.get(hop.http_port)
        self.assertEqual(answer.status, 200)
        self.assertIn(f"{missing.uri} -> 404 Not Found", answer.text)
        result = rpc.call(hop.grpc_port).reply.upstreams[0].http
        self.assertEqual((result.status, result.reason), (404, "Not Found"))

    def test_a_long_answer_of_an_external_url_is_cut(self):
        endless = self.start(HttpUpstream(body=b"x" * (4 << 20)))
        hop = self.hop(upstream=endless.uri)
        result = rpc.call(hop.grpc_port).reply.upstreams[0].http
        self.assertTrue(result.body_cut)
        self.assertLess(len(result.body), 1 << 20)

    def test_an_external_answer_that_is_no_text_breaks_no_form(self):
        binary = self.start(HttpUpstream(body=bytes(range(256))))
        hop = self.hop(upstream=binary.uri)
        for accept in ("text/plain", "application/json", "text/html"):
            answer = http.get(hop.http_port, headers={"Accept": accept})
            self.assertEqual(answer.status, 200)
            answer.body.decode("utf-8")

    def test_a_service_name_replaces_what_is_shown(self):
        hop = self.hop("frontend", SERVICE_NAME="front of house")
        self.assertRegex(http.get(hop.http_port).text, "^front of house - ")
        self.assertEqual(rpc.call(hop.grpc_port).reply.role, "frontend")

    def test_work_is_done_and_told(self):
        hop = self.hop(WORK="fibonacci", WORK_SLEEP_MAX="1ms", WORK_FIBONACCI_MAX="20")
        numbers = [0, 1]
        while len(numbers) <= 20:
            numbers.append(numbers[-1] + numbers[-2])
        for _ in range(20):
            work = rpc.call(hop.grpc_port).reply.work
            self.assertEqual(work.fibonacci, numbers[work.fibonacci_index])
            self.assertEqual(work.odd, work.fibonacci % 2 == 1)
            self.assertLess(work.slept_us, 500_000)

    def test_the_sleep_of_work_really_sleeps(self):
        hop = self.hop(WORK="fibonacci", WORK_SLEEP_MAX="40ms")
        replies = [rpc.call(hop.grpc_port).reply for _ in range(20)]
        self.assertGreater(max(reply.work.slept_us for reply in replies), 5_000)
        for reply in replies:
            self.assertGreaterEqual(reply.duration_us, reply.work.slept_us)
