"""A Kubernetes cluster whose control plane is real and whose nodes are not: etcd, kube-apiserver,
kube-controller-manager and kube-scheduler, and kwok, which says of every pod that it runs.

It shows what the API server admits and defaults, what the controllers make of it, and who owns
which field. No container ever starts, so probes, hooks and `helm test` show nothing here.
"""

import contextlib
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import urllib.request

from harness import build
from harness.daemon import Daemon
from harness.network import free_ranges
from harness.wait import eventually

_TOKEN = "tests"
_START_PATIENCE_S = 120
_COMMAND_PATIENCE_S = 180
_NODES = 3
_STAGES = build.ROOT / ".tools/sources/kwok-stages/kustomize/stage"
# Pods get addresses out of POD_RANGE, Services out of SERVICE_RANGE.
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"

_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: tests
clusters:
- name: tests
  cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: "{authority}"}}
users:
- name: tests
  user: {{token: {token}}}
contexts:
- name: tests
  context: {{cluster: tests, user: tests}}
"""


class Cluster(contextlib.ExitStack):
    """Everybody who has the kubeconfig may do everything."""

    def __init__(self, nodes=_NODES):
        super().__init__()
        (self._first_port,) = free_ranges(1, 6)
        with contextlib.ExitStack() as starting:
            self.folder = pathlib.Path(starting.enter_context(tempfile.TemporaryDirectory()))
            self.kubeconfig = self.folder / "kubeconfig"
            self.daemons = []
            self._start_etcd(starting)
            self._start_apiserver(starting)
            self._start_controllers(starting)
            self._add_nodes(nodes)
            self.push(starting.pop_all())

    @property
    def port(self):
        return self._first_port

    def _port(self, number):
        return str(self._first_port + number)

    def _start(self, starting, name, *options):
        daemon = starting.enter_context(Daemon(self.folder, name, *options))
        self.daemons.append(daemon)
        return daemon

    def _start_etcd(self, starting):
        clients = f"http://127.0.0.1:{self._port(1)}"
        peers = f"http://127.0.0.1:{self._port(2)}"
        self._start(
            starting,
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )

    def _start_apiserver(self, starting):
        # It makes the key and the certificate itself.
        key = self.folder / "apiserver.key"
        (self.folder / "tokens.csv").write_text(
            f"{_TOKEN},tests,tests,system:masters\n", encoding="ascii"
        )
        apiserver = self._start(
            starting,
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._port(1)}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder}",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
        )
        apiserver.wait_until(
            lambda: self._get("/readyz") == b"ok", "is ready", _START_PATIENCE_S
        )
        self.kubeconfig.write_text(
            _KUBECONFIG.format(
                port=self.port, authority=self.folder / "apiserver.crt", token=_TOKEN
            ),
            encoding="ascii",
        )

    def _start_controllers(self, starting):
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self._start(
            starting,
            "kube-controller-manager",
            kubeconfig,
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port(3)}",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.folder}/apiserver.key",
            f"--root-ca-file={self.folder}/apiserver.crt",
            # How soon an autoscaler first speaks: 15 s otherwise.
            "--horizontal-pod-autoscaler-sync-period=1s",
        )
        self._start(
            starting,
            "kube-scheduler",
            kubeconfig,
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port(4)}",
            "--leader-elect=false",
        )
        self._start(
            starting,
            "kwok",
            kubeconfig,
            "--manage-all-nodes=true",
            # Without leases the nodes, and all their pods, are given up after 40 s.
            "--node-lease-duration-seconds=40",
            f"--cidr={POD_RANGE}",
            f"--server-address=127.0.0.1:{self._port(5)}",
            *(f"--config={path}" for path in _stages()),
        )

    def _add_nodes(self, count):
        nodes = [_node(number) for number in range(count)]
        self.apply({"apiVersion": "v1", "kind": "List", "items": nodes})
        self.kubectl("apply", f"--filename={_STAGES}/volume/fast/storage-class.yaml")
        self.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
        eventually(
            lambda: self.get("serviceaccount", "--ignore-not-found", "default"),
            "the controllers make service accounts",
        )

    def _get(self, path):
        context = ssl.create_default_context(cafile=self.folder / "apiserver.crt")
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {_TOKEN}"}
        )
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return answer.read()

    @property
    def environment(self):
        """For programs that look for a cluster; whatever they keep at home goes into the folder."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
        }

    def run(self, name, *arguments, text_in="", check=True):
        """Runs a program of .tools/bin against the cluster."""
        ran = subprocess.run(
            [build.tool(name), *map(str, arguments)],
            env=self.environment,
            input=text_in,
            capture_output=True,
            encoding="utf-8",
            timeout=_COMMAND_PATIENCE_S,
            check=False,
        )
        if check and ran.returncode != 0:
            raise AssertionError(f"{name} {' '.join(map(str, arguments))}: {ran.stderr}")
        return ran

    def kubectl(self, *arguments, text_in=""):
        return self.run("kubectl", *arguments, text_in=text_in).stdout

    def helm(self, *arguments):
        return self.run("helm", *arguments).stdout

    def get(self, *arguments):
        """What kubectl gets, as a tree; None when it is nothing."""
        told = self.kubectl("get", "--output=json", *arguments)
        return json.loads(told) if told else None

    def apply(self, tree):
        self.kubectl("apply", "--server-side", "--filename=-", text_in=json.dumps(tree))

    def apply_files(self, *paths):
        """Applies manifests, and waits for the kinds they define to be served."""
        files = [f"--filename={path}" for path in paths]
        self.kubectl("apply", "--server-side", *files)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

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


def gateway_definitions():
    """The files that define the Gateway API's kinds: its standard channel."""
    folder = build.ROOT / ".tools/sources/gateway-api/config/crd/standard"
    return sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
