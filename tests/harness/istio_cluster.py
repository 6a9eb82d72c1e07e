"""The releases of the lesson in a real API server, as helm installs them, and the real istiod beside
it, which looks at them, judges them, and starts what a Gateway asks for. Nothing runs in its pods.
"""

import contextlib
import json

import yaml

from harness import build, charts
from harness.api_server import list_of
from harness.cluster import Cluster, gateway_definitions, istio_definitions
from harness.istiod import Istiod
from harness.pod_network import PodNetwork

STEPS = ("start", "ingress", "egress", "prod", "retry", "canary")
NAMESPACE, OUTSIDE, ISTIO, OBSERVERS = "demo", "outside", "istio-system", "observability"
HOPS = (("frontend", "prod"), ("middleware", "prod"), ("middleware", "canary"), ("backend", "prod"))

# Ways of tracing that a release of the mesh chart may name.
_COLLECTOR = f"collector.{NAMESPACE}.svc.cluster.local"
ZIPKIN, OTLP = "tracehop", "tracehop-otlp"
_PROVIDERS = [
    {"name": ZIPKIN, "zipkin": {"service": _COLLECTOR, "port": 9411}},
    {"name": OTLP, "opentelemetry": {"service": _COLLECTOR, "port": 4317}},
]

ISTIO_CHARTS = build.ROOT / ".tools/sources/istio/manifests/charts"

# How the namespace takes part in the mesh.
_MEMBERSHIP = {
    "sidecar": {"istio-injection": "enabled"},
    "ambient": {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "waypoint"},
}
_DRAIN = {"graceSeconds": 0}
_SOON = {"extraEnv": [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "50"}], "drain": _DRAIN}


class IstioCluster(contextlib.ExitStack):
    """Before the first step. `channel` is the Gateway API's. What a subclass has besides it brings
    into the cluster in `install`, before istiod looks, and starts in `begin`.
    """

    def __init__(self, api="istio", dataplane="sidecar", channel="standard"):
        super().__init__()
        self.api, self.dataplane = api, dataplane
        with contextlib.ExitStack() as starting:
            self.network = PodNetwork()
            self.cluster = starting.enter_context(Cluster(nodes=1))
            self.cluster.apply_files(*istio_definitions(), *gateway_definitions(channel))
            self.cluster.apply(list_of(self._namespaces()))
            self.cluster.apply(self._templates_of_pods())
            self._install_releases()
            self.install(starting)
            is_ambient = "true" if dataplane == "ambient" else "false"
            istiod = Istiod(self.cluster, _PROVIDERS, PILOT_ENABLE_AMBIENT=is_ambient)
            self.istiod = starting.enter_context(istiod)
            self.begin(starting)
            self.push(starting.pop_all())

    def install(self, starting):
        pass

    def begin(self, starting):
        pass

    def _namespaces(self):
        labels = {NAMESPACE: _MEMBERSHIP[self.dataplane]}
        names = (NAMESPACE, OUTSIDE, ISTIO, OBSERVERS)
        return [resource("v1", "Namespace", name, labels=labels.get(name)) for name in names]

    def _templates_of_pods(self):
        """Of which istiod makes those of a Gateway."""
        words = ("--namespace", ISTIO, "--show-only", "templates/istiod-injector-configmap.yaml")
        chart = ISTIO_CHARTS / "istio-control/istio-discovery"
        return yaml.safe_load(self.cluster.helm("template", "istiod", chart, *words))

    def _install_releases(self):
        for role, version in HOPS:
            self.helm("install", f"{role}-{version}", "hop", role=role, version=version, **_SOON)
        self.helm("install", "clock", "hop", namespace=OUTSIDE, role="clock", **_SOON)
        relay = f"grpc://jaeger.{OBSERVERS}:4317"
        self.helm("install", "collector", "collector", relayTo=[relay], drain=_DRAIN)
        for namespace in (NAMESPACE, OUTSIDE):
            self.wait_until_ready(namespace, "deployment,statefulset", "--all")

    def wait_until_ready(self, namespace, *what):
        self.wait(namespace, *what, "--for=jsonpath={.status.readyReplicas}=1")

    def wait(self, namespace, *words):
        self.cluster.kubectl("wait", "--namespace", namespace, "--timeout=60s", *words)

    def helm(self, verb, release, chart, *options, namespace=NAMESPACE, **values):
        """A chart is a name in charts/, or a folder."""
        path = chart if hasattr(chart, "joinpath") else charts.CHARTS / chart
        words = [verb, release, path, "--namespace", namespace, "--values=-", *options]
        self.cluster.run("helm", *words, text_in=json.dumps(values))

    def make_step(self, step, **values):
        """What the proxies do then takes a moment."""
        if step == "start":
            mesh = ("mesh", "--namespace", NAMESPACE)
            self.cluster.helm("uninstall", *mesh, "--ignore-not-found")
        else:
            values = {"api": self.api, "dataplane": self.dataplane, **values, "step": step}
            self.helm("upgrade", "mesh", "mesh", "--install", **values)


def resource(api, kind, name, namespace=None, labels=None, **members):
    metadata = {"name": name, "labels": labels or {}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **members}
