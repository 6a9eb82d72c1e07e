"""Failure on the wire. Envoy retries a call only when its status comes in the first and only
HEADERS frame (envoyproxy/envoy#11049), so what counts is the frames.
"""

from harness import frames, rpc
from harness.case import Chain, ProgramTest
from harness.upstreams import RefusingUpstream


class TrailersOnly(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())

    def assert_trailers_only(self, answer, number):
        self.assertEqual([frame.kind for frame in answer], ["HEADERS"], answer)
        self.assertTrue(answer[0].ends_stream, answer)
        self.assertEqual(answer[0].fields[":status"], "200")
        self.assertEqual(answer[0].fields["content-type"], "application/grpc")
        self.assertEqual(answer[0].fields["grpc-status"], str(number))

    def test_every_code_of_a_hop_that_rolled_a_failure(self):
        for number, name, _ in rpc.FAILURES:
            with self.subTest(code=name):
                answer = frames.answer_to(
                    self.chain.backend.grpc_port, rpc.CALL, [("fail", f"1:{number}")]
                )
                self.assert_trailers_only(answer, number)

    def test_every_code_that_came_from_further_down(self):
        for number, name, _ in rpc.FAILURES:
            with self.subTest(code=name):
                answer = frames.answer_to(
                    self.chain.frontend.grpc_port, rpc.CALL, [("fail", f"backend=1:{number}")]
                )
                self.assert_trailers_only(answer, number)
                self.assertIn("grpc-status-details-bin", answer[0].fields)

    def test_a_failure_after_a_delay(self):
        answer = frames.answer_to(
            self.chain.backend.grpc_port, rpc.CALL, [("fail", "1"), ("delay", "100ms")]
        )
        self.assert_trailers_only(answer, 13)

    def test_a_failure_with_a_warning(self):
        answer = frames.answer_to(self.chain.backend.grpc_port, rpc.CALL, [("fail", "1;nonsense")])
        self.assert_trailers_only(answer, 13)
        self.assertIn("nonsense", answer[0].fields["x-tracehop-warning"])

    def test_a_dead_upstream(self):
        dead = self.start(RefusingUpstream())
        hop = self.hop(upstream=f"grpc://127.0.0.1:{dead.port}")
        self.assert_trailers_only(frames.answer_to(hop.grpc_port, rpc.CALL, []), 14)

    def test_an_unknown_method(self):
        answer = frames.answer_to(self.chain.backend.grpc_port, "/tracehop.v1.Hop/Nothing", [])
        self.assert_trailers_only(answer, 12)

    def test_trailers_when_asked_for(self):
        for number, name, _ in rpc.FAILURES:
            with self.subTest(code=name):
                answer = frames.answer_to(
                    self.chain.backend.grpc_port, rpc.CALL, [("fail", f"1:{number}:trailers")]
                )
                self.assertEqual([frame.kind for frame in answer], ["HEADERS", "HEADERS"], answer)
                first, last = answer
                self.assertFalse(first.ends_stream)
                self.assertNotIn("grpc-status", first.fields)
                self.assertTrue(last.ends_stream)
                self.assertEqual(last.fields["grpc-status"], str(number))

    def test_success_is_headers_message_and_trailers(self):
        answer = frames.answer_to(self.chain.backend.grpc_port, rpc.CALL, [])
        self.assertEqual([frame.kind for frame in answer], ["HEADERS", "DATA", "HEADERS"], answer)
        self.assertEqual(answer[-1].fields["grpc-status"], "0")
