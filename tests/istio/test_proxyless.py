"""grpcurl as a client that istiod itself tells where to go (xds:///), without a proxy of its own:
it meets prod and canary as the lesson has it, and makes failed calls again as the retry step says.
It shows the frontend's certificate, for the hops behind their sidecars take nothing else.
"""

import json
import unittest

from harness import build
from harness.case import ProgramTest
from harness.istio_cluster import NAMESPACE
from harness.istio_mesh import CLIENT, IstioMesh
from harness.istiod import XDS_PORT
from harness.pod_network import NODE
from harness.wait import eventually

DOMAIN = f"{NAMESPACE}.svc.cluster.local"
TARGET = f"xds:///middleware.{DOMAIN}:9090"
SECRET = "x-dev-user: super-secret"
TIMES = 10


class Proxyless(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(IstioMesh())
        cls.identity = cls.mesh.authority.identity(NAMESPACE, "frontend")

    def bootstrap(self):
        """Of gRPC's own xDS client."""
        client = self.mesh.pod(CLIENT)
        files = {
            "certificate_file": str(self.identity.certificate),
            "private_key_file": str(self.identity.key),
            "ca_certificate_file": str(self.mesh.authority.root.certificate),
        }
        return {
            "xds_servers": [
                {
                    "server_uri": f"{NODE}:{XDS_PORT}",
                    "channel_creds": [{"type": "insecure"}],
                    "server_features": ["xds_v3"],
                }
            ],
            "certificate_providers": {"default": {"plugin_name": "file_watcher", "config": files}},
            "node": {
                "id": f"sidecar~{client.address}~{CLIENT}.{NAMESPACE}~{DOMAIN}",
                "metadata": {
                    "CLUSTER_ID": "Kubernetes",
                    "GENERATOR": "grpc",
                    "INSTANCE_IPS": client.address,
                    "LABELS": client.labels,
                    "NAMESPACE": NAMESPACE,
                },
            },
        }

    def grpcurl(self, *headers, target=TARGET, tls=True):
        """The completed process of a call. grpcurl does not look at the hop's certificate: the name
        in it is no host's, as it is anywhere in a mesh.
        """
        words = [build.tool("grpcurl"), "-max-time", "30"]
        if tls:
            words += ["-insecure", "-cert", self.identity.certificate, "-key", self.identity.key]
        else:
            words.append("-plaintext")
        words += ["-protoset", build.folder() / "proto/descriptors.binpb"]
        words += [word for header in headers for word in ("-H", header)]
        environment = {"GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(self.bootstrap())}
        client = self.mesh.pod(CLIENT)
        return client.sandbox.run(*words, target, "tracehop.v1.Hop/Call", environment=environment)

    def call(self, *headers, **how):
        ended = self.grpcurl(*headers, **how)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)

    def versions_met(self, *headers, **how):
        return {self.call(*headers, **how)["name"] for _ in range(TIMES)}

    def test_at_egress_both_versions_are_met(self):
        self.mesh.go("egress")
        both = {"middleware-prod", "middleware-canary"}
        eventually(lambda: self.versions_met(tls=False) == both, "both versions are met")

    def test_at_prod_only_prod(self):
        self.mesh.go("prod")
        self.assertEqual(self.versions_met(SECRET), {"middleware-prod"})

    def test_at_canary_the_header_decides(self):
        self.mesh.go("canary")
        self.assertEqual(self.versions_met(SECRET), {"middleware-canary"})
        self.assertEqual(self.versions_met("x-dev-user: somebody"), {"middleware-prod"})
        self.assertEqual(self.versions_met(), {"middleware-prod"})

    def test_before_retry_a_failed_call_is_not_made_again(self):
        self.mesh.go("prod")
        ended = self.grpcurl("fail: middleware=first-2", "x-request-id: before-retry")
        self.assertIn("Code: Internal", ended.stderr)
        self.assertIn('"attempt": 1', ended.stderr)

    def test_at_retry_a_failed_call_is_made_again_up_to_three_times(self):
        self.mesh.go("retry")
        reply = self.call("fail: middleware=first-2", "x-request-id: third-try")
        self.assertEqual(reply["attempt"], 3)
        reply = self.call("fail: middleware=first-3", "x-request-id: fourth-try")
        self.assertEqual(reply["attempt"], 4)
        ended = self.grpcurl("fail: middleware=1", "x-request-id: no-fifth-try")
        self.assertIn("Code: Internal", ended.stderr)
        self.assertIn('"attempt": 4', ended.stderr)

    def test_whoever_may_not_call_is_denied(self):
        self.mesh.go("canary")
        ended = self.grpcurl(target=f"xds:///backend.{DOMAIN}:9090")
        self.assertIn("Code: PermissionDenied", ended.stderr)


if __name__ == "__main__":
    unittest.main()
