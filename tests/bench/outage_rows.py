"""The row of a long outage: a backlog made while the destination is down drains afterwards, while
new spans keep coming.
"""

import contextlib
import os
import subprocess
import time

from collector_rows import Collector
from harness import books
from measure import SECONDS, MiB, Yardstick, add_limit, add_ratio, free_port

BACKLOG_BYTES = int(os.environ.get("BENCH_BACKLOG_MIB", "2048")) * MiB
PATIENCE_S = 600


@contextlib.contextmanager
def load(build, collector, in_flight):
    """100-span requests, so many in flight, until the block ends."""
    target = f"grpc://127.0.0.1:{collector.grpc_port}"
    running = subprocess.Popen(
        [build / "tests/mock/span_load", "--target", target, "--spans", "100", "--in-flight",
         str(in_flight)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        running.communicate(b"")


def delivered_per_s(collector, is_over):
    """Spans a second, from now until it is over."""
    before, started = books.read_one(collector).delivered, time.monotonic()
    while not is_over():
        if time.monotonic() - started > PATIENCE_S:
            raise SystemExit(f"bench: not over after {PATIENCE_S} s: {books.read_one(collector)}")
        time.sleep(0.05)
    return (books.read_one(collector).delivered - before) / (time.monotonic() - started)


def passed(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def queued_bytes(collector):
    return books.read_one(collector).members["queued_bytes"]


def measure(build, table):
    port = free_port()
    settings = {"DURABILITY": "interval", "JOURNAL_MAX_BYTES": str(4 * BACKLOG_BYTES)}
    with Collector(build, f"grpc://127.0.0.1:{port}", **settings) as collector:
        with Yardstick(build, "bench_otlp_sink", 1, "counting", port):
            with load(build, collector, 32):
                live = delivered_per_s(collector, passed(SECONDS))
            books.wait_until_settled(collector)
        with load(build, collector, 32):
            delivered_per_s(collector, lambda: queued_bytes(collector) >= BACKLOG_BYTES)
        backlog = books.read_one(collector)
        with Yardstick(build, "bench_otlp_sink", 1, "counting", port), load(build, collector, 1):
            drained = delivered_per_s(
                collector, lambda: books.read_one(collector).delivered >= backlog.received
            )
        add_ratio(table, "draining a backlog while new spans come, in spans", drained, live,
                  "live, relayed", 0.5)  # fmt: skip
        add_limit(table, "memory with the backlog, at most",
                  collector.memory_bytes("VmHWM") / MiB, "MiB", 100)  # fmt: skip
        table.notes.append(
            f"the backlog: {backlog.queued:,} spans in {backlog.members['queued_bytes'] / MiB:,.0f} MiB"
        )
