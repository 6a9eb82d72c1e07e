"""The lesson in a cluster, with the real Istio: a real API server with the charts in it, as helm
installs them, istiod beside it, and their pods in network namespaces with Envoys as sidecars and as
the gateway. Only the kubelet is the tests' own, and with it what its node's network does.

Ambient is not here: ztunnel is no Envoy, and a waypoint needs Istio's own build of one.
"""

import contextlib
import json

import yaml

from harness import build, charts, http
from harness.cluster import Cluster, gateway_definitions, istio_definitions
from harness.identities import Authority
from harness.istiod import Istiod
from harness.jaeger import Jaeger
from harness.network import free_ranges
from harness.pod_network import NODE, PodNetwork
from harness.pods import Node
from harness.wait import eventually

STEPS = ("start", "ingress", "egress", "prod", "retry", "canary")
NAMESPACE, OUTSIDE, ISTIO, OBSERVERS = "demo", "outside", "istio-system", "observability"
HOPS = (("frontend", "prod"), ("middleware", "prod"), ("middleware", "canary"), ("backend", "prod"))
# A pod without sidecar, though in the namespace of the mesh, and without program: others run there.
CLIENT = "client"

# Ways of tracing that a release of the mesh chart may name.
_COLLECTOR = f"collector.{NAMESPACE}.svc.cluster.local"
ZIPKIN, OTLP = "tracehop", "tracehop-otlp"
_PROVIDERS = [
    {"name": ZIPKIN, "zipkin": {"service": _COLLECTOR, "port": 9411}},
    {"name": OTLP, "opentelemetry": {"service": _COLLECTOR, "port": 4317}},
]

_DRAIN = {"graceSeconds": 0}
_SOON = {"extraEnv": [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "50"}], "drain": _DRAIN}
_ISTIO_CHARTS = build.ROOT / ".tools/sources/istio/manifests/charts"
_GATEWAY = ("istio-ingressgateway", ISTIO)
_GATEWAY_PORT, _COLLECTOR_ADMIN_PORT = 80, 9465


class IstioMesh(contextlib.ExitStack):
    """Before the first step. `http` is the gateway's port on localhost, `collector` that of the
    collector's admin interface. Of the two kinds of gateways, helm installs Istio's own here; that
    of the Gateway API is there from the first step on, for istiod starts it.
    """

    def __init__(self, api="istio"):
        super().__init__()
        self._api = api
        self._values = {"api": api, "sidecar": {"egressHosts": [f"{OBSERVERS}/*"]}}
        self._marks = 0
        with contextlib.ExitStack() as starting:
            self._network = PodNetwork()
            self.jaeger = starting.enter_context(Jaeger(NODE))
            self.cluster = starting.enter_context(Cluster(nodes=1))
            # Programs in it run as users of their own.
            self.cluster.folder.chmod(0o755)
            self._install()
            self.istiod = starting.enter_context(Istiod(self.cluster, _PROVIDERS))
            self.authority = Authority(self.cluster.folder)
            node = Node(self.cluster, self._network, self.authority)
            self._node = starting.enter_context(node)
            self.http, self.collector = free_ranges(2, 1)
            self._forward(self.collector, self.pod("collector"), _COLLECTOR_ADMIN_PORT)
            if api == "istio":
                self._forward(self.http, self.pod(*_GATEWAY), _GATEWAY_PORT)
            self.push(starting.pop_all())

    def __exit__(self, *exception):
        refused, complaints = self.refused(), self.complaints()
        super().__exit__(*exception)
        assert not refused, f"refused configuration: {refused}"
        assert not complaints, f"the proxies complain: {complaints}"

    def _install(self):
        self.cluster.apply_files(*istio_definitions())
        items = [*_namespaces(), *_jaeger(self.jaeger.grpc_port), _client()]
        self.cluster.apply({"apiVersion": "v1", "kind": "List", "items": items})
        for role, version in HOPS:
            self._helm("install", f"{role}-{version}", "hop", role=role, version=version, **_SOON)
        self._helm("install", "clock", "hop", namespace=OUTSIDE, role="clock", **_SOON)
        relay = f"grpc://jaeger.{OBSERVERS}:4317"
        self._helm("install", "collector", "collector", relayTo=[relay], drain=_DRAIN)
        if self._api == "istio":
            name, namespace = _GATEWAY
            self._helm("install", name, _ISTIO_CHARTS / "gateway", namespace=namespace)
        else:
            self.cluster.apply_files(*gateway_definitions())
            self.cluster.apply(self._templates_of_pods())
        for namespace in self._populated:
            ready = "--for=jsonpath={.status.readyReplicas}=1"
            self._wait(namespace, "deployment,statefulset", "--all", ready)
        # As the injector does: this is how others know that they may speak TLS to a pod.
        self.cluster.kubectl(
            "label", "--namespace", NAMESPACE, "pods", "security.istio.io/tlsMode=istio",
            "--selector", f"app!={CLIENT}",
        )  # fmt: skip

    def _wait(self, namespace, *words):
        self.cluster.kubectl("wait", "--namespace", namespace, "--timeout=60s", *words)

    def _helm(self, verb, release, chart, *options, namespace=NAMESPACE, **values):
        path = chart if hasattr(chart, "joinpath") else charts.CHARTS / chart
        words = [verb, release, path, "--namespace", namespace, "--values=-", *options]
        self.cluster.run("helm", *words, text_in=json.dumps(values))

    @property
    def _populated(self):
        return (NAMESPACE, OUTSIDE, ISTIO) if self._api == "istio" else (NAMESPACE, OUTSIDE)

    def _templates_of_pods(self):
        """Of which istiod makes those of a gateway."""
        words = ("--namespace", ISTIO, "--show-only", "templates/istiod-injector-configmap.yaml")
        chart = _ISTIO_CHARTS / "istio-control/istio-discovery"
        return yaml.safe_load(self.cluster.helm("template", "istiod", chart, *words))

    def _forward(self, port, pod, target_port):
        self._network.forward(port, pod.address, target_port)

    def pod(self, name, namespace=NAMESPACE):
        """Of a Deployment, or StatefulSet."""
        return self._node.pods[f"{name}.{namespace}"]

    @property
    def pods(self):
        return self._node.pods.values()

    def go(self, step, **values):
        """Makes a step, and waits until every proxy acts by it."""
        if step == "start":
            mesh = ("mesh", "--namespace", NAMESPACE)
            self.cluster.helm("uninstall", *mesh, "--ignore-not-found")
        else:
            values = {**self._values, **values, "step": step}
            self._helm("upgrade", "mesh", "mesh", "--install", **values)
        if self._api == "gateway":
            self._follow_gateway(is_there=step != "start")
        self.settle()

    def _follow_gateway(self, is_there):
        """istiod makes a Deployment of a Gateway, and what the cluster makes of that is run here."""
        name = "deployment/gateway-istio"
        sign = "jsonpath={.status.readyReplicas}=1" if is_there else "delete"
        if is_there:
            self._wait(NAMESPACE, name, "--for=create")
        self._wait(NAMESPACE, name, f"--for={sign}")
        for pod in self._node.follow():
            self._forward(self.http, pod, _GATEWAY_PORT)

    def run_tasks(self):
        """Runs new pods whose program ends by itself, and tells the cluster how it ended. Returns what
        each has printed.
        """
        printed = {}
        for pod in self._node.follow():
            ended = pod.run_task()
            printed[pod.name] = ended.stdout + ended.stderr
            phase = "Failed" if ended.returncode else "Succeeded"
            status = ("--subresource=status", f'--patch={{"status": {{"phase": "{phase}"}}}}')
            self.cluster.kubectl("patch", "--namespace", pod.namespace, "pod", pod.name, *status)
        return printed

    def restart_proxies(self):
        proxied = [pod for pod in self.pods if pod.sidecar]
        for pod in proxied:
            pod.restart_proxy()
        for pod in proxied:
            pod.sidecar.wait_until_ready()

    def settle(self):
        """Once all proxies have something new, they have all that was there before."""
        self._marks += 1
        host = f"{self._marks}.mark.tests"
        self.cluster.apply(_mark(host))
        for pod in self.pods:
            if pod.sidecar:
                pod.sidecar.wait_for_cluster(f"outbound|8080||{host}")
        eventually(self._is_settled, "all proxies have taken what istiod sent")

    def _is_settled(self):
        return all(
            proxy.get(f"{kind}_sent") == proxy.get(f"{kind}_acked")
            for proxy in self.istiod.debug("syncz")
            for kind in ("cluster", "listener", "route", "endpoint")
        )

    def refused(self):
        """By proxy, how often it has refused configuration, or a certificate."""
        found = {
            str(pod): pod.sidecar.statistics(r".*update_rejected") + len(pod.agent.refused)
            for pod in self.pods
            if pod.sidecar
        }
        return {name: count for name, count in found.items() if count}

    def complaints(self):
        """What the proxies have logged, which is errors only."""
        said = {str(pod): pod.sidecar.log for pod in self.pods if pod.sidecar}
        return {name: text for name, text in said.items() if text}

    def get(self, headers=()):
        return http.get_json(self.http, headers=headers)


def _resource(api, kind, name, namespace=None, labels=None, **members):
    metadata = {"name": name, "labels": labels or {}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **members}


def _namespaces():
    injected = {NAMESPACE: {"istio-injection": "enabled"}}
    return [
        _resource("v1", "Namespace", name, labels=injected.get(name))
        for name in (NAMESPACE, OUTSIDE, ISTIO, OBSERVERS)
    ]


def _jaeger(port):
    """The Service of what runs outside the cluster."""
    ports = [{"name": "grpc-otlp", "port": 4317, "targetPort": port, "appProtocol": "grpc"}]
    target = {"name": "grpc-otlp", "port": port, "appProtocol": "grpc"}
    return [
        _resource("v1", "Service", "jaeger", OBSERVERS, spec={"ports": ports}),
        _resource(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "jaeger",
            OBSERVERS,
            labels={"kubernetes.io/service-name": "jaeger"},
            addressType="IPv4",
            endpoints=[{"addresses": [NODE], "conditions": {"ready": True}}],
            ports=[target],
        ),
    ]


def _client():
    labels = {"app": CLIENT, "sidecar.istio.io/inject": "false"}
    spec = {"containers": [{"name": CLIENT, "image": "none"}]}
    return _resource("v1", "Pod", CLIENT, NAMESPACE, labels=labels, spec=spec)


def _mark(host):
    spec = {
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": [{"name": "http", "number": 8080, "protocol": "HTTP"}],
        "resolution": "NONE",
    }
    return _resource("networking.istio.io/v1", "ServiceEntry", "mark", NAMESPACE, spec=spec)
