"""What the environment says about the local demo."""

import dataclasses
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DEMO_BUILD", ROOT / "build/release"))
STATE = pathlib.Path(os.environ.get("DEMO_STATE", ROOT / ".demo"))
# Outlives the demo: what could not be delivered waits for the next one.
JOURNAL = pathlib.Path(os.environ.get("DEMO_JOURNAL", ROOT / ".demo-journal"))
STEPS = pathlib.Path(os.environ.get("DEMO_STEPS", ROOT / "charts/mesh/steps"))
TOOLS = ROOT / ".tools/bin"

# How the proxies trace: which headers they write, and how their spans go to the collector.
TRACINGS = ("zipkin", "opentelemetry", "both")
MESHES = ("envoy", "none")


class DemoError(Exception):
    """What stops the demo, in words for its user."""


def choice(name, choices, default):
    value = os.environ.get(name) or default
    if value not in choices:
        raise DemoError(f"{name}={value}: it is one of {', '.join(choices)}")
    return value


def port(name, default):
    value = os.environ.get(name) or default
    try:
        number = int(value)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise DemoError(f"{name}={value} is no port")
    return number


@dataclasses.dataclass(frozen=True)
class Settings:
    """The ports and choices of one demo. The commands that steer a running one read what it has."""

    http_port: int  # of the front door; the hops listen above it
    grpc_port: int  # of the first hop; the n-th one listens n above
    admin_port: int  # of the first hop, likewise
    mesh_port: int  # of the gateway's admin; each sidecar has the next ten
    otlp_grpc_port: int
    otlp_http_port: int
    zipkin_port: int
    collector_port: int
    relay_to: str
    mesh: str
    tracing: str

    @classmethod
    def from_environment(cls, mesh):
        return cls(
            http_port=port("HTTP_PORT", 8080),
            grpc_port=port("GRPC_PORT", 9090),
            admin_port=port("ADMIN_PORT", 9470),
            mesh_port=port("MESH_PORT", 15000),
            otlp_grpc_port=port("OTLP_GRPC_PORT", 4317),
            otlp_http_port=port("OTLP_HTTP_PORT", 4318),
            zipkin_port=port("ZIPKIN_PORT", 9411),
            collector_port=port("COLLECTOR_PORT", 9465),
            relay_to=os.environ.get("RELAY_TO", ""),
            mesh=mesh,
            tracing=choice("TRACING", TRACINGS, "zipkin"),
        )

    @classmethod
    def of_running(cls):
        """Of the demo that runs; None when none does."""
        try:
            return cls(**json.loads((STATE / "settings.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def save(self):
        text = json.dumps(dataclasses.asdict(self), indent=2)
        (STATE / "settings.json").write_text(text, encoding="utf-8")


def on_loopback(port_number):
    return f"127.0.0.1:{port_number}"
