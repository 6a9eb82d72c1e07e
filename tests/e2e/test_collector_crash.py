"""What was acknowledged survives: the death of the collector at any moment, and disks that tear,
flip, fill up and fail. The books balance all the while.

TRACEHOP_KILLS says how often the collector is killed, in all.
"""

import contextlib
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

from harness import books, build, metrics, mock, network, otlp, wire
from harness.case import ProgramTest
from harness.programs import CollectorProgram
from harness.wait import eventually

KILLS = int(os.environ.get("TRACEHOP_KILLS", 20 if build.is_instrumented() else 200))
LONGEST_LIFE_S = 0.05
MAX_CALLS_IN_FLIGHT = 4
DISK_BYTES = 8 << 20
TRACE_BYTES = 16


class Killer(ProgramTest):
    """Kills the collector under load, with a third of KILLS for each state of its backend."""

    def setUp(self):
        self.target = self.start(mock.Mock())
        self.line = self.start(wire.Wire(self.target.grpc_port))
        self.folder = self.journal_dir()
        (self.port,) = network.free_ranges(1, 1)

    def settings(self):
        durability = random.choice(("sync", "interval", "none"))
        return {"OTLP_GRPC_LISTEN": f"127.0.0.1:{self.port}", "DURABILITY": durability}

    def live_and_die(self, load):
        """One life of the collector, during which something is acknowledged."""
        acknowledged = load.acknowledged
        collector = CollectorProgram(self.folder, self.line.grpc_uri, **self.settings())
        try:
            load.wait_for_acknowledged(acknowledged + 1)
            time.sleep(random.uniform(0, LONGEST_LIFE_S))
        finally:
            collector.kill()

    def run_kills(self, kills):
        """The collector's last life, and what the load was told over all of them."""
        with mock.Load(f"grpc://127.0.0.1:{self.port}", in_flight=4, spans=5, span_bytes=200) as load:
            for _ in range(kills):
                self.live_and_die(load)
            figures = load.finish()
        return self.collector(self.line.grpc_uri, self.folder, **self.settings()), figures

    def check(self, collector, figures, kills):
        (own,) = books.wait_until_settled(collector, timeout_s=120)
        look = self.target.look(*figures["acknowledged"])
        counts = self.target.counts
        self.assertTrue(look.is_complete, look)
        # Nobody refused anything, so nothing may be in any other count.
        self.assertEqual(own.delivered, own.received, own)
        self.assertEqual(own.received, counts["distinct"], own)
        self.assertGreaterEqual(own.received, figures["acknowledged_spans"])
        # What was in flight is sent again: the calls of that moment, and those that had ended but
        # whose end was not written down yet, when others had begun in their places.
        in_flight = 2 * MAX_CALLS_IN_FLIGHT * counts["largest_request_spans"]
        self.assertLessEqual(counts["duplicates"], kills * in_flight, counts)

    def share_of(self, state):
        states = ("up", "down", "flapping")
        return KILLS // 3 + (states.index(state) < KILLS % 3)

    def test_while_the_backend_is_up(self):
        kills = self.share_of("up")
        self.check(*self.run_kills(kills), kills)

    def test_while_the_backend_is_down(self):
        kills = self.share_of("down")
        self.line.cut()
        collector, figures = self.run_kills(kills)
        self.assertEqual(self.target.counts["requests"], 0)
        self.assertGreaterEqual(books.read_one(collector).queued, figures["acknowledged_spans"])
        self.line.mend()
        self.check(collector, figures, kills)
        self.assertEqual(self.target.counts["duplicates"], 0)

    def test_while_the_backend_comes_and_goes(self):
        kills = self.share_of("flapping")
        is_over = threading.Event()

        def flap():
            while not is_over.wait(random.uniform(0, 0.2)):
                self.line.cut()
                is_over.wait(random.uniform(0, 0.1))
                self.line.mend()

        flapping = threading.Thread(target=flap)
        flapping.start()
        try:
            collector, figures = self.run_kills(kills)
        finally:
            is_over.set()
            flapping.join()
            self.line.mend()
        self.check(collector, figures, 2 * kills)  # a cut loses answers too


class Duplicates(ProgramTest):
    """What a crash sends again: what was in flight, and nothing else."""

    SPANS = 300

    def setUp(self):
        self.target = self.start(mock.Mock())
        self.line = self.start(wire.Wire(self.target.grpc_port))
        self.folder = self.journal_dir()

    def begin(self):
        collector = self.collector(self.line.grpc_uri, self.folder)
        return collector, f"grpc://127.0.0.1:{collector.grpc_port}"

    def test_what_was_delivered_is_not_sent_again(self):
        for life in range(5):
            collector, uri = self.begin()
            mock.send(uri, requests=self.SPANS // 5, spans=5, first_id=1 + life * self.SPANS)
            books.wait_until_settled(collector)
            collector.kill()
        self.assertEqual(self.target.counts["distinct"], 5 * self.SPANS)
        self.assertEqual(self.target.counts["duplicates"], 0)

    def test_what_was_in_flight_is_sent_again_once(self):
        collector, uri = self.begin()
        mock.send(uri, requests=1, spans=1, first_id=1)  # a connection is there
        self.target.wait_for((1, 2))
        books.wait_until_settled(collector)
        self.line.deafen()
        with mock.Load(uri, spans=5, first_id=2) as load:
            in_flight = eventually(lambda: self.all_in_flight(collector), "all calls wait")
            sent = 1 + load.finish()["acknowledged_spans"]
        self.target.wait_for((1, 2 + in_flight))
        collector.kill()
        self.line.mend()
        collector, _ = self.begin()
        books.wait_until_settled(collector)
        self.assertEqual(self.target.counts["distinct"], sent)
        self.assertEqual(self.target.counts["duplicates"], in_flight)

    def all_in_flight(self, collector):
        """How many spans are, once nothing else can start."""
        own = books.read_one(collector).members
        has_all_calls = own["in_flight_calls"] == MAX_CALLS_IN_FLIGHT
        return own["in_flight_spans"] if has_all_calls else None


class Damage(ProgramTest):
    """A backlog of spans, each in a record of its own, whose bytes change while nobody looks."""

    COUNT = 100

    def setUp(self):
        self.target = self.start(mock.Mock())
        self.line = self.start(wire.Wire(self.target.grpc_port))
        self.folder = pathlib.Path(self.journal_dir())

    def collector_here(self, **settings):
        return self.collector(self.line.grpc_uri, self.folder, **settings)

    def send(self, collector, *numbers):
        for number in numbers:
            # With a trace id that is found in the journal's file and nowhere else in it.
            raw = otlp.numbered(number, trace=0xFEED << 64 | number, attributes={"fill": "x" * 100})
            self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")

    def leave_backlog(self):
        self.line.cut()
        collector = self.collector_here()
        self.send(collector, *range(1, self.COUNT + 1))
        collector.kill()

    @contextlib.contextmanager
    def bytes_of_journal(self):
        """The only segment, to be changed."""
        (path,) = self.folder.glob("*.segment")
        content = bytearray(path.read_bytes())
        yield content
        path.write_bytes(content)

    def place_of(self, content, number):
        """Where the trace id of a span is in its record."""
        trace_id = otlp.id_bytes(0xFEED << 64 | number, TRACE_BYTES)
        self.assertEqual(content.count(trace_id), 1)
        return content.index(trace_id)

    def settle(self, *missing, lost=0):
        """All but the missing spans arrive; so many are counted as lost."""
        self.line.mend()
        collector = self.collector_here()
        (own,) = books.wait_until_settled(collector)
        present = sorted(set(range(1, self.COUNT + 1)) - set(missing))
        look = self.target.wait_for(*((number, number + 1) for number in present))
        self.assertEqual(look.duplicates, 0)
        self.assertEqual(own.lost, {"damaged": lost}, own)
        self.assertEqual(own.delivered, self.COUNT - len(missing), own)
        return collector

    def goes_on(self, collector):
        self.send(collector, 5000)
        self.target.wait_for((5000, 5001))

    def test_a_torn_tail_is_cut_off(self):
        self.leave_backlog()
        with self.bytes_of_journal() as content:
            del content[self.place_of(content, self.COUNT) :]
        collector = self.settle(self.COUNT)
        recovery = collector.wait_for_log("journal opened")
        self.assertGreater(recovery["cut_bytes"], 0)
        told = metrics.read(collector)
        name = "tracehop_collector_journal_recovered_bytes_total"
        self.assertEqual(told.total(name, what="cut"), recovery["cut_bytes"])
        self.assertEqual(told.total(name, what="readable"), recovery["bytes"])
        self.goes_on(collector)

    def test_a_segment_may_be_cut_at_any_record(self):
        self.leave_backlog()
        with self.bytes_of_journal() as content:
            del content[self.place_of(content, self.COUNT // 2) :]
        self.goes_on(self.settle(*range(self.COUNT // 2, self.COUNT + 1)))

    def test_a_flipped_bit_in_the_middle_costs_one_record(self):
        self.leave_backlog()
        with self.bytes_of_journal() as content:
            content[self.place_of(content, 30) + TRACE_BYTES + 40] ^= 0x10
        self.goes_on(self.settle(30, lost=1))

    def test_a_flipped_bit_in_a_records_head_costs_one_record(self):
        self.leave_backlog()
        with self.bytes_of_journal() as content:
            # The head is the 40 bytes before the request, whose resource comes before the span.
            start = content.rindex(b"service.name", 0, self.place_of(content, 30))
            content[start - 20] ^= 0x01
        self.goes_on(self.settle(30, lost=1))

    def test_several_stretches_of_zeros(self):
        self.leave_backlog()
        with self.bytes_of_journal() as content:
            for first, last in ((10, 12), (40, 41), (70, 75)):
                start, end = self.place_of(content, first), self.place_of(content, last)
                content[start : end + 1] = bytes(end + 1 - start)
        missing = [10, 11, 12, 40, 41, 70, 71, 72, 73, 74, 75]
        self.goes_on(self.settle(*missing, lost=len(missing)))

    def test_a_lost_cursor_costs_duplicates_and_no_span(self):
        for name, damage in (
            ("gone", pathlib.Path.unlink),
            ("empty", lambda path: path.write_bytes(b"")),
            ("garbage", lambda path: path.write_bytes(os.urandom(path.stat().st_size))),
        ):
            with self.subTest(cursor=name):
                self.setUp()
                collector = self.collector_here()
                self.send(collector, *range(1, 51))
                self.target.wait_for((1, 51))
                self.line.cut()
                self.send(collector, *range(51, self.COUNT + 1))
                collector.kill()
                (cursor,) = self.folder.glob("*.cursor")
                damage(cursor)
                self.line.mend()
                collector = self.collector_here()
                (own,) = books.wait_until_settled(collector)
                look = self.target.wait_for((1, self.COUNT + 1))
                self.assertLessEqual(look.duplicates, 50)
                self.assertEqual(own.delivered, own.received)
                self.goes_on(collector)

    def test_strange_files_in_the_directory_are_no_matter(self):
        self.leave_backlog()
        for name in ("README", "zzz.segment", "0000000000000000.segment.new", ".hidden"):
            (self.folder / name).write_bytes(b"what is this?")
        self.goes_on(self.settle())


class BadDisk(ProgramTest):
    """The disk refuses while senders and the backend go on."""

    def setUp(self):
        self.target = self.start(mock.Mock())

    def export(self, collector, number):
        return otlp.export(collector.grpc_port, otlp.numbered(number, attributes={"fill": "x" * 2000}))

    def assert_refused_for_now(self, collector, number):
        """On every port, in its own form."""
        outcome = self.export(collector, number)
        self.assertEqual(outcome.code, "UNAVAILABLE", outcome)
        self.assertGreater(outcome.retry_delay_s, 0)
        answer = otlp.post(collector.http_port, otlp.numbered(number + 1))
        self.assertEqual(answer.status, 503, answer)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)

    def acknowledged_of(self, collector, numbers):
        return [number for number in numbers if self.export(collector, number).code == "OK"]

    def settle(self, collector, acknowledged):
        (own,) = books.wait_until_settled(collector)
        self.assertTrue(self.target.look(*((n, n + 1) for n in acknowledged)).is_complete)
        self.assertEqual(own.delivered, own.received)
        return own

    def run_with_failing(self, rule, end):
        """Takes in, is refused, takes in again; then `end` ends it, and another one takes over."""
        control = self.start(tempfile.NamedTemporaryFile("w"))
        folder = self.journal_dir()
        settings = {
            "LD_PRELOAD": build.program("tests/faults/libfail_disk.so"),
            "FAIL_DISK": control.name,
            "ASAN_OPTIONS": f"{build.sanitizer_options()['ASAN_OPTIONS']}:verify_asan_link_order=0",
        }
        line = self.start(wire.Wire(self.target.grpc_port))
        line.cut()
        collector = self.collector(line.grpc_uri, folder, **settings)
        acknowledged = self.acknowledged_of(collector, range(1, 21))
        self.assertEqual(len(acknowledged), 20)

        control.write(f"{rule} {folder}\n")
        control.flush()
        acknowledged += self.acknowledged_of(collector, range(21, 41))
        self.assertEqual(len(acknowledged), 20)
        self.assert_refused_for_now(collector, 41)
        self.assertNotEqual(books.status(collector)["journal"]["trouble"], "")
        line.mend()
        self.target.wait_for((1, 21))  # what is there goes on its way

        control.truncate(0)
        eventually(lambda: self.export(collector, 51).code == "OK", "it takes in again by itself")
        acknowledged += [51, *self.acknowledged_of(collector, range(61, 81))]
        self.assertEqual(books.status(collector)["journal"]["trouble"], "")
        getattr(collector, end)()
        collector = self.collector(line.grpc_uri, folder)
        self.settle(collector, acknowledged)

    def test_failing_to_sync_and_to_write(self):
        for rule in ("sync EIO", "write EIO", "write ENOSPC"):
            for end in ("stop", "kill"):
                with self.subTest(rule=rule, end=end):
                    self.setUp()
                    self.run_with_failing(rule, end)

    def small_disk(self):
        """A file system of DISK_BYTES."""
        folder = self.start(tempfile.TemporaryDirectory(prefix="tracehop-disk-"))
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tracehop", folder],
            capture_output=True,
            check=False,
            text=True,
        )
        if mounted.returncode != 0:
            self.skipTest(f"no small file system to be had: {mounted.stderr.strip()}")
        self.start(contextlib.ExitStack()).callback(
            subprocess.run, ["umount", "--lazy", folder], check=True
        )
        return pathlib.Path(folder)

    def fill(self, disk):
        """Takes all the room that is left."""
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
        return ballast

    def test_a_full_disk(self):
        disk = self.small_disk()
        collector = self.collector(
            self.target.grpc_uri, disk / "journal", JOURNAL_MAX_BYTES="1GiB", MAX_REQUEST_BYTES="1MiB"
        )
        acknowledged = self.acknowledged_of(collector, range(1, 51))
        self.assertEqual(len(acknowledged), 50)
        ballast = self.fill(disk)
        # What was allotted before is used up first.
        number = 100
        while (outcome := self.export(collector, number)).code == "OK":
            acknowledged.append(number)
            number += 1
        self.assertEqual(outcome.code, "UNAVAILABLE")
        self.assert_refused_for_now(collector, 90_000)
        self.target.wait_for(*((n, n + 1) for n in acknowledged))

        ballast.unlink()
        eventually(lambda: self.export(collector, 91_000).code == "OK", "it takes in again by itself")
        acknowledged.append(91_000)
        collector.kill()
        collector = self.collector(
            self.target.grpc_uri, disk / "journal", JOURNAL_MAX_BYTES="1GiB", MAX_REQUEST_BYTES="1MiB"
        )
        self.settle(collector, acknowledged)
        collector.stop()
