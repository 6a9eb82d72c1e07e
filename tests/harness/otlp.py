"""OTLP as senders speak it: requests made by hand, sent over gRPC and HTTP."""

import gzip

import grpc
from google.protobuf import json_format

from harness import http, rpc
from harness.messages import message

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TRACES = "/v1/traces"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
START_NS = 1_700_000_000_000_000_000


def _named(name):
    return message(f"opentelemetry.proto.{name}")


def request_class():
    return _named("collector.trace.v1.ExportTraceServiceRequest")


def response_class():
    return _named("collector.trace.v1.ExportTraceServiceResponse")


def id_bytes(number, length=8):
    return number.to_bytes(length, "big")


def varint(number):
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def nested(number, content):
    """Field `number` (below 16) with these bytes in it, as it is on the wire."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def pair(key, value):
    """An attribute with a text value."""
    return _named("common.v1.KeyValue")(key=key, value={"string_value": value})


def span(number, name="work", parent=b"", trace=None, attributes=(), **fields):
    """A span whose id is `number`, of the trace whose id is `trace`, or the same."""
    return _named("trace.v1.Span")(
        trace_id=id_bytes(number if trace is None else trace, 16),
        span_id=id_bytes(number),
        parent_span_id=id_bytes(parent) if isinstance(parent, int) else parent,
        name=name,
        start_time_unix_nano=START_NS + number,
        end_time_unix_nano=START_NS + number + 1000,
        attributes=[pair(key, value) for key, value in dict(attributes).items()],
        **{"kind": 2, **fields},
    )


def request(*spans, service="tester", scope="tests"):
    """An ExportTraceServiceRequest with these spans, all of one service."""
    made = request_class()()
    resource_spans = made.resource_spans.add()
    resource_spans.resource.attributes.append(pair("service.name", service))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.spans.extend(spans)
    return made


def numbered(first, count=1, **fields):
    """The bytes of a request with spans `first`, `first` + 1, ..."""
    return request(
        *(span(number, **fields) for number in range(first, first + count))
    ).SerializeToString()


def to_json(made):
    """An ExportTraceServiceRequest in OTLP's own JSON mapping: ids in hex, enums as numbers."""
    tree = json_format.MessageToDict(made, use_integers_for_enums=True)
    for group, groups in zip(made.resource_spans, tree.get("resourceSpans", ())):
        for scope, scopes in zip(group.scope_spans, groups.get("scopeSpans", ())):
            for one, members in zip(scope.spans, scopes.get("spans", ())):
                members["traceId"] = one.trace_id.hex()
                members["spanId"] = one.span_id.hex()
                if one.parent_span_id:
                    members["parentSpanId"] = one.parent_span_id.hex()
    return tree


class GrpcOutcome(rpc.Outcome):
    """How an export over gRPC ended; `reply` is the serialized answer."""

    @property
    def retry_delay_s(self):
        """What RetryInfo says, or None."""
        for detail in self.details.details if self.details else ():
            info = message("google.rpc.RetryInfo")()
            if detail.Unpack(info):
                return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        return None


def export_on(channel, raw, compressed=False, metadata=(), timeout_s=30):
    """Sends the bytes of a request as they are."""
    pending = channel.unary_unary(EXPORT).future(
        raw,
        metadata=tuple(metadata),
        timeout=timeout_s,
        compression=grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression,
    )
    code = pending.code()
    return GrpcOutcome(
        code.name,
        pending.details(),
        pending.result() if code == grpc.StatusCode.OK else None,
        dict(pending.initial_metadata() or ()),
        dict(pending.trailing_metadata() or ()),
    )


def export(port, raw, **options):
    with rpc.connect(port) as channel:
        return export_on(channel, raw, **options)


def post(port, body, content_type=PROTOBUF, compressed=False, path=TRACES, headers=()):
    """One HTTP POST; `content_type` None sends none."""
    fields = [*headers]
    if content_type:
        fields.append(("Content-Type", content_type))
    if compressed:
        fields.append(("Content-Encoding", "gzip"))
        body = gzip.compress(body)
    with http.Client(port) as client:
        return client.request("POST", path, fields, body)


def chunked(body, piece_bytes=1000):
    """A body in the chunked transfer coding."""
    pieces = (body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def head(path, content_type, *fields):
    """The head of a POST, to be followed by whatever a hostile sender likes."""
    lines = [
        f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *fields,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


def status_of(answer):
    """The google.rpc.Status in the body of a refusal, in either of its forms."""
    kind = message("google.rpc.Status")
    if answer.headers["Content-Type"] == JSON:
        return json_format.Parse(answer.body, kind(), descriptor_pool=kind.DESCRIPTOR.file.pool)
    return kind.FromString(answer.body)
