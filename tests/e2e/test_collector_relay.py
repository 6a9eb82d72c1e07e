"""What is acknowledged reaches every destination, whatever that does meanwhile, or is counted with
the reason why not.

Rules: OTLP specification, "Failures", "OTLP/gRPC Throttling" and "OTLP/HTTP Throttling".
"""

import itertools
import time

from harness import backend, books, build, metrics, mock, network, otlp, wire, zipkin
from harness.case import ProgramTest
from harness.wait import eventually

# By gRPC code, with an HTTP code of the same meaning.
RETRYABLE = {
    "CANCELLED": 502, "DEADLINE_EXCEEDED": 504, "ABORTED": 503, "OUT_OF_RANGE": 429,
    "UNAVAILABLE": 503, "DATA_LOSS": 503,
}  # fmt: skip
FINAL = {
    "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403, "FAILED_PRECONDITION": 412, "UNIMPLEMENTED": 501, "INTERNAL": 500,
    "UNAUTHENTICATED": 401,
}  # fmt: skip
OUTAGE_SPANS = 200
_numbers = itertools.count(1)


def new(count=1):
    """Span numbers that no other test uses."""
    return list(itertools.islice(_numbers, count)) if count > 1 else next(_numbers)


def ranges(numbers):
    return [(number, number + 1) for number in numbers]


class RelayTest(ProgramTest):
    def send(self, collector, *numbers, **fields):
        """Each span in a request of its own."""
        for number in numbers:
            outcome = otlp.export(collector.grpc_port, otlp.numbered(number, **fields))
            self.assertEqual(outcome.code, "OK", outcome)

    def mock(self, *script):
        return self.start(mock.Mock(*script))

    def uris(self, target):
        return (("grpc", target.grpc_uri), ("http", target.http_uri))


class Delivery(RelayTest):
    def test_every_span_arrives_once_over_both_protocols(self):
        target = self.mock()
        for protocol, uri in self.uris(target):
            with self.subTest(protocol=protocol):
                collector = self.collector(uri)
                first = new(1000)[0]
                figures = mock.send(
                    f"grpc://127.0.0.1:{collector.grpc_port}", requests=200, spans=5, first_id=first
                )
                self.assertEqual(figures["acknowledged"], [[first, first + 1000]])
                look = target.wait_for((first, first + 1000))
                self.assertEqual(look.duplicates, 0)
                (own,) = books.wait_until_settled(collector)
                self.assertEqual((own.received, own.delivered), (1000, 1000))

    def test_requests_travel_together(self):
        """Small requests make large batches, as soon as calls take their time."""
        target = self.mock("delay 50ms")
        collector = self.collector(target.grpc_uri)
        numbers = new(500)
        uri = f"grpc://127.0.0.1:{collector.grpc_port}"
        mock.send(uri, requests=500, spans=1, first_id=numbers[0])
        target.wait_for((numbers[0], numbers[-1] + 1))
        self.assertLess(target.counts["requests"], 250)

    def test_bytes_arrive_as_they_came(self):
        """Also fields that nobody knows yet, in every message on the way to a span."""
        unknown = b"\xfa\x7d\x03new\xf8\x7d\x05"  # field 2015, of two types
        span = otlp.span(new())
        raw = span.SerializeToString() + unknown
        for number in (2, 2, 1):
            raw = otlp.nested(number, raw) + unknown
        for protocol in ("grpc", "http"):
            target = self.start(backend.Backend())
            collector = self.collector(getattr(target, f"{protocol}_uri"))
            with self.subTest(protocol=protocol):
                self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")
                target.wait_for(int.from_bytes(span.span_id, "big"))
                self.assertEqual(target.raw, [raw])

    def test_no_destination_waits_for_another(self):
        dead = self.start(wire.Wire(1))
        dead.cut()
        slow, quick = self.mock("hang"), self.mock()
        collector = self.collector([dead.grpc_uri, slow.grpc_uri, quick.http_uri])
        numbers = new(50)
        self.send(collector, *numbers)
        quick.wait_for(*ranges(numbers))
        dead_books, slow_books, quick_books = books.read(collector)
        self.assertEqual((dead_books.queued, slow_books.queued), (50, 50))
        eventually(lambda: books.read(collector)[2].queued == 0, "the quick one has all")
        self.assertEqual(quick_books.name, quick.http_uri)
        collector.kill()  # a drain would wait for the slow one

    def test_json_and_zipkin_travel_as_otlp(self):
        target = self.mock()
        collector = self.collector(target.http_uri)
        numbers = new(2)
        self.send(collector, numbers[0])
        zipkin.post(collector.zipkin_port, zipkin.to_json(zipkin.span(numbers[1])))
        target.wait_for(*ranges(numbers))


class Outage(RelayTest):
    def test_what_comes_during_an_outage_arrives_after_it(self):
        target = self.mock()
        for protocol in ("grpc", "http"):
            line = self.start(wire.Wire(getattr(target, f"{protocol}_port")))
            with self.subTest(protocol=protocol):
                collector = self.collector(getattr(line, f"{protocol}_uri"))
                numbers = new(OUTAGE_SPANS)
                half = OUTAGE_SPANS // 2
                self.send(collector, *numbers[:half])
                target.wait_for(*ranges(numbers[:half]))
                line.cut()
                self.send(collector, *numbers[half:])
                own = books.read_one(collector)
                self.assertEqual((own.received, own.queued), (OUTAGE_SPANS, half))
                line.mend()
                target.wait_for(*ranges(numbers))
                (own,) = books.wait_until_settled(collector)
                self.assertEqual(own.delivered, OUTAGE_SPANS)

    def test_a_destination_may_come_after_the_collector(self):
        target = self.mock()
        line = self.start(wire.Wire(target.grpc_port))
        line.cut()
        collector = self.collector(line.grpc_uri)
        number = new()
        self.send(collector, number)
        line.mend()
        target.wait_for((number, number + 1))

    def test_when_an_answer_is_lost_the_spans_are_sent_again(self):
        target = self.mock()
        for protocol in ("grpc", "http"):
            line = self.start(wire.Wire(getattr(target, f"{protocol}_port")))
            with self.subTest(protocol=protocol):
                collector = self.collector(getattr(line, f"{protocol}_uri"))
                numbers = new(10)
                self.send(collector, numbers[0])  # the two know each other already
                books.wait_until_settled(collector)
                line.deafen()
                self.send(collector, *numbers[1:])
                target.wait_for((numbers[1], numbers[1] + 1))
                line.cut()
                line.mend()
                (own,) = books.wait_until_settled(collector)
                look = target.wait_for(*ranges(numbers))
                self.assertEqual(own.delivered, 10)
                self.assertGreater(look.duplicates, 0)
                # What a kept connection loses, curl itself sends once more, and tells nobody.
                unseen = len(numbers) if protocol == "http" else 0
                self.assertLessEqual(
                    look.duplicates, own.members["duplicates_at_most"] + unseen
                )

    def test_a_destination_that_never_answers_is_asked_again(self):
        target = self.mock("hang times=1")
        for protocol, uri in self.uris(target):
            with self.subTest(protocol=protocol):
                target.follow("hang times=1")
                collector = self.collector(uri, RELAY_TIMEOUT="200ms")
                number = new()
                self.send(collector, number)
                target.wait_for((number, number + 1))
                self.assertEqual(books.wait_until_settled(collector)[0].delivered, 1)

    def test_a_backlog_survives_the_collector(self):
        target = self.mock()
        line = self.start(wire.Wire(target.grpc_port))
        line.cut()
        folder = self.journal_dir()
        numbers = new(100)
        for end in ("stop", "kill"):
            collector = self.collector(line.grpc_uri, folder, DRAIN_TIMEOUT="10ms")
            self.send(collector, *numbers[:50])
            del numbers[:50]
            getattr(collector, end)()
        collector = self.collector(line.grpc_uri, folder)
        own = books.read_one(collector)
        self.assertEqual((own.received, own.queued), (100, 100))
        line.mend()
        (own,) = books.wait_until_settled(collector)
        self.assertEqual(own.delivered, 100)
        self.assertEqual((target.counts["distinct"], target.counts["duplicates"]), (100, 0))


class Refusals(RelayTest):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.start_shared(mock.Mock())
        cls.collectors = {
            "grpc": cls.shared_collector(cls.target.grpc_uri),
            "http": cls.shared_collector(cls.target.http_uri),
        }

    def setUp(self):
        self.addCleanup(self.target.follow)

    def changes(self, collector, before):
        """What has changed in the books since then, by count and reason."""
        now = books.read_one(collector)
        counts = {"delivered": now.delivered - before.delivered}
        for group in ("rejected", "expired", "lost"):
            for reason, value in getattr(now, group).items():
                counts[f"{group} {reason}"] = value - getattr(before, group)[reason]
        return {name: value for name, value in counts.items() if value}

    def settle(self, collector, before):
        books.wait_until_settled(collector)
        return self.changes(collector, before)

    def test_a_refusal_that_may_pass_is_tried_again(self):
        for code, http_code in RETRYABLE.items():
            for protocol, collector in self.collectors.items():
                with self.subTest(code=code, protocol=protocol):
                    before = books.read_one(collector)
                    self.target.follow(f"status {code} {http_code} times=1")
                    number = new()
                    self.send(collector, number)
                    look = self.target.wait_for((number, number + 1))
                    self.assertEqual(look.duplicates, 0)
                    self.assertEqual(self.settle(collector, before), {"delivered": 1})

    def test_resource_exhausted_with_retry_info_may_pass(self):
        for protocol, collector in self.collectors.items():
            with self.subTest(protocol=protocol):
                before = books.read_one(collector)
                self.target.follow("status RESOURCE_EXHAUSTED 429 after=10ms times=1")
                self.send(collector, new())
                self.assertEqual(self.settle(collector, before), {"delivered": 1})

    def test_a_refusal_that_is_final_is_counted_and_not_tried_again(self):
        for code, http_code in FINAL.items():
            for protocol, collector in self.collectors.items():
                with self.subTest(code=code, protocol=protocol):
                    before = books.read_one(collector)
                    requests = self.target.counts["requests"]
                    self.target.follow(f"status {code} {http_code}")
                    self.send(collector, new())
                    self.assertEqual(self.settle(collector, before), {"rejected refused": 1})
                    self.assertEqual(self.target.counts["requests"] - requests, 1)

    def test_partial_success_is_final_for_the_spans_it_names(self):
        for protocol, collector in self.collectors.items():
            with self.subTest(protocol=protocol):
                before = books.read_one(collector)
                requests = self.target.counts["requests"]
                self.target.follow("partial 2 times=1")
                raw = otlp.numbered(new(5)[0], 5)
                self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")
                self.assertEqual(
                    self.settle(collector, before), {"delivered": 3, "rejected partial_success": 2}
                )
                self.assertEqual(self.target.counts["requests"] - requests, 1)

    def test_one_bad_request_takes_no_good_ones_with_it(self):
        for protocol, collector in self.collectors.items():
            with self.subTest(protocol=protocol):
                before = books.read_one(collector)
                refused = self.target.counts["refused_requests"]
                # While the first calls wait, the others gather to batches, on a busy machine, too.
                self.target.follow("poison", "delay 1s times=4")
                numbers = new(41)
                for number in numbers:
                    name = "poison" if number == numbers[5] else "work"
                    self.send(collector, number, name=name)
                good = [number for number in numbers if number != numbers[5]]
                self.target.wait_for(*ranges(good))
                self.assertEqual(
                    self.settle(collector, before), {"delivered": 40, "rejected refused": 1}
                )
                self.assertGreater(self.target.counts["refused_requests"] - refused, 1)

    def test_the_destinations_wish_to_be_left_alone_is_respected(self):
        for wish in ("after", "after-date"):
            for protocol, collector in self.collectors.items():
                with self.subTest(protocol=protocol, wish=wish):
                    number = new()
                    # A date has no fraction: up to a second of it has passed.
                    self.target.follow(f"status UNAVAILABLE 503 {wish}=2s times=1")
                    self.send(collector, number)
                    eventually(lambda: books.read_one(collector).members["is_backing_off"], "refused")
                    started = time.monotonic()
                    self.target.wait_for((number, number + 1))
                    least_s = 0.9 if (protocol, wish) == ("http", "after-date") else 1.8
                    self.assertGreater(time.monotonic() - started, least_s)
                    books.wait_until_settled(collector)

    def test_refusals_show_in_the_status_and_its_reason_in_the_metrics(self):
        collector = self.collectors["grpc"]
        self.target.follow("status PERMISSION_DENIED 403")
        self.send(collector, new())
        books.wait_until_settled(collector)
        self.assertIn("PERMISSION_DENIED", books.read_one(collector).members["last_error"])
        samples = metrics.read(collector)
        own = books.read_one(collector)
        self.assertEqual(
            samples.total("tracehop_collector_relay_spans_total", reason="refused"),
            own.rejected["refused"],
        )
        self.assertEqual(
            samples.total("tracehop_collector_relay_spans_total", outcome="delivered"), own.delivered
        )


class Sizes(RelayTest):
    LIMIT = 64 * 1024

    def test_a_limit_is_learned_and_kept_to(self):
        for protocol in ("grpc", "http"):
            target = self.mock(f"limit {self.LIMIT}", "delay 20ms times=3")
            with self.subTest(protocol=protocol):
                collector = self.collector(getattr(target, f"{protocol}_uri"))
                first = new(3000)[0]
                mock.send(
                    f"grpc://127.0.0.1:{collector.grpc_port}", requests=300, spans=10,
                    first_id=first, in_flight=64,
                )  # fmt: skip
                target.wait_for((first, first + 3000))
                (own,) = books.wait_until_settled(collector)
                self.assertEqual(own.delivered, 3000)
                if protocol == "grpc" and target.counts["refused_requests"]:
                    self.assertLessEqual(own.members["batch_limit_bytes"], self.LIMIT)

    def test_a_request_above_the_limit_is_cut(self):
        for protocol in ("grpc", "http"):
            target = self.mock(f"limit {self.LIMIT}")
            with self.subTest(protocol=protocol):
                collector = self.collector(getattr(target, f"{protocol}_uri"))
                first = new(1000)[0]
                raw = otlp.numbered(first, 1000, attributes={"fill": "x" * 300})
                self.assertGreater(len(raw), 5 * self.LIMIT)
                self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")
                look = target.wait_for((first, first + 1000))
                self.assertEqual(look.duplicates, 0)
                (own,) = books.wait_until_settled(collector)
                self.assertEqual((own.delivered, own.left), (1000, 1000))

    def test_a_single_span_above_the_limit_is_counted_and_the_others_go(self):
        target = self.mock(f"limit {self.LIMIT}")
        collector = self.collector(target.grpc_uri)
        numbers = new(3)
        spans = [
            otlp.span(numbers[0]),
            otlp.span(numbers[1], attributes={"fill": "x" * (2 * self.LIMIT)}),
            otlp.span(numbers[2]),
        ]
        raw = otlp.request(*spans).SerializeToString()
        self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")
        target.wait_for(*ranges([numbers[0], numbers[2]]))
        (own,) = books.wait_until_settled(collector)
        self.assertEqual((own.delivered, own.rejected["too_large"]), (2, 1))

    def test_batches_stay_below_what_everybody_takes(self):
        target = self.mock("delay 50ms times=8")
        collector = self.collector(target.grpc_uri)
        n_requests = 100 if build.is_instrumented() else 400
        first = new(n_requests * 100)[0]
        mock.send(
            f"grpc://127.0.0.1:{collector.grpc_port}", requests=n_requests, spans=100,
            first_id=first, in_flight=64,
        )  # fmt: skip
        target.wait_for((first, first + n_requests * 100))
        self.assertLessEqual(target.counts["largest_request_bytes"], 7 << 19)


class Limits(RelayTest):
    def test_the_oldest_spans_expire_when_the_journal_is_full(self):
        target = self.mock()
        line = self.start(wire.Wire(target.grpc_port))
        line.cut()
        collector = self.collector(line.grpc_uri, JOURNAL_MAX_BYTES="4MiB", MAX_REQUEST_BYTES="1MiB")
        first = new(20_000)[0]
        # Three times as much as there is room for.
        figures = mock.send(
            f"grpc://127.0.0.1:{collector.grpc_port}", requests=200, spans=100, span_bytes=600,
            first_id=first,
        )  # fmt: skip
        self.assertEqual(figures["acknowledged_spans"], 20_000)
        eventually(
            lambda: books.read_one(collector).expired["size"] > 0, "the oldest expire and are counted"
        )
        eventually(
            lambda: books.status(collector)["journal"]["disk_bytes"] <= 4 << 20, "they leave the disk"
        )
        line.mend()
        (own,) = books.wait_until_settled(collector)
        self.assertEqual(own.received, 20_000)
        self.assertEqual(own.delivered + own.expired["size"], 20_000)
        self.assertEqual(own.delivered, target.counts["distinct"])
        # It is the oldest that are gone: what arrived goes on without a gap to the end.
        target.wait_for((first + own.expired["size"], first + 20_000))

    def test_spans_expire_when_they_are_too_old(self):
        target = self.mock()
        line = self.start(wire.Wire(target.grpc_port))
        line.cut()
        collector = self.collector(line.grpc_uri, JOURNAL_MAX_AGE="200ms")
        self.send(collector, *new(5))
        eventually(lambda: books.read_one(collector).expired["age"] == 5, "they expire")
        line.mend()

        def send_one_more():
            self.send(collector, new())
            return target.counts["distinct"]

        eventually(send_one_more, "a span that is young enough arrives")
        (own,) = books.wait_until_settled(collector)
        self.assertEqual(own.delivered, target.counts["distinct"])
        self.assertEqual(own.received, own.delivered + own.expired["age"])


class Ends(RelayTest):
    def test_what_waits_is_delivered_before_the_end(self):
        target = self.mock("delay 100ms")
        collector = self.collector(target.grpc_uri)
        numbers = new(50)
        self.send(collector, *numbers)
        collector.stop()
        self.assertTrue(target.look(*ranges(numbers)).is_complete)

    def test_a_drain_has_an_end_and_the_rest_waits_for_the_next_start(self):
        target = self.mock("hang")
        folder = self.journal_dir()
        collector = self.collector(target.grpc_uri, folder, DRAIN_TIMEOUT="200ms")
        numbers = new(20)
        self.send(collector, *numbers)
        target.wait_for_requests(1)
        started = time.monotonic()
        collector.stop()
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(target.counts["distinct"], 0)
        target.follow()
        collector = self.collector(target.grpc_uri, folder)
        target.wait_for(*ranges(numbers))
        (own,) = books.wait_until_settled(collector)
        self.assertEqual((own.received, own.delivered), (20, 20))

    def test_requests_in_hand_are_answered_before_the_end(self):
        """Every span that was acknowledged at the end is in the journal, and no sender hangs."""
        target = self.mock()
        folder = self.journal_dir()
        (port,) = network.free_ranges(1, 1)
        settings = {"OTLP_GRPC_LISTEN": f"127.0.0.1:{port}"}
        collector = self.collector(target.grpc_uri, folder, **settings)
        with mock.Load(f"grpc://127.0.0.1:{port}", in_flight=32) as load:
            load.wait_for_acknowledged(500)
            collector.stop()
            figures = load.finish()
        collector = self.collector(target.grpc_uri, folder, **settings)
        target.wait_for(*figures["acknowledged"])

    def test_two_collectors_cannot_have_one_journal(self):
        folder = self.journal_dir()
        self.collector("grpc://127.0.0.1:1", folder, DRAIN_TIMEOUT="10ms")
        with self.assertRaisesRegex(AssertionError, "another process has it open"):
            self.collector("grpc://127.0.0.1:1", folder)

    def test_the_books_of_a_destination_that_is_gone_are_forgotten(self):
        target = self.mock()
        folder = self.journal_dir()
        self.collector([target.grpc_uri, "grpc://127.0.0.1:1"], folder, DRAIN_TIMEOUT="10ms").stop()
        collector = self.collector(target.grpc_uri, folder)
        number = new()
        self.send(collector, number)
        (own,) = books.wait_until_settled(collector)
        self.assertEqual(own.delivered, 1)
