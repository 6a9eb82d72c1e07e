"""SIGTERM: the hop says that it goes, finishes what it has in hand, and goes."""

import socket
import threading
import time

from harness import http, rpc
from harness.case import ProgramTest, traced_to
from harness.collector import Collector
from harness.programs import Hop
from harness.wait import eventually


class Drain(ProgramTest):
    def test_requests_in_hand_are_answered(self):
        hop = self.hop()
        answers = {}

        def over_http():
            answers["http"] = http.get(hop.http_port, headers={"delay": "1s"}).status

        def over_grpc():
            answers["grpc"] = rpc.call(hop.grpc_port, [("delay", "1s")]).code

        threads = [threading.Thread(target=over_http), threading.Thread(target=over_grpc)]
        for thread in threads:
            thread.start()
        eventually(
            lambda: http.get(hop.admin_port, "/metrics").text.count('kind="delay"} 2'),
            "both requests are in hand",
        )
        hop.stop()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, {"http": 200, "grpc": "OK"})

    def test_readiness_and_health_flip_while_the_hop_still_serves(self):
        hop = self.hop(DRAIN_GRACE="3s")
        with rpc.connect(hop.grpc_port) as channel:
            stream = rpc.watch_on(channel)
            self.assertEqual(rpc.health_name(next(stream)), "SERVING")
            hop.terminate()
            self.assertEqual(rpc.health_name(next(stream)), "NOT_SERVING")
            self.assertEqual(http.get(hop.admin_port, "/readyz").status, 503)
            self.assertEqual(http.get(hop.admin_port, "/healthz").status, 200)
            self.assertEqual(rpc.check(hop.grpc_port), "NOT_SERVING")
            self.assertEqual(http.get(hop.http_port).status, 200)
            self.assertEqual(rpc.call_on(channel).code, "OK")
        hop.stop()

    def test_an_open_watch_does_not_keep_the_hop(self):
        hop = self.hop(DRAIN_TIMEOUT="10m")
        with rpc.connect(hop.grpc_port) as channel:
            stream = rpc.watch_on(channel)
            next(stream)
            hop.stop()

    def test_a_client_that_does_not_hang_up_does_not_keep_the_hop(self):
        hop = self.hop(DRAIN_TIMEOUT="10m")
        deaf = self.start(socket.create_connection(("127.0.0.1", hop.grpc_port)))
        deaf.sendall(rpc.HELLO)
        deaf.recv(1)  # The hop has taken it in; from here on nothing is read, or answered.
        hop.stop()

    def test_a_client_that_never_says_a_word_does_not_keep_the_hop(self):
        hop = self.hop(DRAIN_TIMEOUT="10m")
        self.start(socket.create_connection(("127.0.0.1", hop.grpc_port)))
        self.start(socket.create_connection(("127.0.0.1", hop.http_port)))
        # Who comes later is served: by then those two have been let in.
        self.assertEqual(rpc.check(hop.grpc_port), "SERVING")
        self.assertEqual(http.get(hop.http_port).status, 200)
        hop.stop()

    def test_the_limit_ends_what_takes_too_long(self):
        hop = self.hop(DRAIN_TIMEOUT="300ms")
        codes = []
        thread = threading.Thread(
            target=lambda: codes.append(rpc.call(hop.grpc_port, [("delay", "30s")]).code)
        )
        thread.start()
        eventually(
            lambda: http.get(hop.admin_port, "/metrics").text.count('kind="delay"} 1'),
            "the request is in hand",
        )
        started = time.monotonic()
        hop.stop()
        self.assertLess(time.monotonic() - started, 10)
        thread.join()
        self.assertNotEqual(codes, ["OK"])

    def test_the_last_span_is_flushed(self):
        collector = self.start(Collector())
        with Hop(**{**traced_to(collector), "OTEL_BSP_SCHEDULE_DELAY": "3600000"}) as hop:
            http.get(hop.http_port)
        self.assertEqual(len(collector.spans()), 1)

    def test_a_hop_under_load_goes_cleanly(self):
        upstream = self.hop("upstream")
        hop = self.hop(upstream=[upstream.grpc_uri, upstream.http_uri])
        over = threading.Event()

        def load():
            with rpc.connect(hop.grpc_port) as channel:
                while not over.is_set():
                    rpc.call_on(channel)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(hop.logged("request")) > 50, "the load is on")
        try:
            hop.stop()
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def test_sigterm_at_once_after_the_start(self):
        for _ in range(5):
            self.hop().stop()
