"""A long outage: what has piled up drains while new spans keep coming, at no less than half the rate
at which spans go through otherwise, and in bounded memory.

TRACEHOP_BACKLOG says how many bytes pile up.
"""

import os
import time

from harness import books, build, mock, network
from harness.case import ProgramTest
from harness.wait import eventually

BACKLOG_BYTES = int(os.environ.get("TRACEHOP_BACKLOG", (10 if build.is_instrumented() else 200) << 20))
LIVE_BYTES = BACKLOG_BYTES // 4
SPANS_PER_REQUEST = 100
MOST_RESIDENT_BYTES = 100_000_000
PATIENCE_S = 60 + BACKLOG_BYTES // (5 << 20)


class Backlog(ProgramTest):
    def setUp(self):
        (self.port,) = network.free_ranges(1, 1)
        self.program = self.collector(f"grpc://127.0.0.1:{self.port}", JOURNAL_MAX_BYTES="8GiB")
        self.uri = f"grpc://127.0.0.1:{self.program.grpc_port}"
        self.next_id = 1

    def backend(self):
        """Comes up where the collector looks for it."""
        return self.start(mock.Mock(OTLP_GRPC_LISTEN=f"127.0.0.1:{self.port}"))

    def send(self, n_bytes):
        """So many bytes of spans, as fast as they are taken; their range of ids."""
        first = self.next_id
        requests = max(1, n_bytes // (SPANS_PER_REQUEST * 500))
        figures = mock.send(
            self.uri, requests=requests, spans=SPANS_PER_REQUEST, in_flight=16, first_id=first
        )
        self.next_id += requests * SPANS_PER_REQUEST
        self.assertEqual(figures["acknowledged"], [[first, self.next_id]])
        return first, self.next_id

    def live_rate(self):
        """Spans per second from the sender to the backend when nothing waits."""
        backend = self.backend()
        self.send(1)
        books.wait_until_settled(self.program)
        started = time.monotonic()
        first, end = self.send(LIVE_BYTES)
        books.wait_until_settled(self.program, PATIENCE_S)
        rate = (end - first) / (time.monotonic() - started)
        backend.wait_for((first, end))
        backend.stop()
        return rate

    def assert_small(self):
        if not build.is_instrumented():
            self.assertLess(self.program.peak_resident_bytes(), MOST_RESIDENT_BYTES)

    def test_a_backlog_drains_while_new_spans_come(self):
        live_rate = self.live_rate()
        backlog = self.send(BACKLOG_BYTES)
        before = books.read_one(self.program)
        self.assertEqual(before.queued, backlog[1] - backlog[0])
        self.assert_small()

        backend = self.backend()
        eventually(lambda: books.read_one(self.program).queued < before.queued, "it begins to drain")
        started, begun = time.monotonic(), books.read_one(self.program)
        with mock.Load(self.uri, spans=5, in_flight=1, first_id=self.next_id) as load:
            # The new ones are at the end of the queue: when they arrive, the backlog is gone.
            eventually(
                lambda: books.read_one(self.program).left >= before.received, "it drains", PATIENCE_S
            )
            rate = (books.read_one(self.program).left - begun.left) / (time.monotonic() - started)
            figures = load.finish()
        backend.wait_for(backlog, *figures["acknowledged"], timeout_s=PATIENCE_S)
        self.assertEqual(backend.counts["duplicates"], 0)
        self.assertGreater(figures["acknowledged_spans"], 0)
        self.assert_small()
        if not build.is_instrumented():
            self.assertGreater(rate, live_rate / 2)
