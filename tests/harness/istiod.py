"""Istio's control plane, beside a cluster: https://istio.io. Proxies ask it without TLS; the
switches are those that Envoy as it is published needs, which has none of Istio's own filters.
"""

import os

import yaml

from harness import http
from harness.daemon import Daemon
from harness.pod_network import NODE

XDS_PORT = 15010
_HTTP_PORT, _MONITORING_PORT = 15080, 15014
_START_PATIENCE_S = 60

# Nobody is injected, certificates are the tests' own.
_ENVIRONMENT = {
    "CLUSTER_ID": "Kubernetes",
    "ENABLE_CA_SERVER": "false",
    "PILOT_CERT_PROVIDER": "none",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_DEBOUNCE_AFTER": "20ms",
    "POD_NAMESPACE": "istio-system",
}


class Istiod(Daemon):
    def __init__(self, cluster, extension_providers, **features):
        folder = cluster.folder
        configuration = {"extensionProviders": extension_providers}
        (folder / "mesh.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        super().__init__(
            folder,
            "pilot-discovery",
            "discovery",
            f"--kubeconfig={cluster.kubeconfig}",
            f"--meshConfig={folder}/mesh.yaml",
            f"--grpcAddr={NODE}:{XDS_PORT}",
            f"--httpAddr=127.0.0.1:{_HTTP_PORT}",
            f"--monitoringAddr=127.0.0.1:{_MONITORING_PORT}",
            "--secureGRPCAddr=",
            "--httpsAddr=",
            environment={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                **_ENVIRONMENT,
                **features,
            },
        )
        self.wait_until(
            lambda: http.get(_HTTP_PORT, "/ready").status == 200, "is ready", _START_PATIENCE_S
        )

    def debug(self, what):
        """A page of /debug, as a tree."""
        answer = http.get(_HTTP_PORT, f"/debug/{what}")
        assert answer.status == 200, answer
        return answer.json
