"""A real Kubernetes API server with its etcd, and nothing else of a cluster: objects are checked and
kept, and nothing comes of them.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

from harness import build
from harness.network import free_ranges
from harness.wait import eventually

_TOKEN = "administrator"
_SERVER_FLAGS = (
    "--bind-address=127.0.0.1",
    "--service-cluster-ip-range=10.0.0.0/16",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--authorization-mode=RBAC",
    # Nobody makes service accounts here, and nobody takes part in the cluster's own Service.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
)


class ApiServer(contextlib.ExitStack):
    def __init__(self):
        super().__init__()
        (first,) = free_ranges(1, 3)
        with contextlib.ExitStack() as starting:
            temporary = tempfile.TemporaryDirectory(prefix="tracehop-cluster-")
            self._folder = pathlib.Path(starting.enter_context(temporary))
            self._write_credentials(port=first + 2)
            self._start(starting, "etcd", *etcd_flags(self._folder, first, first + 1))
            self._start(
                starting,
                "kube-apiserver",
                *_SERVER_FLAGS,
                f"--etcd-servers=http://127.0.0.1:{first}",
                f"--secure-port={first + 2}",
                f"--cert-dir={self._folder / 'certificates'}",
                f"--token-auth-file={self._folder / 'tokens.csv'}",
                f"--service-account-signing-key-file={self._folder / 'accounts.key'}",
                f"--service-account-key-file={self._folder / 'accounts.key'}",
            )
            eventually(self._is_ready, f"the API server is ready: {self._log('kube-apiserver')}")
            self.push(starting.pop_all())

    def _write_credentials(self, port):
        (self._folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
        subprocess.run(
            ["openssl", "genrsa", "-out", self._folder / "accounts.key", "2048"],
            check=True,
            capture_output=True,
        )
        self.kubeconfig = self._folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(kubeconfig(port)))

    def _start(self, starting, name, *flags):
        log = starting.enter_context(open(self._folder / f"{name}.log", "wb"))
        process = subprocess.Popen(
            [build.tool(name), *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        starting.callback(process.wait)
        starting.callback(process.kill)

    def _log(self, name):
        return (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def _is_ready(self):
        return self.run("kubectl", "get", "--raw", "/readyz").returncode == 0

    def run(self, program, *arguments, text=None):
        """A program that talks to this server, and leaves nothing at home."""
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig, "HOME": self._folder}
        return subprocess.run(
            [build.tool(program), *arguments],
            env=environment,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, name, text):
        """A file that is gone with the server."""
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def kubectl(self, *arguments, text=None):
        ended = self.run("kubectl", *arguments, text=text)
        if ended.returncode != 0:
            raise AssertionError(ended.stderr)
        return ended.stdout

    def apply_files(self, path):
        self.kubectl("apply", "--server-side", "-f", path)

    def apply(self, objects):
        """A field that the server does not know is refused."""
        self.kubectl("apply", "--server-side", "-f", "-", text=list_of(objects))

    def delete(self, objects):
        self.kubectl("delete", "--wait=false", "-f", "-", text=list_of(objects))


def etcd_flags(folder, port, peer_port):
    at, peers_at = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return (
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={at}",
        f"--advertise-client-urls={at}",
        f"--listen-peer-urls={peers_at}",
        f"--initial-advertise-peer-urls={peers_at}",
        f"--initial-cluster=default={peers_at}",
    )


def kubeconfig(port):
    server = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": server}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
        "current-context": "here",
    }


def list_of(objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
