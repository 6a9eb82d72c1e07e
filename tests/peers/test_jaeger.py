"""Jaeger, the real one, behind the collector: what it tells of a trace afterwards is all that
happened, whoever made the spans and whatever they came in as.
"""

import datetime
import json

from harness import books, http, jaeger, otlp, rpc, trace, wire, zipkin
from harness.case import Chain, ProgramTest, traced_to
from harness.jaeger import Jaeger
from harness.wait import eventually

# frontend, middleware and backend serve and call; the clock only serves.
CHAIN_SPANS = 7


class Viewed:
    """A span of the query API as harness.trace looks at spans."""

    KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}

    def __init__(self, told):
        self.trace_id = told.trace_id
        self.span_id = told.span_id
        self.parent_id = told.parent_id
        self.service = told.service
        self.kind = self.KINDS.get(told.kind, str(told.kind))
        self.name = told.name
        self.start_ns, self.end_ns = told.start_ns, told.end_ns

    def __repr__(self):
        return f"{self.service}: {self.kind} {self.name!r} {self.span_id} in {self.parent_id or '-'}"


def depth_first(outline):
    service, kind, _, children = outline
    yield service, kind
    for child in children:
        yield from depth_first(child)


class Proxy:
    """A stand-in for Envoy: two spans for a request that passes it, sent as Zipkin JSON with numbers
    as text, the way Envoy did once.
    """

    def __init__(self, collector, number):
        self._collector = collector
        self.server_id = otlp.id_bytes(number).hex()
        self.client_id = otlp.id_bytes(number + 1).hex()
        self.trace_id = otlp.id_bytes(number, 16).hex()

    @property
    def headers(self):
        """What the proxy adds to the request it passes on."""
        return {"x-b3-traceid": self.trace_id, "x-b3-spanid": self.client_id, "x-b3-sampled": "1"}

    def report(self, start_ns, end_ns):
        endpoint = {"serviceName": "gateway.mesh", "ipv4": "10.244.0.7", "port": 8080}
        times = {"timestamp": str(start_ns // 1000 - 1000),
                 "duration": str((end_ns - start_ns) // 1000 + 2000)}  # fmt: skip
        common = {"traceId": self.trace_id, "localEndpoint": endpoint, "tags": {"component": "proxy"},
                  **times}  # fmt: skip
        answer = zipkin.post(
            self._collector.zipkin_port,
            json.dumps([
                {**common, "id": self.server_id, "kind": "SERVER", "name": "gateway:8080/*"},
                {**common, "id": self.client_id, "parentId": self.server_id, "kind": "CLIENT",
                 "name": "frontend:8080/*"},
            ]).encode(),
        )  # fmt: skip
        assert answer.status == 202, answer


class BehindTheCollector(ProgramTest):
    """One Jaeger for all tests, and a collector for each protocol of the way to it."""

    @classmethod
    def setUpClass(cls):
        cls.jaeger = cls.start_shared(Jaeger())
        cls.collectors = {
            "grpc": cls.shared_collector(cls.jaeger.grpc_uri),
            "http": cls.shared_collector(cls.jaeger.http_uri),
        }

    def run_chain(self, collector, headers=()):
        """A request through the chain whose hops export to `collector`: its trace id."""
        chain = self.start(Chain(**traced_to(collector)))
        answer = http.get(chain.frontend.http_port, headers=headers)
        self.assertEqual(answer.status, 200)
        return answer.headers["x-trace-id"]

    def test_every_span_of_the_chain_with_its_parent(self):
        for protocol, collector in self.collectors.items():
            with self.subTest(protocol=protocol):
                trace_id = self.run_chain(collector)
                told = self.jaeger.wait_for_trace(trace_id, CHAIN_SPANS)
                outline = trace.outline([Viewed(span) for span in told.values()])
                self.assertEqual(
                    list(depth_first(outline)),
                    [
                        ("frontend", "SERVER"), ("frontend", "CLIENT"),
                        ("middleware", "SERVER"), ("middleware", "CLIENT"),
                        ("backend", "SERVER"), ("backend", "CLIENT"),
                        ("clock", "SERVER"),
                    ],
                )  # fmt: skip

    def test_the_spans_of_a_proxy_that_came_as_zipkin_are_in_the_same_tree(self):
        for number, (protocol, collector) in enumerate(self.collectors.items(), 1):
            with self.subTest(protocol=protocol):
                proxy = Proxy(collector, 1000 * number)
                self.assertEqual(self.run_chain(collector, proxy.headers), proxy.trace_id)
                told = self.jaeger.wait_for_trace(proxy.trace_id, CHAIN_SPANS)
                proxy.report(
                    min(span.start_ns for span in told.values()),
                    max(span.end_ns for span in told.values()),
                )
                told = self.jaeger.wait_for_trace(proxy.trace_id, CHAIN_SPANS + 2)
                outline = trace.outline([Viewed(span) for span in told.values()])
                self.assertEqual(
                    list(depth_first(outline))[:4],
                    [
                        ("gateway.mesh", "SERVER"), ("gateway.mesh", "CLIENT"),
                        ("frontend", "SERVER"), ("frontend", "CLIENT"),
                    ],
                )  # fmt: skip
                self.assertEqual(told[proxy.client_id].attributes["component"]["stringValue"], "proxy")

    def test_jaegers_own_form_of_a_trace_has_all_spans_too(self):
        collector = self.collectors["grpc"]
        trace_id = self.run_chain(collector)
        self.jaeger.wait_for_trace(trace_id, CHAIN_SPANS)
        status, answer = self.jaeger.get(f"/api/traces/{trace_id}")
        self.assertEqual(status, 200)
        self.assertEqual(len(answer["data"][0]["spans"]), CHAIN_SPANS)

    def test_the_collector_tells_the_same_trace_as_jaeger(self):
        """Its own /api/v3 has the same spans: ids, parents, times, attributes, resources."""
        collector = self.collectors["grpc"]
        proxy = Proxy(collector, 5000)
        self.run_chain(collector, proxy.headers)
        self.jaeger.wait_for_trace(proxy.trace_id, CHAIN_SPANS)
        proxy.report(otlp.START_NS, otlp.START_NS + 10**9)
        odd = otlp.span(
            7000, name="every kind of value", trace=int(proxy.trace_id, 16), kind=5,
            parent=bytes.fromhex(proxy.client_id), trace_state="a=b",
            status={"code": 2, "message": "bad \u2603"}, attributes={"text": "with \"quotes\"\n"},
            events=[{"name": "event", "time_unix_nano": otlp.START_NS + 5}],
        )  # fmt: skip
        for key, value in (
            ("int", {"int_value": -(2**62)}), ("double", {"double_value": 0.1}),
            ("flag", {"bool_value": True}),
            ("list", {"array_value": {"values": [{"string_value": "a"}, {"int_value": 1}]}}),
        ):  # fmt: skip
            odd.attributes.add(key=key, value=value)
        raw = otlp.request(odd, service="odd").SerializeToString()
        self.assertEqual(otlp.export(collector.grpc_port, raw).code, "OK")

        count = CHAIN_SPANS + 3
        jaegers = self.jaeger.wait_for_trace(proxy.trace_id, count)
        own = eventually(
            lambda: self.complete(collector, proxy.trace_id, count), "the collector has filed it too"
        )
        self.assertEqual(set(own), set(jaegers))
        for span_id, span in own.items():
            with self.subTest(span=str(span)):
                self.assertEqual(span.content, jaegers[span_id].content)

    @staticmethod
    def complete(collector, trace_id, count):
        spans = jaeger.trace(collector.admin_port, trace_id)
        return spans if len(spans) >= count else None

    def test_services_and_operations_are_told_alike(self):
        collector = self.collectors["http"]
        trace_id = self.run_chain(collector)
        self.jaeger.wait_for_trace(trace_id, CHAIN_SPANS)
        eventually(lambda: self.complete(collector, trace_id, CHAIN_SPANS), "filed")
        services = set(self.ask_both(collector, "/api/v3/services", "services")[1])
        self.assertLessEqual({"frontend", "middleware", "backend", "clock"}, services)
        for service in ("frontend", "backend"):
            with self.subTest(service=service):
                jaegers, own = self.ask_both(
                    collector, "/api/v3/operations", "operations", service=service
                )
                self.assertEqual(sorted(own, key=json.dumps), sorted(jaegers, key=json.dumps))

    def test_a_search_finds_the_same_trace(self):
        collector = self.collectors["grpc"]
        trace_id = self.run_chain(collector)
        told = self.jaeger.wait_for_trace(trace_id, CHAIN_SPANS)
        eventually(lambda: self.complete(collector, trace_id, CHAIN_SPANS), "filed")
        start_s = min(span.start_ns for span in told.values()) / 1e9
        answers = self.ask_both(
            collector, "/api/v3/traces", "result",
            **{
                "query.service_name": "backend",
                "query.start_time_min": rfc3339(start_s - 60),
                "query.start_time_max": rfc3339(start_s + 60),
                "query.num_traces": 1000,
            },
        )  # fmt: skip
        for found in answers:
            ids = {
                span["traceId"]
                for resource_spans in found["resourceSpans"]
                for scope_spans in resource_spans["scopeSpans"]
                for span in scope_spans["spans"]
            }
            self.assertIn(trace_id, ids)

    def ask_both(self, collector, path, member, **parameters):
        """What Jaeger and what the collector say."""
        answers = []
        for port in (self.jaeger.query_port, collector.admin_port):
            status, answer = jaeger.query(port, path, **parameters)
            self.assertEqual(status, 200, answer)
            answers.append(answer[member])
        return answers

    def test_both_say_when_they_know_nothing(self):
        for port in (self.jaeger.query_port, self.collectors["grpc"].admin_port):
            for path, code in ((f"/api/v3/traces/{'9' * 32}", 404), ("/api/v3/traces/zz", 400)):
                with self.subTest(port=port, path=path):
                    status, answer = jaeger.query(port, path)
                    self.assertEqual((status, answer["error"]["httpCode"]), (code, code))

    def test_what_comes_while_jaeger_is_away_is_there_afterwards(self):
        line = self.start(wire.Wire(self.jaeger.grpc_port))
        line.cut()
        collector = self.collector(line.grpc_uri)
        trace_id = self.run_chain(collector)
        eventually(lambda: books.read_one(collector).queued == CHAIN_SPANS, "all wait")
        line.mend()
        told = self.jaeger.wait_for_trace(trace_id, CHAIN_SPANS)
        trace.tree([Viewed(span) for span in told.values()])

    def test_jaegers_own_limit_is_learned(self):
        """It takes 4 MiB, its library's default; a request of 6 MiB arrives in pieces."""
        collector = self.collectors["grpc"]
        spans = [otlp.span(100_000 + n, trace=77_777, attributes={"fill": "x" * 60_000})
                 for n in range(100)]  # fmt: skip
        with rpc.connect(collector.grpc_port) as channel:
            outcome = otlp.export_on(channel, otlp.request(*spans).SerializeToString())
        self.assertEqual(outcome.code, "OK", outcome)
        self.jaeger.wait_for_trace(otlp.id_bytes(77_777, 16).hex(), 100)


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")
