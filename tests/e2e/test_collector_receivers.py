"""What the collector's three ports take in, and how they answer, as the specifications say: OTLP 1.11
("OTLP/gRPC", "OTLP/HTTP", "JSON Protobuf Encoding"), gRPC's PROTOCOL-HTTP2.md, and zipkin-api's
zipkin2-api.yaml. What is taken in arrives at the backend.
"""

import gzip
import itertools
import json

from harness import backend, books, frames, http, jaeger, metrics, otlp, rpc, zipkin
from harness.case import ProgramTest
from harness.messages import message
from harness.wait import eventually

LIMIT = 256 * 1024
_numbers = itertools.count(1)


def new(count=1):
    """Span numbers that no other test uses."""
    return list(itertools.islice(_numbers, count)) if count > 1 else next(_numbers)


def span_of(request_bytes):
    """A span whose request, with nothing else in it, is exactly so long."""
    span = otlp.span(new(), attributes={"fill": "x" * request_bytes})
    excess = len(otlp.request(span).SerializeToString()) - request_bytes
    span.attributes[0].value.string_value = "x" * (request_bytes - excess)
    return span


class ReceiverTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.backend = cls.start_shared(backend.Backend())
        cls.collector_program = cls.shared_collector(
            cls.backend.grpc_uri, MAX_REQUEST_BYTES=LIMIT, RECENT_TRACES=0
        )

    def arrived(self, number):
        (span,) = self.backend.wait_for(number)
        return span

    def assert_arrives_unchanged(self, span):
        number = int.from_bytes(span.span_id, "big")
        self.assertEqual(self.arrived(number).message, span)


class OtlpGrpc(ReceiverTest):
    def export(self, raw, **options):
        return otlp.export(self.collector_program.grpc_port, raw, **options)

    def assert_acknowledged(self, outcome):
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertFalse(otlp.response_class().FromString(outcome.reply).HasField("partial_success"))

    def assert_refused(self, outcome, code):
        """For good: what may be sent again says so with RetryInfo."""
        self.assertEqual(outcome.code, code, outcome)
        self.assertTrue(outcome.message)
        self.assertIsNone(outcome.retry_delay_s)
        self.assertEqual(outcome.details.message, outcome.message)

    def test_a_request_is_acknowledged_and_relayed(self):
        span = otlp.span(new(), parent=7, attributes={"key": "value"}, trace_state="a=b", flags=0x301)
        self.assert_acknowledged(self.export(otlp.request(span).SerializeToString()))
        self.assert_arrives_unchanged(span)

    def test_gzip_is_taken(self):
        span = otlp.span(new(), attributes={"text": "x" * 10_000})
        raw = otlp.request(span).SerializeToString()
        self.assert_acknowledged(self.export(raw, compressed=True))
        self.assert_arrives_unchanged(span)

    def test_what_is_empty_is_a_success(self):
        empty_group = otlp.request_class()()
        empty_group.resource_spans.add()
        for made in (otlp.request_class()(), empty_group, otlp.request()):
            with self.subTest(request=str(made)):
                self.assert_acknowledged(self.export(made.SerializeToString()))

    def test_empty_groups_beside_spans_are_no_matter(self):
        """As Envoy sends them when its timer fires (fluent-bit#9391)."""
        span = otlp.span(new())
        made = otlp.request(span)
        made.resource_spans.add()
        made.resource_spans[0].scope_spans.add()
        self.assert_acknowledged(self.export(made.SerializeToString()))
        self.assert_arrives_unchanged(span)

    def test_bytes_that_are_no_request_are_invalid(self):
        for raw in (b"\xff", b"\x0a\x05abc", b"\x0b\x0c", b"\x0a\x02\x08\x01"):
            with self.subTest(raw=raw):
                self.assert_refused(self.export(raw), "INVALID_ARGUMENT")

    def test_a_request_at_the_limit_is_taken_and_one_above_is_not(self):
        fitting, large = span_of(LIMIT), span_of(LIMIT + 1)
        self.assert_acknowledged(self.export(otlp.request(fitting).SerializeToString()))
        self.assert_arrives_unchanged(fitting)
        outcome = self.export(otlp.request(large).SerializeToString())
        self.assertEqual((outcome.code, outcome.retry_delay_s), ("RESOURCE_EXHAUSTED", None))

    def test_the_limit_is_that_of_the_inflated_request(self):
        fitting, large = (
            otlp.request(span_of(size)).SerializeToString() for size in (LIMIT, LIMIT + 1)
        )
        self.assert_acknowledged(self.export(fitting, compressed=True))
        self.assert_refused(self.export(large, compressed=True), "RESOURCE_EXHAUSTED")

    def test_what_is_flagged_as_gzip_and_is_not_is_invalid(self):
        answer = frames.answer_to(
            self.collector_program.grpc_port,
            otlp.EXPORT,
            [("grpc-encoding", "gzip")],
            b"\1\0\0\0\4junk",
        )
        self.assertEqual(answer[-1].fields["grpc-status"], "3", answer)

    def test_an_unknown_encoding_is_refused(self):
        """It should be UNIMPLEMENTED, but gRPC for C keeps to itself which encoding it was."""
        answer = frames.answer_to(
            self.collector_program.grpc_port,
            otlp.EXPORT,
            [("grpc-encoding", "snappy")],
            b"\1\0\0\0\4junk",
        )
        self.assertIn(answer[-1].fields["grpc-status"], ("3", "12"), answer)

    def test_other_services_and_methods_are_unimplemented(self):
        with rpc.connect(self.collector_program.grpc_port) as channel:
            for path in (
                "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            ):
                with self.subTest(path=path):
                    pending = channel.unary_unary(path).future(b"", timeout=30)
                    self.assertEqual(pending.code().name, "UNIMPLEMENTED")

    def test_health_knows_the_service(self):
        for service in ("", "opentelemetry.proto.collector.trace.v1.TraceService"):
            self.assertEqual(rpc.check(self.collector_program.grpc_port, service), "SERVING")

    def test_many_requests_on_one_connection_at_once(self):
        numbers = new(200)
        with rpc.connect(self.collector_program.grpc_port) as channel:
            method = channel.unary_unary(otlp.EXPORT)
            pending = [method.future(otlp.numbered(number), timeout=30) for number in numbers]
            self.assertEqual({one.code().name for one in pending}, {"OK"})
        self.backend.wait_for(*numbers)


class OtlpHttp(ReceiverTest):
    def post(self, body, *arguments, **options):
        return otlp.post(self.collector_program.http_port, body, *arguments, **options)

    def assert_acknowledged(self, answer, content_type=otlp.PROTOBUF):
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["Content-Type"], content_type)
        if content_type == otlp.JSON:
            self.assertEqual(answer.json, {})
        else:
            response = otlp.response_class().FromString(answer.body)
            self.assertFalse(response.HasField("partial_success"))

    def assert_refused(self, answer, http_code, content_type, grpc_code=None):
        self.assertEqual(answer.status, http_code, answer)
        self.assertEqual(answer.headers["Content-Type"], content_type)
        self.assertNotIn("Retry-After", answer.headers)
        status = otlp.status_of(answer)
        self.assertTrue(status.message)
        if grpc_code:
            self.assertEqual(status.code, grpc_code)

    def both_forms(self, made):
        yield otlp.PROTOBUF, made.SerializeToString()
        yield otlp.JSON, json.dumps(otlp.to_json(made)).encode()

    def test_both_forms_are_acknowledged_in_their_own_type_and_relayed(self):
        for compressed in (False, True):
            for content_type in (otlp.PROTOBUF, otlp.JSON):
                span = otlp.span(new(), parent=7, attributes={"key": "välue"})
                body = dict(self.both_forms(otlp.request(span)))[content_type]
                with self.subTest(content_type=content_type, compressed=compressed):
                    answer = self.post(body, content_type, compressed=compressed)
                    self.assert_acknowledged(answer, content_type)
                    self.assert_arrives_unchanged(span)

    def test_what_is_empty_is_a_success(self):
        self.assert_acknowledged(self.post(b""))
        self.assert_acknowledged(self.post(b"", compressed=True))
        for body in (b"{}", b'{"resourceSpans": []}', b'{"resourceSpans": null}'):
            self.assert_acknowledged(self.post(body, otlp.JSON), otlp.JSON)

    def test_parameters_and_case_of_the_content_type_are_no_matter(self):
        self.assert_acknowledged(self.post(b"{}", "Application/JSON; charset=utf-8"), otlp.JSON)
        self.assert_acknowledged(self.post(b"", "APPLICATION/x-protobuf"), otlp.PROTOBUF)

    def test_json_as_senders_write_it(self):
        """Ids in any case, 64-bit numbers as numbers or text, members that nobody knows, null."""
        number = new()
        tree = {
            "resourceSpans": [{
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "js"}}],
                    "unknownMember": [{"a": 1}],
                },
                "scopeSpans": [{"scope": {"name": "s"}, "spans": [{
                    "traceId": "ABCDEF0123456789abcdef0123456789",
                    "spanId": otlp.id_bytes(number).hex().upper(),
                    "parentSpanId": "",
                    "name": "from \U0001f600 json",
                    "kind": 3,
                    "startTimeUnixNano": otlp.START_NS,
                    "endTimeUnixNano": str(otlp.START_NS + 5),
                    "status": {"code": 2, "message": "bad"},
                    "traceState": None,
                    "unknownMember": "x",
                    "snake_case_is_not_a_field": 1,
                    "attributes": [
                        {"key": "int", "value": {"intValue": "-9007199254740993"}},
                        {"key": "number", "value": {"intValue": 12}},
                        {"key": "double", "value": {"doubleValue": 0.5}},
                        {"key": "nan", "value": {"doubleValue": "NaN"}},
                        {"key": "flag", "value": {"boolValue": False}},
                        {"key": "bytes", "value": {"bytesValue": "AAEC/w=="}},
                        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}]}}},
                    ],
                }]}],
            }]
        }  # fmt: skip
        answer = self.post(json.dumps(tree).encode(), otlp.JSON)
        self.assert_acknowledged(answer, otlp.JSON)
        span = self.arrived(number)
        self.assertEqual(span.trace_id, "abcdef0123456789abcdef0123456789")
        self.assertEqual((span.kind, span.name), ("CLIENT", "from \U0001f600 json"))
        self.assertEqual(span.end_ns - span.start_ns, 5)
        self.assertEqual((span.is_error, span.status_message), (True, "bad"))
        values = {pair.key: pair.value for pair in span.message.attributes}
        self.assertEqual(values["int"].int_value, -9007199254740993)
        self.assertEqual(values["number"].int_value, 12)
        self.assertEqual(values["double"].double_value, 0.5)
        self.assertNotEqual(values["nan"].double_value, values["nan"].double_value)
        self.assertEqual(values["flag"].WhichOneof("value"), "bool_value")
        self.assertEqual(values["bytes"].bytes_value, b"\x00\x01\x02\xff")
        self.assertEqual(values["list"].array_value.values[0].int_value, 1)

    def test_bodies_that_are_no_request_are_bad_in_the_type_they_came_in(self):
        for body in (b"\xff", b"\x0a\x05abc", b"\x0a\x02\x08\x01"):
            with self.subTest(body=body):
                self.assert_refused(self.post(body), 400, otlp.PROTOBUF, 3)
        for body in (b"", b"nonsense", b"[]", b'{"resourceSpans": 1}', b'{"a":1', b'{"a":"\xff"}'):
            with self.subTest(body=body):
                self.assert_refused(self.post(body, otlp.JSON), 400, otlp.JSON, 3)

    def test_a_body_that_is_said_to_be_gzip_and_is_not_is_bad(self):
        whole = gzip.compress(otlp.numbered(new()))
        for body in (b"junk", whole[:-1], whole[: len(whole) // 2], whole + b"more"):
            with self.subTest(body=body):
                answer = self.post(body, headers=[("Content-Encoding", "gzip")])
                # What stands in the place of the length may say that it is too large.
                self.assert_refused(answer, answer.status, otlp.PROTOBUF)
                self.assertIn(answer.status, (400, 413))

    def test_too_large_is_413_before_and_after_inflation(self):
        made = otlp.request(otlp.span(new(), attributes={"fill": "x" * LIMIT}))
        for content_type, body in self.both_forms(made):
            for compressed in (False, True):
                with self.subTest(content_type=content_type, compressed=compressed):
                    answer = self.post(body, content_type, compressed=compressed)
                    self.assert_refused(answer, 413, content_type)

    def test_too_large_without_an_announced_length_is_413(self):
        body = otlp.chunked(b"\0" * (LIMIT + 1))
        head = otlp.head(otlp.TRACES, otlp.PROTOBUF, "Transfer-Encoding: chunked", "Connection: close")
        answer = http.exchange(self.collector_program.http_port, head + body)
        self.assertEqual(http.status_of(answer), 413, answer)

    def test_other_content_types_and_none_are_415(self):
        for content_type in ("text/plain", "application/protobuf", "application/jsonx", None):
            with self.subTest(content_type=content_type):
                self.assertEqual(self.post(b"", content_type).status, 415)

    def test_other_encodings_are_415_and_told_what_is_known(self):
        for encoding in ("deflate", "br", "gzip, gzip"):
            with self.subTest(encoding=encoding):
                answer = self.post(b"", headers=[("Content-Encoding", encoding)])
                self.assertEqual(answer.status, 415)
                self.assertIn("gzip", answer.headers["Accept-Encoding"])

    def test_the_identity_encoding_is_none(self):
        self.assert_acknowledged(self.post(b"", headers=[("Content-Encoding", "identity")]))

    def test_other_methods_are_405(self):
        with http.Client(self.collector_program.http_port) as client:
            for method in ("GET", "PUT", "DELETE"):
                answer = client.request(method, otlp.TRACES)
                self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))

    def test_other_paths_are_404(self):
        for path in ("/", "/v1/metrics", "/v1/logs", "/v1/traces/", "/v2/traces"):
            with self.subTest(path=path):
                self.assertEqual(self.post(b"", path=path).status, 404)

    def test_chunked_bodies_are_taken(self):
        span = otlp.span(new(), attributes={"text": "x" * 5000})
        body = otlp.chunked(otlp.request(span).SerializeToString())
        head = otlp.head(otlp.TRACES, otlp.PROTOBUF, "Transfer-Encoding: chunked", "Connection: close")
        answer = http.exchange(self.collector_program.http_port, head + body)
        self.assertEqual(http.status_of(answer), 200, answer)
        self.assert_arrives_unchanged(span)

    def test_who_waits_to_be_asked_for_the_body_is_asked(self):
        raw = otlp.numbered(new())
        head = otlp.head(
            otlp.TRACES, otlp.PROTOBUF, f"Content-Length: {len(raw)}", "Expect: 100-continue",
            "Connection: close",
        )  # fmt: skip
        answer = http.exchange(self.collector_program.http_port, head + raw)
        self.assertEqual(http.status_of(answer), 100, answer)
        self.assertIn(b"HTTP/1.1 200", answer)

    def test_a_connection_is_kept(self):
        numbers = new(20)
        with http.Client(self.collector_program.http_port) as client:
            for number in numbers:
                answer = client.request(
                    "POST", otlp.TRACES, {"Content-Type": otlp.PROTOBUF}, otlp.numbered(number)
                )
                self.assert_acknowledged(answer)
        self.backend.wait_for(*numbers)


class Zipkin(ReceiverTest):
    def post(self, body, *arguments, **options):
        return zipkin.post(self.collector_program.zipkin_port, body, *arguments, **options)

    def assert_accepted(self, answer):
        self.assertEqual((answer.status, answer.body), (202, b""), answer)

    def assert_refused(self, answer, code=400):
        """Zipkin's own errors are text."""
        self.assertEqual(answer.status, code, answer)
        self.assertTrue(answer.text.strip())

    def bad_spans(self):
        return metrics.read(self.collector_program).total(
            "tracehop_collector_bad_spans_total", receiver="zipkin"
        )

    def test_both_forms_are_accepted_and_relayed(self):
        for compressed in (False, True):
            for encode, content_type in (
                (zipkin.to_json, otlp.JSON), (zipkin.to_protobuf, otlp.PROTOBUF),
            ):  # fmt: skip
                number = new()
                body = encode(zipkin.span(number, name="Get /x", parentId=otlp.id_bytes(7).hex()))
                with self.subTest(content_type=content_type, compressed=compressed):
                    self.assert_accepted(self.post(body, content_type, compressed=compressed))
                    span = self.arrived(number)
                    self.assertEqual(span.trace_id, otlp.id_bytes(number, 16).hex())
                    self.assertEqual(span.parent_id, otlp.id_bytes(7).hex())
                    self.assertEqual((span.name, span.kind), ("Get /x", "SERVER"))
                    self.assertEqual(span.service, "proxy")
                    self.assertEqual(span.start_ns, (otlp.START_NS // 1000 + number) * 1000)
                    self.assertEqual(span.end_ns - span.start_ns, 1_500_000)

    def test_json_needs_no_content_type(self):
        number = new()
        self.assert_accepted(self.post(zipkin.to_json(zipkin.span(number)), None))
        self.arrived(number)

    def test_what_is_empty_is_accepted(self):
        for body in (b"[]", b" [ ]\n", b""):
            self.assert_accepted(self.post(body))
        self.assert_accepted(self.post(b"", otlp.PROTOBUF))

    def test_kinds(self):
        for kind in (*zipkin.KINDS, None):
            number = new()
            with self.subTest(kind=kind):
                self.assert_accepted(self.post(zipkin.to_json(zipkin.span(number, kind=kind))))
                self.assertEqual(self.arrived(number).kind, kind or "INTERNAL")

    def test_tags_are_attributes_and_an_error_is_a_status(self):
        for error, is_error, text in (
            ("boom", True, "boom"), ("true", True, ""), ("false", False, ""), ("", True, ""),
        ):  # fmt: skip
            number = new()
            with self.subTest(error=error):
                tags = {"http.status_code": "503", "error": error}
                self.assert_accepted(self.post(zipkin.to_json(zipkin.span(number, tags=tags))))
                span = self.arrived(number)
                self.assertEqual(span.attributes["http.status_code"], "503")
                self.assertEqual((span.is_error, span.status_message), (is_error, text))

    def test_annotations_are_events(self):
        number = new()
        annotations = [{"timestamp": 1_700_000_000_000_007, "value": "retry"}]
        self.assert_accepted(
            self.post(zipkin.to_json(zipkin.span(number, annotations=annotations)))
        )
        (event,) = self.arrived(number).message.events
        self.assertEqual((event.name, event.time_unix_nano), ("retry", 1_700_000_000_000_007_000))

    def test_one_resource_for_each_service(self):
        numbers = new(3)
        spans = [zipkin.span(number, service=name) for number, name in zip(numbers, "aba")]
        self.assert_accepted(self.post(zipkin.to_json(*spans)))
        services = [span.service for span in self.backend.wait_for(*numbers)]
        self.assertEqual(services, ["a", "b", "a"])

    def test_short_ids_keep_their_value(self):
        number = new()
        spans = (
            (zipkin.span(number, traceId="463ac35c9f6413ad"), "0" * 16 + "463ac35c9f6413ad"),
            (zipkin.span(new(), traceId="4d2"), "0" * 29 + "4d2"),
        )
        for members, trace_id in spans:
            self.assert_accepted(self.post(zipkin.to_json(members)))
            self.assertEqual(self.arrived(int(members["id"], 16)).trace_id, trace_id)

    def test_a_span_that_is_its_own_parent_is_a_root(self):
        number = new()
        own = otlp.id_bytes(number).hex()
        self.assert_accepted(self.post(zipkin.to_json(zipkin.span(number, parentId=own))))
        self.assertEqual(self.arrived(number).parent_id, "")

    def test_a_shared_span_keeps_its_id_and_says_so(self):
        number = new()
        members = zipkin.span(number, shared=True, debug=True)
        self.assert_accepted(self.post(zipkin.to_json(members)))
        span = self.arrived(number)
        self.assertIs(span.attributes["zipkin.shared"], True)
        self.assertIs(span.attributes["zipkin.debug"], True)

    def test_numbers_in_any_clothes(self):
        """Envoy sent timestamps as text once, and Jaeger refused every batch (istio#32026)."""
        start_us = otlp.START_NS // 1000
        for timestamp, duration in (
            (str(start_us), "1500"), (float(start_us), 1500.0), (f"{start_us / 1e6:.6f}e6", "1.5e3"),
        ):  # fmt: skip
            number = new()
            with self.subTest(timestamp=timestamp):
                members = zipkin.span(
                    number, timestamp=timestamp, duration=duration,
                    annotations=[{"timestamp": str(start_us), "value": "x"}],
                    localEndpoint={"serviceName": "proxy", "port": "8080"},
                )  # fmt: skip
                self.assert_accepted(self.post(zipkin.to_json(members)))
                span = self.arrived(number)
                self.assertEqual(span.start_ns, otlp.START_NS)
                self.assertEqual(span.end_ns - span.start_ns, 1_500_000)

    def test_a_span_without_times_is_kept(self):
        number = new()
        members = zipkin.span(number, timestamp=None, duration=None)
        self.assert_accepted(self.post(zipkin.to_json(members)))
        self.arrived(number)

    def test_the_good_spans_of_a_list_are_taken_and_the_bad_ones_counted(self):
        bad_before = self.bad_spans()
        good = new(2)
        spans = (
            zipkin.span(good[0]),
            zipkin.span(new(), id=None),
            zipkin.span(new(), traceId="0" * 32),
            zipkin.span(new(), id="xyz"),
            zipkin.span(new(), kind="KING"),
            zipkin.span(good[1]),
        )
        self.assert_accepted(self.post(zipkin.to_json(*spans)))
        self.backend.wait_for(*good)
        self.assertEqual(self.bad_spans() - bad_before, 4)

    def test_a_list_without_a_good_span_is_refused(self):
        self.assert_refused(self.post(zipkin.to_json(zipkin.span(new(), id=None))))

    def test_a_document_that_cannot_be_read_is_refused(self):
        for body in (b"nonsense", b"{}", b'[{"id":', b"[1]", b'{"resourceSpans":[]}'):
            with self.subTest(body=body):
                self.assert_refused(self.post(body))
        self.assert_refused(self.post(b"\xff\xff", otlp.PROTOBUF))

    def test_version_1_is_recognised_and_refused_by_name(self):
        old = zipkin.span(new(), binaryAnnotations=[{"key": "a", "value": "b"}])
        for answer in (
            self.post(zipkin.to_json(old)), self.post(b"[]", path="/api/v1/spans"),
        ):  # fmt: skip
            self.assert_refused(answer)
            self.assertIn("v1", answer.text)

    def test_too_large_is_413_before_and_after_inflation(self):
        body = zipkin.to_json(zipkin.span(new(), tags={"fill": "x" * LIMIT}))
        for compressed in (False, True):
            with self.subTest(compressed=compressed):
                self.assert_refused(self.post(body, compressed=compressed), 413)

    def test_other_methods_paths_and_types(self):
        with http.Client(self.collector_program.zipkin_port) as client:
            answer = client.get(zipkin.SPANS)
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))
        self.assertEqual(self.post(b"[]", path="/api/v2/traces").status, 404)
        self.assertEqual(self.post(b"[]", "text/plain").status, 415)

    def test_what_envoy_sends(self):
        """A report of two spans of one proxy, as Istio configures it."""
        server, client = new(2)
        endpoint = {"ipv4": "10.244.0.7", "port": 0, "serviceName": "middleware.mesh"}
        tags = {
            "component": "proxy", "node_id": "sidecar~10.244.0.7~middleware-7d~mesh.svc",
            "http.url": "http://middleware:9090/tracehop.v1.Hop/Call", "http.method": "POST",
            "upstream_cluster": "inbound|9090||", "guid:x-request-id": "8f1c", "response_flags": "-",
            "http.status_code": "200", "istio.canonical_service": "middleware",
        }  # fmt: skip
        report = [
            {"traceId": "80f198ee56343ba864fe8b2a57d3eff7", "id": otlp.id_bytes(server).hex(),
             "parentId": "e457b5a2e4d86bd1", "kind": "SERVER", "name": "middleware:9090/*",
             "timestamp": 1700000000123456, "duration": 4321, "localEndpoint": endpoint, "tags": tags},
            {"traceId": "80f198ee56343ba864fe8b2a57d3eff7", "id": otlp.id_bytes(client).hex(),
             "parentId": otlp.id_bytes(server).hex(), "kind": "CLIENT", "name": "backend:9090/*",
             "timestamp": 1700000000123999, "duration": 2000, "localEndpoint": endpoint, "tags": tags},
        ]  # fmt: skip
        self.assert_accepted(self.post(json.dumps(report).encode()))
        inner, outer = self.backend.wait_for(client, server)
        self.assertEqual(inner.parent_id, outer.span_id)
        self.assertEqual((outer.kind, inner.kind), ("SERVER", "CLIENT"))
        self.assertEqual(outer.attributes["guid:x-request-id"], "8f1c")
        self.assertEqual(outer.service, "middleware.mesh")


class Admin(ReceiverTest):
    def test_what_was_taken_in_and_refused_is_counted_for_each_receiver(self):
        program = self.collector(self.backend.grpc_uri)
        otlp.export(program.grpc_port, otlp.numbered(new()))
        otlp.post(program.http_port, otlp.numbered(new()))
        zipkin.post(program.zipkin_port, zipkin.to_json(zipkin.span(new())))
        otlp.export(program.grpc_port, b"\xff")
        otlp.post(program.http_port, b"\xff")
        zipkin.post(program.zipkin_port, b"nonsense")
        samples = metrics.read(program)
        for receiver in ("otlp_grpc", "otlp_http", "zipkin"):
            with self.subTest(receiver=receiver):
                for name in ("requests", "spans"):
                    self.assertEqual(
                        samples.total(f"tracehop_collector_received_{name}_total", receiver=receiver), 1
                    )
                self.assertEqual(books.refused(program, receiver=receiver, reason="malformed"), 1)

    def test_the_status_balances(self):
        program = self.collector_program
        otlp.export(program.grpc_port, otlp.numbered(new()))
        (settled,) = books.wait_until_settled(program)
        self.assertEqual(settled.received, settled.delivered)
        self.assertEqual(settled.name, self.backend.grpc_uri)

    def test_readiness_and_health(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(http.get(self.collector_program.admin_port, path).status, 200)

    def test_reflection_describes_the_service(self):
        kind = message("grpc.reflection.v1.ServerReflectionRequest")
        reply_kind = message("grpc.reflection.v1.ServerReflectionResponse")
        with rpc.connect(self.collector_program.grpc_port) as channel:
            method = channel.stream_stream(
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                request_serializer=kind.SerializeToString,
                response_deserializer=reply_kind.FromString,
            )
            (reply,) = method(iter([kind(list_services="*")]), timeout=30)
        services = {service.name for service in reply.list_services_response.service}
        self.assertIn("opentelemetry.proto.collector.trace.v1.TraceService", services)


class WithoutDestinations(ProgramTest):
    def test_requests_are_acknowledged_and_shown(self):
        collector = self.collector()
        number = new()
        self.assertEqual(otlp.export(collector.grpc_port, otlp.numbered(number)).code, "OK")
        self.assertEqual(books.read(collector), [])
        trace_id = otlp.id_bytes(number, 16).hex()
        shown = eventually(lambda: jaeger.trace(collector.admin_port, trace_id), "it is shown")
        self.assertEqual(list(shown), [otlp.id_bytes(number).hex()])
