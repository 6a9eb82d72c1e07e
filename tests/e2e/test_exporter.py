"""Spans on their way out. Whatever the collector does, a request pays nothing for it, memory stays
bounded, and every span ends in one counter.
"""

import contextlib
import itertools
import statistics
import threading
import time

import grpc

from harness import build, http, metrics
from harness.case import ProgramTest, traced_to
from harness.collector import Collector, Refusal
from harness.programs import Hop
from harness.upstreams import RefusingUpstream, SilentUpstream
from harness.wait import eventually

PROTOCOLS = ("grpc", "http/protobuf")
RETRYABLE = {
    "CANCELLED": 502, "DEADLINE_EXCEEDED": 504, "ABORTED": 503, "OUT_OF_RANGE": 503,
    "UNAVAILABLE": 503, "DATA_LOSS": 503,
}  # fmt: skip
FINAL = {
    "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403, "FAILED_PRECONDITION": 412, "UNIMPLEMENTED": 501, "INTERNAL": 500,
    "UNAUTHENTICATED": 401, "RESOURCE_EXHAUSTED": 413,
}  # fmt: skip
FAILS = "the collector does not take spans; they wait, and what finds no room is dropped"
WORKS = "the collector takes spans again"
REFUSES = "the collector refused spans for good; they are counted and dropped"
QUEUE = 100
REQUESTS = 300


def exported(hop):
    return metrics.read(hop).total("tracehop_spans_exported_total")


def dropped(hop, **labels):
    return metrics.read(hop).total("tracehop_spans_dropped_total", **labels)


def refusing(code, http_status):
    def refuse():
        raise Refusal(getattr(grpc.StatusCode, code), http_status)

    return refuse


def endpoints(collector):
    return (("grpc", collector.grpc_endpoint), ("http/protobuf", collector.http_endpoint))


class BothProtocols(ProgramTest):
    @contextlib.contextmanager
    def pair(self, protocol, refusal=(), **settings):
        """A collector, which may refuse by (code, HTTP status), and a hop that sends it spans."""
        with self.subTest(protocol=protocol, refusal=refusal), Collector() as collector:
            if refusal:
                collector.behave = refusing(*refusal)
            to = {
                **traced_to(collector),
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_ENDPOINT": dict(endpoints(collector))[protocol],
                **settings,
            }
            with Hop(**to) as hop:
                yield collector, hop

    def test_all_spans_arrive_in_batches(self):
        batches = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64", "OTEL_BSP_SCHEDULE_DELAY": "200"}
        for protocol in PROTOCOLS:
            with self.pair(protocol, **batches) as (collector, hop):
                with http.Client(hop.http_port) as client:
                    for _ in range(REQUESTS):
                        client.get()
                collector.wait_for_spans(REQUESTS)
                eventually(lambda: exported(hop) == REQUESTS, "all are counted as exported")
                self.assertEqual(dropped(hop), 0)
                self.assertLess(len(collector.batch_sizes), REQUESTS / 4)
                self.assertLessEqual(max(collector.batch_sizes), 64)

    def test_what_waits_is_sent_before_the_end(self):
        for protocol in PROTOCOLS:
            with self.pair(protocol, OTEL_BSP_SCHEDULE_DELAY="3600000") as (collector, hop):
                with http.Client(hop.http_port) as client:
                    for _ in range(10):
                        client.get()
                self.assertEqual(collector.spans(), [])
                hop.stop()
                self.assertEqual(len(collector.spans()), 10)

    def test_a_refusal_that_may_pass_is_tried_again(self):
        for refusal, protocol in itertools.product(RETRYABLE.items(), PROTOCOLS):
            with self.pair(protocol, refusal) as (collector, hop):
                http.get(hop.http_port)
                eventually(lambda: collector.requests >= 1, "a first try")
                collector.behave = lambda: None
                collector.wait_for_spans(1)

    def test_a_refusal_that_is_final_drops_the_batch_and_counts_it(self):
        for refusal, protocol in itertools.product(FINAL.items(), PROTOCOLS):
            with self.pair(protocol, refusal) as (collector, hop):
                http.get(hop.http_port)
                eventually(lambda: dropped(hop, reason="refused") == 1, "the drop is counted")
                self.assertEqual(collector.requests, 1)

    def test_what_keeps_spans_is_logged_once_and_so_is_its_end(self):
        for protocol in PROTOCOLS:
            with self.pair(protocol, ("UNAVAILABLE", 503)) as (collector, hop):
                http.get(hop.http_port)
                eventually(lambda: collector.requests >= 3, "the batch is tried again")
                (failure,) = hop.logged(FAILS)
                self.assertIn(dict(endpoints(collector))[protocol], failure["collector"])
                self.assertEqual(failure["protocol"], protocol)
                self.assertRegex(failure["why"], "UNAVAILABLE|HTTP 503")
                self.assertEqual(hop.logged(WORKS), [])

                collector.behave = lambda: None
                hop.wait_for_log(WORKS)
                http.get(hop.http_port)
                collector.wait_for_spans(2)
                hop.stop()
                self.assertEqual(len(hop.logged(FAILS)), 1)
                self.assertEqual(len(hop.logged(WORKS)), 1)

    def test_a_final_refusal_is_logged_but_not_each(self):
        for protocol in PROTOCOLS:
            with self.pair(protocol, ("INVALID_ARGUMENT", 400)) as (collector, hop):
                for number in range(1, 4):
                    http.get(hop.http_port)
                    eventually(
                        lambda: dropped(hop, reason="refused") == number, "the drop is counted"
                    )
                (refusal,) = hop.logged(REFUSES)
                self.assertIn(dict(endpoints(collector))[protocol], refusal["collector"])
                self.assertRegex(refusal["why"], "INVALID_ARGUMENT|HTTP 400")


class Trouble(ProgramTest):
    """Each kind of bad collector, under load, with room for QUEUE spans."""

    def run_with(self, endpoint, protocol):
        """REQUESTS fast requests to a hop that exports to `endpoint`; all must be answered well,
        no slower than a hop can, and every span accounted for after a clean end.
        """
        settings = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_BSP_EXPORT_TIMEOUT": "1000",
            "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
            "DRAIN_TIMEOUT": "1s",
        }
        with Hop(**settings) as hop:
            with http.Client(hop.http_port) as client:
                client.get()
                resident = hop.resident_bytes()
                self.assert_quick(client)
                for _ in range(REQUESTS * (1 if build.is_instrumented() else 10)):
                    self.assertEqual(client.get().status, 200)
            if not build.is_instrumented():  # A sanitizer keeps what was freed for a while.
                self.assertLess(hop.resident_bytes() - resident, 8 << 20)
            spans = metrics.read(hop).total("tracehop_requests_total", front="http")
            # What is in no counter yet still waits, in the queue or in the batch on its way.
            waiting = spans - exported(hop) - dropped(hop)
            self.assertLessEqual(waiting, QUEUE + 10)
            self.assertGreater(dropped(hop, reason="queue_full"), 0)
            started = time.monotonic()
        self.assertLess(time.monotonic() - started, 5)

    def assert_quick(self, client):
        durations = []
        for _ in range(REQUESTS):
            started = time.monotonic()
            self.assertEqual(client.get().status, 200)
            durations.append(time.monotonic() - started)
        # A hop answers in well under a millisecond, and every timeout above is a second.
        self.assertLess(statistics.median(durations), 0.02)
        self.assertLess(max(durations), 0.5)

    def test_a_dead_collector(self):
        dead = self.start(RefusingUpstream())
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.run_with(f"http://127.0.0.1:{dead.port}", protocol)

    def test_a_collector_that_accepts_and_says_nothing(self):
        silent = self.start(SilentUpstream())
        for protocol in PROTOCOLS:
            with self.subTest(protocol=protocol):
                self.run_with(f"http://127.0.0.1:{silent.port}", protocol)

    def test_a_slow_collector(self):
        over = threading.Event()
        collector = self.start(Collector(behave=lambda: over.wait(0.3)))
        self.addCleanup(over.set)
        for protocol, endpoint in endpoints(collector):
            with self.subTest(protocol=protocol):
                self.run_with(endpoint, protocol)

    def test_a_collector_that_refuses_for_now(self):
        collector = self.start(Collector(behave=refusing("UNAVAILABLE", 503)))
        for protocol, endpoint in endpoints(collector):
            with self.subTest(protocol=protocol):
                self.run_with(endpoint, protocol)

    def test_a_collector_that_comes_late_gets_what_still_waits(self):
        collector = Collector()
        with Hop(**{**traced_to(collector), "OTEL_BSP_EXPORT_TIMEOUT": "30000"}) as hop:
            http.get(hop.http_port)
            with collector:
                collector.wait_for_spans(1)

    def test_spans_that_nobody_takes_are_counted_at_the_end(self):
        dead = self.start(RefusingUpstream())
        hop = self.hop(**{
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{dead.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_BSP_EXPORT_TIMEOUT": "100",
        })  # fmt: skip
        http.get(hop.http_port)
        eventually(lambda: dropped(hop) == 1, "the span is given up and counted")
