"""The rows of the collector: what it adds to receiving, and to waiting for the disk."""

import contextlib
import json
import subprocess
import tempfile

from harness import books, otlp
from measure import (
    SECONDS, THREADS, Measured, MiB, Yardstick, add_limit, add_ratio, free_port, h2load, in_turns,
    wrk,
)  # fmt: skip

# fluent-bit 5.1, OTLP/HTTP in and out, memory only: spans/s, taken once elsewhere.
FLUENT_BIT = 107_000

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = "application/x-protobuf"
DURABILITIES = ("sync", "interval", "none")

# What Istio's proxies tell of a request.
ATTRIBUTES = {
    "http.request.method": "GET",
    "url.path": "/api/orders/123456",
    "server.address": "orders.default.svc.cluster.local",
    "network.protocol.version": "1.1",
    "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
    "istio.canonical_service": "frontend",
    "upstream_cluster": "outbound|8080||orders.default.svc.cluster.local",
    "node_id": "sidecar~10.0.0.1~frontend-6d8f7c-abcde.default",
    "http.response.status_code": "200",
    "server.port": "8080",
}


def request(n_spans):
    """About 500 bytes for each span."""
    spans = (
        otlp.span(number, "GET /api/orders/{id}", attributes=ATTRIBUTES.items())
        for number in range(1, n_spans + 1)
    )
    return otlp.request(*spans, service="frontend").SerializeToString()


class Collector(Measured):
    """Keeps its journal in a folder of its own, on the disk of the build."""

    def __init__(self, build, relay_to, **settings):
        self.grpc_port, self.http_port, zipkin_port, admin_port = (free_port() for _ in range(4))
        self._folder = tempfile.TemporaryDirectory(prefix="bench-journal-", dir=build)
        super().__init__(
            [build / "tracehop-collector"],
            admin_port,
            {
                "OTLP_GRPC_LISTEN": f"127.0.0.1:{self.grpc_port}",
                "OTLP_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
                "ZIPKIN_LISTEN": f"127.0.0.1:{zipkin_port}",
                "RELAY_TO": relay_to,
                "JOURNAL_DIR": self._folder.name,
                **settings,
            },
        )

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self._folder.cleanup()


@contextlib.contextmanager
def collectors(build):
    """One for each durability, each with a sink of its own."""
    with contextlib.ExitStack() as stack:
        started = {}
        for durability in DURABILITIES:
            sink = stack.enter_context(Yardstick(build, "bench_otlp_sink", 1))
            uri = f"grpc://127.0.0.1:{sink.port}"
            collector = Collector(build, uri, DURABILITY=durability)
            started[durability] = stack.enter_context(collector)
        yield started


def measure_disk(build, table, size):
    """The yardstick of waiting for the disk, at the size of one request."""
    said = subprocess.run(
        [build / "tests/bench/bench_append", build, str(size), str(SECONDS)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    disk = json.loads(said)
    table.notes.append(
        f"append + fdatasync alone, {size:,} bytes: {disk['appends_per_s']:,.0f}/s,"
        f" p50 {disk['p50_ms']:.2f} ms, p99 {disk['p99_ms']:.2f} ms"
    )


def measure_grpc(build, table, running, n_spans):
    message = request(n_spans)
    measure_disk(build, table, len(message))
    with Yardstick(build, "bench_otlp_sink", THREADS, "blind") as bare:
        ports = [running[durability].grpc_port for durability in DURABILITIES]
        *ours, yardstick = in_turns(
            *(lambda port=port: h2load(port, EXPORT, message) for port in (*ports, bare.port))
        )
    for durability, figure in zip(DURABILITIES, ours):
        what = f"{n_spans}-span requests over gRPC, {durability}, relayed"
        add_ratio(table, what, figure, yardstick, "bare gRPC receive", 0.5 if n_spans == 5 else 0.2)
        if n_spans == 100:
            add_ratio(table, f"the same in spans, {durability}", figure * n_spans, FLUENT_BIT,
                      "fluent-bit (constant)", 10)  # fmt: skip


def measure_http(build, table, running, n_spans):
    message = request(n_spans)
    collector = running["none"]
    with Yardstick(build, "bench_mhd", 1, "direct") as bare:
        ours, yardstick = in_turns(
            lambda: wrk(collector.http_port, "/v1/traces", message, PROTOBUF),
            lambda: wrk(bare.port, "/v1/traces", message, PROTOBUF),
        )
    add_ratio(table, f"{n_spans}-span requests over HTTP, none, relayed", ours, yardstick,
              "bare microhttpd POST", 0.3)  # fmt: skip


def acknowledgement(build, collector, n_spans, in_flight):
    """What a sender waits: p50 and p99 in ms, with so many requests in flight."""
    load = subprocess.Popen(
        [build / "tests/mock/span_load", "--target", f"grpc://127.0.0.1:{collector.grpc_port}",
         "--spans", str(n_spans), "--in-flight", str(in_flight)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        load.wait(SECONDS)
    except subprocess.TimeoutExpired:
        pass
    said, _ = load.communicate("")
    figures = json.loads(said.splitlines()[-1])
    return figures["p50_us"] / 1000, figures["p99_us"] / 1000


def measure_acknowledgements(build, table, running):
    for durability, collector in running.items():
        for n_spans, in_flight in ((5, 8), (100, 8)):
            p50, p99 = acknowledgement(build, collector, n_spans, in_flight)
            table.notes.append(
                f"acknowledged, {durability}, {n_spans}-span requests, {in_flight} in flight:"
                f" p50 {p50:.2f} ms, p99 {p99:.2f} ms"
            )


def note_losses(table, running):
    for durability, collector in running.items():
        (settled,) = books.wait_until_settled(collector, timeout_s=120)
        table.notes.append(
            f"{durability}: {settled.received:,} spans received, {settled.delivered:,} delivered,"
            f" at most {collector.memory_bytes('VmHWM') / MiB:.0f} MiB"
        )


def measure(build, table):
    with collectors(build) as running:
        rest = max(collector.memory_bytes("VmRSS") for collector in running.values()) / MiB
        add_limit(table, "memory of a collector at rest", rest, "MiB", 20)
        measure_grpc(build, table, running, 5)
        measure_grpc(build, table, running, 100)
        measure_http(build, table, running, 5)
        measure_acknowledgements(build, table, running)
        load = max(collector.memory_bytes("VmHWM") for collector in running.values()) / MiB
        add_limit(table, "memory of a collector under load, at most", load, "MiB", 100)
        note_losses(table, running)
