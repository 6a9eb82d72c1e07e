"""A Kubernetes cluster whose control plane is real and whose nodes are not: etcd, kube-apiserver,
kube-controller-manager and kube-scheduler, and kwok, which says of every pod that it runs.

It shows what the API server admits and defaults, what the controllers make of it, and who owns
which field. No container ever starts, so probes, hooks and `helm test` show nothing here.
"""

from harness import build
from harness.api_server import ApiServer, list_of
from harness.wait import eventually

_NODES = 3
_STAGES = build.ROOT / ".tools/sources/kwok-stages/kustomize/stage"
# Pods get addresses out of it.
POD_RANGE = "10.244.0.0/16"


class Cluster(ApiServer):
    more_ports = 3

    def __init__(self, nodes=_NODES):
        self._nodes = nodes
        super().__init__()

    def begin(self, starting):
        self._start_controllers(starting)
        self._add_nodes(self._nodes)

    def _start_controllers(self, starting):
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self.start(
            starting,
            "kube-controller-manager",
            kubeconfig,
            "--bind-address=127.0.0.1",
            f"--secure-port={self.more_port(0)}",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.folder}/apiserver.key",
            f"--root-ca-file={self.folder}/apiserver.crt",
            # How soon an autoscaler first speaks: 15 s otherwise.
            "--horizontal-pod-autoscaler-sync-period=1s",
        )
        self.start(
            starting,
            "kube-scheduler",
            kubeconfig,
            "--bind-address=127.0.0.1",
            f"--secure-port={self.more_port(1)}",
            "--leader-elect=false",
        )
        self.start(
            starting,
            "kwok",
            kubeconfig,
            "--manage-all-nodes=true",
            # Without leases the nodes, and all their pods, are given up after 40 s.
            "--node-lease-duration-seconds=40",
            f"--cidr={POD_RANGE}",
            f"--server-address=127.0.0.1:{self.more_port(2)}",
            *(f"--config={path}" for path in _stages()),
        )

    def _add_nodes(self, count):
        nodes = [_node(number) for number in range(count)]
        self.apply(list_of(nodes))
        self.kubectl("apply", f"--filename={_STAGES}/volume/fast/storage-class.yaml")
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
        eventually(
            lambda: self.get("serviceaccount", "--ignore-not-found", "default"),
            "the controllers make service accounts",
        )

    def resident_bytes(self):
        return {daemon.name: daemon.resident_bytes() for daemon in self.daemons}


def _stages():
    """What becomes of nodes, pods, volumes and their claims: at once what they are to be."""
    kinds = ("node/fast/node", "node/heartbeat-with-lease/node", "pod/fast/pod", "volume/fast/pv")
    return [path for kind in kinds for path in sorted(_STAGES.glob(f"{kind}*.yaml"))]


def _node(number):
    resources = {"cpu": "32", "memory": "64Gi", "pods": "110"}
    name = f"node-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": f"zone-{number}",
            },
        },
        "status": {"allocatable": resources, "capacity": resources},
    }


def istio_definitions():
    """The files that define Istio's kinds, as its own chart does."""
    return [build.ROOT / ".tools/sources/istio/manifests/charts/base/files/crd-all.gen.yaml"]


def gateway_definitions(channel="standard"):
    """The files that define the Gateway API's kinds."""
    folder = build.ROOT / ".tools/sources/gateway-api/config/crd" / channel
    return sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
