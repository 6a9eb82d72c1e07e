"""Who may talk to whom, from step prod on: plaintext is refused, and so is a wrong identity, by
real certificates and the real proxies. Before that step everybody may call everybody.
"""

import json
import re
import unittest

from harness import build
from harness.case import ProgramTest
from harness.identities import Authority
from harness.istio_cluster import NAMESPACE, OUTSIDE
from harness.istio_mesh import CLIENT, IstioMesh

STRANGERS = ((CLIENT, NAMESPACE), ("clock-prod", OUTSIDE))


class Identities(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(IstioMesh())

    def call(self, uri, name, namespace=NAMESPACE):
        """What a hop's own client is told in a pod."""
        pod = self.mesh.pod(name, namespace)
        return pod.sandbox.run(build.program("tracehop-server"), "--call", uri, environment={})

    def curl(self, *words, name=CLIENT, namespace=NAMESPACE):
        """The HTTP status, 0 if there is none, and the body, or what was wrong."""
        sandbox = self.mesh.pod(name, namespace).sandbox
        options = ("--http1.1", "-sSk", "--max-time", "20", "-w", "\n%{http_code}")
        told = sandbox.run("curl", *options, *words)
        body, _, status = told.stdout.rpartition("\n")
        return int(status), told.stderr if told.returncode else body

    def curl_as(self, identity=None):
        """The HTTP port of a hop over TLS, from where no proxy is."""
        certificate = ("--cert", identity.certificate, "--key", identity.key) if identity else ()
        return self.curl(*certificate, f"https://{self.mesh.pod('middleware-prod').address}:8080/")

    def assert_reset(self, told):
        self.assertEqual(told[0], 0)
        self.assertIn("Connection reset by peer", told[1])

    def assert_denied(self, ended):
        self.assertEqual(ended.returncode, 1, ended)
        self.assertIn("failed: PERMISSION_DENIED: RBAC: access denied", ended.stdout)

    def test_before_prod_plaintext_is_taken(self):
        self.mesh.go("egress")
        for stranger in STRANGERS:
            with self.subTest(stranger):
                self.assertEqual(self.call("grpc://middleware.demo:9090", *stranger).returncode, 0)

    def test_plaintext_is_refused(self):
        self.mesh.go("prod")
        address = self.mesh.pod("middleware-prod").address
        for stranger in STRANGERS:
            with self.subTest(stranger):
                ended = self.call("grpc://middleware.demo:9090", *stranger)
                self.assertEqual(ended.returncode, 1)
                self.assertIn("UNAVAILABLE", ended.stdout)
                self.assertIn("Connection reset by peer", ended.stdout)
                name, namespace = stranger
                uri = f"http://{address}:8080/"
                self.assert_reset(self.curl(uri, name=name, namespace=namespace))

    def test_a_call_over_tls_needs_the_certificate_of_who_may_call(self):
        self.mesh.go("prod")
        for account, http_status in (("frontend", 200), ("middleware", 200), ("backend", 403)):
            with self.subTest(account):
                identity = self.mesh.authority.identity(NAMESPACE, account)
                self.assertEqual(self.curl_as(identity)[0], http_status)
        elsewhere = self.mesh.authority.identity(OUTSIDE, "frontend")
        self.assertEqual(self.curl_as(elsewhere), (403, "RBAC: access denied"))

    def test_a_certificate_of_another_authority_is_refused_and_so_is_none(self):
        self.mesh.go("prod")
        folder = self.mesh.cluster.folder / "others"
        folder.mkdir()
        sidecar = self.mesh.pod("middleware-prod").sidecar
        for identity, count in (
            (Authority(folder).identity(NAMESPACE, "frontend"), "fail_verify_error"),
            (None, "fail_verify_no_cert"),
        ):
            name = rf"listener\.0\.0\.0\.0_15006\.ssl\.{count}"
            before = sidecar.statistics(name)
            self.assertEqual(self.curl_as(identity)[0], 0)
            self.assertEqual(sidecar.statistics(name), before + 1)

    def test_a_hop_that_is_not_a_caller_is_denied(self):
        self.mesh.go("canary")
        self.assert_denied(self.call("grpc://middleware:9090", "backend-prod"))
        self.assert_denied(self.call("grpc://backend:9090", "frontend-prod"))
        for uri in ("http://middleware-canary:8080/", "http://frontend-prod:8080/"):
            self.assertEqual(self.curl(uri, name="backend-prod"), (403, "RBAC: access denied"))

    def test_a_hop_that_is_a_caller_is_let_in(self):
        self.mesh.go("canary")
        for uri, caller in (
            ("grpc://middleware:9090", "frontend-prod"),
            ("grpc://backend:9090", "middleware-canary"),
            ("http://middleware-canary:8080/", "frontend-prod"),
            ("grpc://middleware:9090", "middleware-prod"),  # as helm test does
        ):
            with self.subTest(uri, caller=caller):
                ended = self.call(uri, caller)
                self.assertEqual(ended.returncode, 0, ended.stdout)

    def test_admin_ports_take_plaintext_of_everybody(self):
        self.mesh.go("canary")
        for port, pods in ((9464, ("frontend-prod", "middleware-canary", "backend-prod")),
                           (9465, ("collector",))):  # fmt: skip
            for pod in pods:
                for name, namespace in STRANGERS:
                    with self.subTest(pod, asked_by=name):
                        uri = f"http://{self.mesh.pod(pod).address}:{port}/metrics"
                        status, body = self.curl(uri, name=name, namespace=namespace)
                        self.assertEqual(status, 200, body)
                        self.assertRegex(body, re.compile(r"^tracehop_", re.MULTILINE))

    def test_the_collector_takes_spans_of_the_mesh_only(self):
        self.mesh.go("canary")
        spans = ("-H", "content-type: application/json", "-d", json.dumps({}))
        self.assert_reset(self.curl(*spans, "http://collector:4318/v1/traces"))
        told = self.curl(*spans, "http://collector:4318/v1/traces", name="backend-prod")
        self.assertEqual(told[0], 200, told)


if __name__ == "__main__":
    unittest.main()
