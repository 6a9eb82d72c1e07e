"""The rows of the hop and the chain."""

import contextlib
import statistics

from harness import metrics
from measure import (
    THREADS, Measured, MiB, Yardstick, add_limit, add_ratio, free_port, h2load, in_turns, wrk,
)  # fmt: skip

# The classic Node chain: requests/s on 2 cores, load generator included, taken once elsewhere.
CLASSIC_CHAIN = 1463

GRPC_PATH = "/tracehop.v1.Hop/Call"
B3 = {
    "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
    "x-b3-spanid": "463ac35c9f6413ad",
    "x-b3-sampled": "1",
}

class Hop(Measured):
    def __init__(self, build, role, upstream="", **settings):
        self.http_port, self.grpc_port, admin_port = (free_port() for _ in range(3))
        super().__init__(
            [build / "tracehop-server"],
            admin_port,
            {
                "ROLE": role,
                "HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
                "GRPC_LISTEN": f"127.0.0.1:{self.grpc_port}",
                "UPSTREAM_URI": upstream,
                **settings,
            },
        )


def tracing_to(sink):
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
        "OTEL_BSP_SCHEDULE_DELAY": "1000",
    }


NO_TRACING = {"OTEL_SDK_DISABLED": "true"}


def note_losses(table, what, hops):
    """The end of a load cancels a call or two; anything else here makes a figure worthless."""
    pages = [metrics.read(hop) for hop in hops]
    exported = sum(page.total("tracehop_spans_exported_total") for page in pages)
    dropped = sum(page.total("tracehop_spans_dropped_total") for page in pages)
    requests = sum(page.total("tracehop_requests_total") for page in pages)
    fine = sum(page.total("tracehop_requests_total", status="OK") for page in pages)
    table.notes.append(
        f"{what}: {exported:,.0f} spans exported so far, {dropped:,.0f} dropped; "
        f"{fine:,.0f} requests OK, {requests - fine:,.0f} not"
    )


@contextlib.contextmanager
def chain(build, settings):
    """frontend, middleware, backend, clock; the first one first."""
    with contextlib.ExitStack() as stack:
        clock = stack.enter_context(Hop(build, "clock", **settings))
        backend = stack.enter_context(
            Hop(build, "backend", f"http://127.0.0.1:{clock.http_port}/time", **settings)
        )
        middleware = stack.enter_context(
            Hop(build, "middleware", f"grpc://127.0.0.1:{backend.grpc_port}", **settings)
        )
        frontend = stack.enter_context(
            Hop(build, "frontend", f"grpc://127.0.0.1:{middleware.grpc_port}", **settings)
        )
        yield [frontend, middleware, backend, clock]


def measure_start(build, table):
    def start():
        with Hop(build, "hop", OTEL_TRACES_EXPORTER="none") as hop:
            return hop.start_s * 1000

    add_limit(table, "start to ready", statistics.median(start() for _ in range(5)), "ms", 100)


def measure_chain(build, sink, table):
    with chain(build, tracing_to(sink)) as traced, chain(build, NO_TRACING) as untraced:
        rest = max(hop.memory_bytes("VmRSS") for hop in traced) / MiB
        own = max(hop.memory_bytes("RssAnon") for hop in traced) / MiB
        on, off = in_turns(lambda: wrk(traced[0].http_port), lambda: wrk(untraced[0].http_port))
        load = max(hop.memory_bytes("VmHWM") for hop in traced) / MiB
        add_ratio(table, "chain HTTP -> gRPC -> gRPC -> clock, all spans", on, CLASSIC_CHAIN,
                  "classic (constant)", 10)  # fmt: skip
        add_ratio(table, "the chain: spans against OTEL_SDK_DISABLED", on, off, "disabled", 0.9)
        add_limit(table, "memory of a hop of the chain at rest", rest, "MiB", 15)
        add_limit(table, "memory of a hop of the chain under load, at most", load, "MiB", 40)
        table.notes.append(f"at rest {own:.1f} MiB of a hop are its own, the rest is libraries")
        note_losses(table, "chain", traced)


def measure_grpc_hop(build, sink, table):
    with (
        Yardstick(build, "bench_grpc_hop", THREADS) as last,
        Yardstick(build, "bench_grpc_hop", THREADS, f"127.0.0.1:{last.port}") as bare,
        Hop(build, "middleware", f"grpc://127.0.0.1:{last.port}", **tracing_to(sink)) as hop,
    ):
        ours, yardstick = in_turns(lambda: h2load(hop.grpc_port, GRPC_PATH, headers=B3), lambda: h2load(bare.port, GRPC_PATH))
        add_ratio(table, "hop gRPC -> gRPC with B3, all spans", ours, yardstick, "bare gRPC", 0.75)
        add_limit(table, "memory of that hop under load, at most",
                  hop.memory_bytes("VmHWM") / MiB, "MiB", 40)  # fmt: skip
        note_losses(table, "hop", [hop])


def measure_http_front(build, sink, table):
    with (
        Yardstick(build, "bench_mhd", THREADS) as bare,
        Hop(build, "clock", **tracing_to(sink)) as hop,
    ):
        ours, yardstick = in_turns(lambda: wrk(hop.http_port), lambda: wrk(bare.port))
        add_ratio(table, "HTTP front of a last hop, all spans", ours, yardstick,
                  "bare microhttpd", 0.6)  # fmt: skip
        note_losses(table, "HTTP front", [hop])


def measure(build, table):
    with Yardstick(build, "bench_otlp_sink", THREADS) as sink:
        measure_start(build, table)
        measure_chain(build, sink, table)
        measure_grpc_hop(build, sink, table)
        measure_http_front(build, sink, table)
    counted = sink.logged("counted")[0]
    table.notes.append(f"the sink counted {counted['spans']:,} spans of hops")
    table.notes.append(f"the classic chain is the constant {CLASSIC_CHAIN}/s, not run here")
