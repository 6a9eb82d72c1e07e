"""What the collector relays to, in tests that look at what arrives: everything is recorded as it
came. It insists only on what every backend does: the bytes parse, and the ids are ids.
"""

from google.protobuf.message import DecodeError

from harness import otlp
from harness.collector import Collector, Span, Violation, attributes_of
from harness.wait import PATIENCE_S, eventually


class Arrived(Span):
    """A span as it arrived; `message` is all of it, `scope` and `resource` what it stood in."""

    def __init__(self, span, scope, resource):
        super().__init__(span, attributes_of(resource.attributes))
        self.message = span
        self.number = int.from_bytes(span.span_id, "big")
        self.scope = scope


def spans_in(request):
    return [
        Arrived(span, scope_spans.scope, resource_spans.resource)
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


class Backend(Collector):
    """`raw` are the requests as they came, those refused by `behave` left out."""

    def __init__(self, behave=lambda: None):
        super().__init__(behave)
        self.raw = []

    @property
    def grpc_uri(self):
        return self.grpc_endpoint.replace("http://", "grpc://")

    @property
    def http_uri(self):
        return self.http_endpoint

    def _checked(self, raw):
        try:
            request = otlp.request_class().FromString(raw)
        except DecodeError as error:
            raise Violation(f"not an export request: {error}") from error
        spans = spans_in(request)
        for span in spans:
            if len(span.message.trace_id) not in (0, 16) or len(span.message.span_id) not in (0, 8):
                raise Violation(f"ids of wrong length: {span}")
        with self._lock:
            self.raw.append(raw)
        return spans

    def numbers(self):
        """The numbers of the spans that arrived, in order of arrival."""
        return [span.number for span in self.spans()]

    def wait_for(self, *numbers, timeout_s=PATIENCE_S):
        """The spans with these numbers, once all are there."""
        wanted = set(numbers)
        eventually(
            lambda: wanted <= set(self.numbers()),
            f"spans {sorted(wanted)} arrive; violations: {self.violations}",
            timeout_s,
        )
        found = {span.number: span for span in self.spans()}
        return [found[number] for number in numbers]
