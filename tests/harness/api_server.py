"""A real Kubernetes API server with its etcd, and nothing else of a cluster: objects are checked and
kept, and nothing comes of them.
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

_TOKEN = "tests"
_START_PATIENCE_S = 120
_COMMAND_PATIENCE_S = 180
# Services get addresses out of it.
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


class ApiServer(contextlib.ExitStack):
    """Everybody who has the kubeconfig may do everything. Three ports are its own, `more_ports` those
    of a subclass, which starts in `begin` what it has besides. `options` are the server's.
    """

    more_ports = 0
    options = ()

    def __init__(self):
        super().__init__()
        (self._first_port,) = free_ranges(1, 3 + self.more_ports)
        with contextlib.ExitStack() as starting:
            self.folder = pathlib.Path(starting.enter_context(tempfile.TemporaryDirectory()))
            self.kubeconfig = self.folder / "kubeconfig"
            self.daemons = []
            self._start_etcd(starting)
            self._start_apiserver(starting)
            self.begin(starting)
            self.push(starting.pop_all())

    def begin(self, starting):
        pass

    @property
    def port(self):
        return self._first_port

    def more_port(self, number):
        return str(self._first_port + 3 + number)

    def _port(self, number):
        return str(self._first_port + number)

    def start(self, starting, name, *options):
        daemon = starting.enter_context(Daemon(self.folder, name, *options))
        self.daemons.append(daemon)
        return daemon

    def _start_etcd(self, starting):
        clients = f"http://127.0.0.1:{self._port(1)}"
        peers = f"http://127.0.0.1:{self._port(2)}"
        self.start(
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
        apiserver = self.start(
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
            *self.options,
        )
        apiserver.wait_until(lambda: self._get("/readyz") == b"ok", "is ready", _START_PATIENCE_S)
        self.kubeconfig.write_text(
            _KUBECONFIG.format(
                port=self.port, authority=self.folder / "apiserver.crt", token=_TOKEN
            ),
            encoding="ascii",
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

    def delete(self, tree):
        self.kubectl("delete", "--wait=false", "--filename=-", text_in=json.dumps(tree))

    def write(self, name, text):
        """A file that is gone with the server."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


def list_of(objects):
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}
