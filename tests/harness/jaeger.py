"""The real Jaeger, all in one process, spans in memory: https://www.jaegertracing.io. It is
configured by hand, for its own all-in-one configuration listens on a dozen fixed ports.
"""

import contextlib
import pathlib
import subprocess
import tempfile
import urllib.parse

from harness import build, http, otlp
from harness.network import free_ranges
from harness.wait import PATIENCE_S, eventually

_CONFIGURATION = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{receivers: [otlp], exporters: [jaeger_storage_exporter]}}
  telemetry:
    metrics: {{level: none}}
extensions:
  jaeger_storage:
    backends: {{memory: {{memory: {{max_traces: 100000}}}}}}
  jaeger_query:
    storage: {{traces: memory}}
    http: {{endpoint: "127.0.0.1:{query}"}}
    grpc: {{endpoint: "127.0.0.1:{query_grpc}"}}
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{address}:{grpc}"}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  jaeger_storage_exporter: {{trace_storage: memory}}
"""


class Jaeger(contextlib.ExitStack):
    """Takes spans at an address of this machine; questions only of itself."""

    def __init__(self, address="127.0.0.1"):
        super().__init__()
        (first,) = free_ranges(1, 4)
        self.grpc_port, self.http_port, self.query_port, query_grpc_port = range(first, first + 4)
        with contextlib.ExitStack() as starting:
            folder = pathlib.Path(starting.enter_context(tempfile.TemporaryDirectory()))
            (folder / "jaeger.yaml").write_text(
                _CONFIGURATION.format(
                    address=address,
                    grpc=self.grpc_port,
                    http=self.http_port,
                    query=self.query_port,
                    query_grpc=query_grpc_port,
                ),
                encoding="ascii",
            )
            self._log = starting.enter_context(open(folder / "jaeger.log", "w+b"))
            self._process = subprocess.Popen(
                [build.tool("jaeger"), "--config", folder / "jaeger.yaml"],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
            )
            starting.callback(self._stop)
            eventually(self._is_ready, "Jaeger takes spans")
            self.push(starting.pop_all())

    @property
    def grpc_uri(self):
        return f"grpc://127.0.0.1:{self.grpc_port}"

    @property
    def http_uri(self):
        return f"http://127.0.0.1:{self.http_port}"

    def _is_ready(self):
        if self._process.poll() is not None:
            self._log.seek(0)
            raise AssertionError(f"Jaeger ended:\n{self._log.read().decode('utf-8', 'replace')}")
        with contextlib.suppress(OSError):  # The receivers come last.
            return otlp.post(self.http_port, b"").status == 200
        return False

    def _stop(self):
        """After a query its own farewell takes ten seconds, and nobody needs it."""
        self._process.kill()
        self._process.wait()

    def get(self, path, **parameters):
        """What the query API answers: the status and the tree."""
        return query(self.query_port, path, **parameters)

    def wait_for_trace(self, trace_id, count, timeout_s=PATIENCE_S):
        """The spans of a trace as /api/v3 tells them, by id, once there are `count`."""

        def look():
            spans = trace(self.query_port, trace_id)
            return spans if len(spans) >= count else None

        return eventually(look, f"{count} spans of {trace_id} in Jaeger", timeout_s)


def query(port, path, **parameters):
    """Asks a query API, Jaeger's or the collector's."""
    answer = http.get(port, f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path)
    return answer.status, answer.json


class Told:
    """A span as /api/v3 tells it."""

    def __init__(self, members, resource, scope):
        self.trace_id = members["traceId"]
        self.span_id = members["spanId"]
        self.parent_id = members.get("parentSpanId", "")
        self.name = members["name"]
        self.kind = members.get("kind", 0)
        self.start_ns = int(members["startTimeUnixNano"])
        self.end_ns = int(members["endTimeUnixNano"])
        self.status = members.get("status", {})
        self.events = members.get("events", [])
        self.attributes = _attributes(members.get("attributes", []))
        self.resource = _attributes(resource.get("attributes", []))
        self.service = self.resource.get("service.name", {}).get("stringValue")
        self.scope = scope.get("name", "")

    @property
    def content(self):
        """What two tellers of the same span must agree on. Jaeger moves spans in time when the
        clocks of their hosts seem to differ, and adds its own remarks as attributes.
        """
        attributes = {
            key: value for key, value in self.attributes.items() if not key.startswith("@jaeger@")
        }
        return {
            "parent": self.parent_id,
            "name": self.name,
            "kind": self.kind,
            "duration": self.end_ns - self.start_ns,
            "status": self.status,
            "attributes": attributes,
            "events": [(event["name"], _attributes(event.get("attributes", [])))
                       for event in self.events],
            "resource": self.resource,
            "scope": self.scope,
        }  # fmt: skip

    def __repr__(self):
        return f"{self.service}: {self.name!r} {self.span_id} in {self.parent_id or '-'}"


def _attributes(pairs):
    """{key: value}; a value keeps its type: {"stringValue": "x"}."""
    return {pair["key"]: pair["value"] for pair in pairs}


def trace(port, trace_id):
    """The spans of a trace by id, as a query API tells them; {} when it knows none."""
    status, answer = query(port, f"/api/v3/traces/{trace_id}")
    if status == 404:
        return {}
    assert status == 200, (status, answer)
    spans = [
        Told(members, resource_spans.get("resource", {}), scope_spans.get("scope", {}))
        for resource_spans in answer["result"]["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for members in scope_spans["spans"]
    ]
    return {span.span_id: span for span in spans}
