"""How the proxies trace: what their spans say, whom they are from, and where they go.

A proxy makes a span (SERVER) of each request it gets. The gateway, and a sidecar for what its hop
sends, make one (CLIENT) of each try below it. A sidecar before its hop does not: next below is the
hop's own span.

Pure: values in, Envoy's configuration out.
"""

import dataclasses

from local.proxies import cluster, typed

# A trace can be looked at right away, and under load not every few spans take a request.
FLUSH_INTERVAL_MS = 500
FLUSH_AT_SPANS = 100

B3_SINGLE = ("b3",)
B3_MULTI = ("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags")
W3C = ("traceparent", "tracestate")

# Of the forms of trace context those that the proxies do not write, by settings.TRACINGS.
UNWRITTEN = {
    "zipkin": B3_SINGLE + W3C,
    "opentelemetry": B3_SINGLE + B3_MULTI,
    "both": B3_SINGLE,
}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Whom the spans of a proxy are from."""

    service: str
    version: str = ""  # of the hop beside it, if any


@dataclasses.dataclass(frozen=True)
class Tracing:
    kind: str  # one of settings.TRACINGS
    zipkin_port: int
    otlp_grpc_port: int

    @property
    def is_otlp(self):
        return self.kind == "opentelemetry"

    def cluster(self):
        """The collector."""
        if self.is_otlp:
            return cluster("tracing", [self.otlp_grpc_port], "grpc")
        return cluster("tracing", [self.zipkin_port], "http")

    def runtime(self):
        """What Envoy asks its runtime for, not its configuration."""
        prefix = f"tracing.{'opentelemetry' if self.is_otlp else 'zipkin'}"
        values = {
            f"{prefix}.flush_interval_ms": FLUSH_INTERVAL_MS,
            f"{prefix}.min_flush_spans": FLUSH_AT_SPANS,
        }
        return {"layers": [{"name": "tracing", "static_layer": values}]}

    def spans(self, origin, tries_have_spans):
        """Of every request, unless its sender has said that it is not to be recorded."""
        return {
            "provider": self._otlp_provider(origin) if self.is_otlp else self._zipkin_provider(),
            "random_sampling": {"value": 100},
            "overall_sampling": {"value": 100},
            "spawn_upstream_span": tries_have_spans,
            "upstream_operation": "try %UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_CLUSTER%",
            "custom_tags": self._tags(origin),
        }

    def forgetting(self):
        """A filter for the gateway, after it has begun its span: takes the forms of context that no
        proxy writes out of the request. They would reach the first hop as the client sent them, and
        the hop could follow them instead of the gateway.
        """
        removed = [{"remove": name} for name in UNWRITTEN[self.kind]]
        return {
            "name": "envoy.filters.http.header_mutation",
            "typed_config": typed(
                "extensions.filters.http.header_mutation.v3.HeaderMutation",
                mutations={"request_mutations": removed},
            ),
        }

    def _tags(self, origin):
        tags = [
            # Tells the answers of proxies from those of hops.
            {"tag": "response_code_details", "value": "%RESPONSE_CODE_DETAILS%"},
            # Decides between prod and canary.
            {"tag": "http.request.header.x-dev-user", "request_header": {"name": "x-dev-user"}},
        ]
        # In OTLP it is the resource's.
        if origin.version and not self.is_otlp:
            tags.append({"tag": "service.version", "literal": {"value": origin.version}})
        return tags

    def _otlp_provider(self, origin):
        return {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": typed(
                "config.trace.v3.OpenTelemetryConfig",
                grpc_service={"envoy_grpc": {"cluster_name": "tracing"}, "timeout": "5s"},
                service_name=origin.service,
                resource_detectors=[version_detector(origin.version)] if origin.version else [],
            ),
        }

    def _zipkin_provider(self):
        """Of the service it knows by itself: it is the cluster of Envoy's node."""
        context = "USE_B3_WITH_W3C_PROPAGATION" if self.kind == "both" else "USE_B3"
        return {
            "name": "envoy.tracers.zipkin",
            "typed_config": typed(
                "config.trace.v3.ZipkinConfig",
                collector_cluster="tracing",
                collector_endpoint="/api/v2/spans",
                collector_endpoint_version="HTTP_JSON",
                trace_id_128bit=True,
                shared_span_context=False,
                trace_context_option=context,
            ),
        }


def version_detector(version):
    """It detects what it is told here."""
    return {
        "name": "envoy.tracers.opentelemetry.resource_detectors.static_config",
        "typed_config": typed(
            "extensions.tracers.opentelemetry.resource_detectors.v3"
            ".StaticConfigResourceDetectorConfig",
            attributes={"service.version": version},
        ),
    }
