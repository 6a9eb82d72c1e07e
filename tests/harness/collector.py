"""A collector for tests, stricter than any: it records what OTLP allows and refuses the rest.

Rules: opentelemetry/proto/trace/v1/trace.proto and its kind; OTLP specification, "Failures";
W3C Trace Context, 3.3 (tracestate).
"""

import concurrent.futures
import contextlib
import http.server
import re
import threading

import grpc
from google.protobuf.message import DecodeError

from harness.messages import message
from harness.wait import PATIENCE_S, eventually

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TRACE_STATE = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_YEAR_2020_NS = 1_577_836_800_000_000_000


class Span:
    """A span as it arrived, with what its resource says."""

    KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}

    def __init__(self, span, resource):
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.name = span.name
        self.kind = self.KINDS.get(span.kind, str(span.kind))
        self.start_ns = span.start_time_unix_nano
        self.end_ns = span.end_time_unix_nano
        self.attributes = attributes_of(span.attributes)
        self.is_error = span.status.code == 2
        self.status_message = span.status.message
        self.trace_state = span.trace_state
        self.resource = resource
        self.service = resource.get("service.name")

    def __repr__(self):
        return (
            f"{self.service}: {self.kind} {self.name!r} {self.span_id} in {self.parent_id or '-'}"
            f" {self.attributes}"
        )


def attributes_of(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "", None) for pair in pairs}


class Violation(Exception):
    """What is wrong with an export request."""


def _require(holds, complaint):
    if not holds:
        raise Violation(complaint)


def _check_attributes(pairs, where):
    keys = [pair.key for pair in pairs]
    _require(all(keys), f"{where}: an attribute without a key")
    _require(len(set(keys)) == len(keys), f"{where}: an attribute twice: {keys}")
    _require(
        all(pair.value.WhichOneof("value") for pair in pairs), f"{where}: an attribute without a value"
    )


def _check_id(value, length, what):
    _require(len(value) == length, f"{what} of {len(value)} bytes")
    _require(any(value), f"{what} all zero")


def _check_trace_state(state):
    members = state.split(",") if state else []
    _require(len(members) <= 32, "tracestate with more than 32 members")
    for member in members:
        _require(_TRACE_STATE.fullmatch(member.strip(" \t")), f"tracestate member {member!r}")
    keys = [member.split("=")[0].strip(" \t") for member in members]
    _require(len(set(keys)) == len(keys), f"tracestate key twice: {state}")


def _check_span(span):
    where = f"span {span.name!r}"
    _check_id(span.trace_id, 16, f"{where}: trace id")
    _check_id(span.span_id, 8, f"{where}: span id")
    if span.parent_span_id:
        _check_id(span.parent_span_id, 8, f"{where}: parent id")
    _require(span.parent_span_id != span.span_id, f"{where}: its own parent")
    _require(span.name, "a span without a name")
    _require(span.kind in Span.KINDS, f"{where}: kind {span.kind}")
    _require(span.start_time_unix_nano > _YEAR_2020_NS, f"{where}: start {span.start_time_unix_nano}")
    _require(span.end_time_unix_nano >= span.start_time_unix_nano, f"{where}: ends before it starts")
    _require(span.status.code in (0, 1, 2), f"{where}: status {span.status.code}")
    _require(span.status.code == 2 or not span.status.message, f"{where}: a message without an error")
    _check_trace_state(span.trace_state)
    _check_attributes(span.attributes, where)
    for event in span.events:
        _require(event.name, f"{where}: an event without a name")
        _check_attributes(event.attributes, where)


def check_export(request):
    """The spans of an ExportTraceServiceRequest, or Violation."""
    spans = []
    _require(request.resource_spans, "a request without spans")
    for resource_spans in request.resource_spans:
        resource = attributes_of(resource_spans.resource.attributes)
        _check_attributes(resource_spans.resource.attributes, "resource")
        _require(resource.get("service.name"), f"resource without service.name: {resource}")
        _require(resource_spans.scope_spans, "a resource without spans")
        for scope_spans in resource_spans.scope_spans:
            _require(scope_spans.scope.name, "a scope without a name")
            _require(scope_spans.spans, "a scope without spans")
            for span in scope_spans.spans:
                _check_span(span)
                spans.append(Span(span, resource))
    return spans


class Refusal(Exception):
    """Raised by a `behave` to refuse a request."""

    def __init__(self, code, http_status):
        super().__init__(code)
        self.code = code
        self.http_status = http_status


class Collector:
    """Receives OTLP/gRPC and OTLP/HTTP. `behave` runs first for every request: it may take its
    time, or raise Refusal. It runs on a thread of its own per request.
    """

    def __init__(self, behave=lambda: None):
        self.behave = behave
        self.requests = 0
        self.violations = []
        self.batch_sizes = []
        self._spans = []
        self._seen = set()
        self._lock = threading.Lock()
        self._executor = concurrent.futures.ThreadPoolExecutor(32)
        self._grpc = grpc.server(
            self._executor,
            handlers=[_ExportHandler(self)],
            options=[("grpc.so_reuseport", 0)],
        )
        self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _HttpReceiver)
        self._http.daemon_threads = True
        self._http.collector = self
        self._http_thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def grpc_endpoint(self):
        return f"http://127.0.0.1:{self._grpc_port}"

    @property
    def http_endpoint(self):
        return f"http://127.0.0.1:{self._http.server_port}"

    def receive(self, raw):
        """Takes a serialized request; the answer's bytes, or Refusal, or Violation."""
        with self._lock:
            self.requests += 1
        self.behave()
        try:
            spans = self._checked(raw)
        except Violation as violation:
            with self._lock:
                self.violations.append(str(violation))
            raise
        with self._lock:
            self._spans.extend(spans)
            self.batch_sizes.append(len(spans))
        name = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse"
        return message(name)().SerializeToString()

    def _checked(self, raw):
        name = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
        try:
            spans = check_export(message(name).FromString(raw))
        except DecodeError as error:
            raise Violation(f"not an export request: {error}") from error
        with self._lock:
            for span in spans:
                identity = span.trace_id, span.span_id
                _require(identity not in self._seen, f"twice: {span}")
                self._seen.add(identity)
        return spans

    def spans(self, trace_id=None):
        with self._lock:
            return [span for span in self._spans if trace_id in (None, span.trace_id)]

    def wait_for_spans(self, count, trace_id=None, timeout_s=PATIENCE_S):
        """All spans (of one trace), once there are at least `count`."""
        eventually(
            lambda: len(self.spans(trace_id)) >= count,
            f"{count} spans of trace {trace_id}; violations: {self.violations}",
            timeout_s,
        )
        return self.spans(trace_id)

    def __enter__(self):
        self._grpc.start()
        self._http_thread.start()
        return self

    def __exit__(self, *exception):
        self._grpc.stop(grace=None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._executor.shutdown(wait=False)
        assert not self.violations, f"exports that a collector must refuse: {self.violations}"


class _ExportHandler(grpc.GenericRpcHandler):
    def __init__(self, collector):
        self._collector = collector
        self._method = grpc.unary_unary_rpc_method_handler(self._export)

    def service(self, details):
        return self._method if details.method == EXPORT else None

    def _export(self, raw, context):
        try:
            return self._collector.receive(raw)
        except Violation as violation:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(violation))
        except Refusal as refusal:
            context.abort(refusal.code, "refused")


class _HttpReceiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # The name is http.server's.
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            _require(self.path == "/v1/traces", f"path {self.path}")
            content_type = self.headers["Content-Type"]
            _require(content_type == "application/x-protobuf", f"content type {content_type}")
            self._answer(200, self.server.collector.receive(raw))
        except Violation as violation:
            self._answer(400, str(violation).encode())
        except Refusal as refusal:
            self._answer(refusal.http_status, b"")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(OSError):  # A sender need not wait for the answer.
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_arguments):
        pass
