"""Every call between two hops passes two real Envoys, as it would in a cluster: the sidecars of
both.
"""

from harness.case import ProgramTest
from harness.mesh import IN_MESH, Mesh, ask_at_once

REQUESTS = 60


class Traffic(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(Mesh(step="egress"))

    def proxied(self):
        """How many requests have come in and gone out, by the sidecars' count."""
        return {
            (name, way): self.downstream(name, way, "rq_total")
            for name in IN_MESH
            for way in ("inbound", "outbound")
        }

    def downstream(self, name, way, what):
        return self.mesh.statistics(f"{name}-sidecar", rf"http\.{way}\.downstream_{what}")

    def count(self, look, requests):
        before = look()
        for answer in ask_at_once(self.mesh.http, requests, workers=4):
            self.assertEqual(answer.status, 200)
        after = look()
        return {key: after[key] - before[key] for key in after}

    def test_what_a_hop_is_asked_comes_in_by_its_sidecar_and_what_it_asks_goes_out_by_it(self):
        counted = self.count(lambda: self.proxied() | self.mesh.calls(), [{}] * REQUESTS)
        self.assertEqual(
            counted["middleware-prod"] + counted["middleware-canary"], counted["backend-prod"]
        )
        self.assertEqual(counted["frontend-prod"], REQUESTS)
        self.assertEqual(counted["backend-prod"], REQUESTS)
        for name in IN_MESH:
            with self.subTest(name):
                self.assertEqual(counted[name, "inbound"], counted[name])
                self.assertEqual(counted[name, "outbound"], counted[name])

    def test_the_gateway_asks_the_frontend_only(self):
        def look():
            clusters = (r"8080\|\|frontend", ".*")
            total = r"cluster\.outbound\|{}\.upstream_rq_total"
            return {each: self.mesh.statistics("gateway", total.format(each)) for each in clusters}

        counted = self.count(look, [{}] * REQUESTS)
        self.assertEqual(set(counted.values()), {REQUESTS})

    def test_the_clock_is_asked_by_the_backend_s_sidecar(self):
        def look():
            name = r"cluster\.outbound\|8080\|\|clock\.outside\.upstream_rq_total"
            asked = {hop: self.mesh.statistics(f"{hop}-sidecar", name) for hop in IN_MESH}
            return {**asked, "clock": self.mesh.calls()["clock"]}

        self.assertEqual(
            self.count(look, [{}] * REQUESTS),
            {**dict.fromkeys(IN_MESH, 0), "backend-prod": REQUESTS, "clock": REQUESTS},
        )

    def test_tries_pass_both_sidecars_too(self):
        self.mesh.must("retry")
        counted = self.count(self.proxied, [{"fail": "backend=first-2"}] * REQUESTS)
        self.mesh.must("egress")
        # Its caller's sidecar makes three of one.
        self.assertEqual(counted["middleware-prod", "outbound"], REQUESTS)
        self.assertEqual(counted["backend-prod", "inbound"], 3 * REQUESTS)
        self.assertEqual(counted["backend-prod", "outbound"], REQUESTS)

    def test_connections_of_grpc_are_kept(self):
        """A few for all requests: a hop's to its sidecar, and the sidecars' to each other."""

        def look():
            return {
                (name, way): self.downstream(name, way, "cx_total")
                for name, way in (
                    ("middleware-prod", "inbound"),
                    ("middleware-prod", "outbound"),
                    ("backend-prod", "inbound"),
                )
            }

        self.count(look, [{}] * REQUESTS)
        self.assertEqual(set(self.count(look, [{}] * REQUESTS).values()), {0})
