"""The lesson in a cluster, with the real Istio: the pods of its releases in network namespaces, with
Envoys as sidecars and as the gateway, which do what istiod tells them. Only the kubelet is the
tests' own, and with it what its node's network does.

Of ambient there is only what istiod says of it (tests/istio/test_verdicts.py): ztunnel is no Envoy,
and a waypoint needs Istio's own build of one.
"""

from harness import http
from harness.api_server import list_of
from harness.identities import Authority
from harness.istio_cluster import (
    ISTIO,
    ISTIO_CHARTS,
    NAMESPACE,
    OBSERVERS,
    IstioCluster,
    resource,
)
from harness.jaeger import Jaeger
from harness.network import free_ranges
from harness.pod_network import NODE
from harness.pods import Node
from harness.wait import eventually

# A pod without sidecar, though in the namespace of the mesh, and without program: others run there.
CLIENT = "client"

_GATEWAY = ("istio-ingressgateway", ISTIO)
_GATEWAY_PORT, _COLLECTOR_ADMIN_PORT = 80, 9465


class IstioMesh(IstioCluster):
    """`http` is the gateway's port on localhost, `collector` that of the collector's admin interface.
    Of the two kinds of gateways, helm installs Istio's own here; that of the Gateway API is there
    from the first step on, for istiod starts it.
    """

    def install(self, starting):
        self.jaeger = starting.enter_context(Jaeger(NODE))
        self.cluster.apply(list_of([*_jaeger(self.jaeger.grpc_port), _client()]))
        self.wait(NAMESPACE, f"pod/{CLIENT}", "--for=condition=Ready")
        if self.api == "istio":
            name, namespace = _GATEWAY
            self.helm("install", name, ISTIO_CHARTS / "gateway", namespace=namespace)
            self.wait_until_ready(namespace, f"deployment/{name}")
        self._label_pods()

    def begin(self, starting):
        self._marks = 0
        # Programs in it run as users of their own.
        self.cluster.folder.chmod(0o755)
        self.authority = Authority(self.cluster.folder)
        self._node = starting.enter_context(Node(self.cluster, self.network, self.authority))
        self.http, self.collector = free_ranges(2, 1)
        self._forward(self.collector, self.pod("collector"), _COLLECTOR_ADMIN_PORT)
        if self.api == "istio":
            self._forward(self.http, self.pod(*_GATEWAY), _GATEWAY_PORT)

    def _label_pods(self):
        """As the injector does: this is how others know that they may speak TLS to a pod."""
        self.cluster.kubectl(
            "label", "--namespace", NAMESPACE, "pods", "security.istio.io/tlsMode=istio",
            "--selector", f"app!={CLIENT}",
        )  # fmt: skip

    def __exit__(self, *exception):
        refused, complaints = self.refused(), self.complaints()
        super().__exit__(*exception)
        assert not refused, f"refused configuration: {refused}"
        assert not complaints, f"the proxies complain: {complaints}"

    def _forward(self, port, pod, target_port):
        self.network.forward(port, pod.address, target_port)

    def pod(self, name, namespace=NAMESPACE):
        """Of a Deployment, or StatefulSet."""
        return self._node.pods[f"{name}.{namespace}"]

    @property
    def pods(self):
        return self._node.pods.values()

    def go(self, step, **values):
        """Makes a step, and waits until every proxy acts by it."""
        self.make_step(step, sidecar={"egressHosts": [f"{OBSERVERS}/*"]}, **values)
        if self.api == "gateway":
            self._follow_gateway(is_there=step != "start")
        self.settle()

    def _follow_gateway(self, is_there):
        """istiod makes a Deployment of a Gateway, and what the cluster makes of that is run here."""
        name = "deployment/gateway-istio"
        if is_there:
            self.wait(NAMESPACE, name, "--for=create")
            self.wait_until_ready(NAMESPACE, name)
        else:
            self.wait(NAMESPACE, name, "--for=delete")
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


def _jaeger(port):
    """The Service of what runs outside the cluster."""
    ports = [{"name": "grpc-otlp", "port": 4317, "targetPort": port, "appProtocol": "grpc"}]
    target = {"name": "grpc-otlp", "port": port, "appProtocol": "grpc"}
    return [
        resource("v1", "Service", "jaeger", OBSERVERS, spec={"ports": ports}),
        resource(
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
    return resource("v1", "Pod", CLIENT, NAMESPACE, labels=labels, spec=spec)


def _mark(host):
    spec = {
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": [{"name": "http", "number": 8080, "protocol": "HTTP"}],
        "resolution": "NONE",
    }
    return resource("networking.istio.io/v1", "ServiceEntry", "mark", NAMESPACE, spec=spec)
