"""helm test in the mesh: its pods have a sidecar and the service account of their role, so what they
ask passes the mesh's rules, or is refused by them.
"""

import concurrent.futures
import unittest

from harness.case import ProgramTest
from harness.istio_cluster import NAMESPACE
from harness.istio_mesh import IstioMesh
from harness.wait import eventually


class HelmTest(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(IstioMesh())

    def helm_test(self, release):
        """What helm says, and what each pod of the test has printed."""
        printed = {}
        words = ("test", release, "--namespace", NAMESPACE, "--timeout", "60s")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            said = pool.submit(self.mesh.cluster.run, "helm", *words, check=False)

            def run_tests():
                printed.update(self.mesh.run_tasks())
                return said.done()

            eventually(run_tests, f"helm test {release} ends")
        return said.result(), printed

    def test_each_release_passes_at_each_step(self):
        for step in ("egress", "canary"):
            self.mesh.go(step)
            for release, asked in (
                ("frontend-prod", ("grpc", "http")),
                ("middleware-canary", ("grpc", "http")),
                ("backend-prod", ("grpc", "http")),
                ("collector", ("ready",)),
            ):
                with self.subTest(release, step=step):
                    ended, printed = self.helm_test(release)
                    self.assertEqual(ended.returncode, 0, (ended.stderr, printed))
                    self.assertEqual(
                        tuple(printed), tuple(f"{release}-test-{what}" for what in asked)
                    )

    def test_it_fails_where_the_rules_of_the_mesh_keep_hops_apart(self):
        self.mesh.go("prod", authorization={"callers": {"backend": ["frontend"]}})
        self.mesh.restart_proxies()
        ended, printed = self.helm_test("frontend-prod")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("PERMISSION_DENIED", printed["frontend-prod-test-grpc"])


if __name__ == "__main__":
    unittest.main()
