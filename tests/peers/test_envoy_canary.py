"""The canary step with the real Envoy: who says the secret word gets the canary, and nobody else,
not once. The frontend, which is asked over HTTP, passes the word on over gRPC; its sidecar decides.
"""

import random

from harness import odds, rpc, tree
from harness.case import ProgramTest
from harness.istio import header, to, versions, virtual_service
from harness.mesh import Mesh, ask_at_once

WORD = "super-secret"
NEAR_MISSES = (
    "super-secre", "super-secrets", "xsuper-secret", "Super-Secret", "SUPER-SECRET", "super secret",
    "super_secret", "super-secret,super-secret", "super-secret;q=1", '"super-secret"',
    "super-secr\u00e9t", "", "*", ".*",
)  # fmt: skip
EACH = 500


def user(word):
    return {"x-dev-user": word.encode("latin-1")}


def middleware(answer):
    """The version that took part."""
    reply = tree.from_json(answer.json)
    assert tree.path(reply)[::2] == ["frontend-prod", "backend-prod"], answer
    return reply.upstreams[0].hop.version


class Canary(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(Mesh(step="canary"))

    def setUp(self):
        self.mesh.must("canary")

    def versions_met(self, requests):
        """The versions that these requests met, all mixed on the same connections; by request."""
        order = random.sample(range(len(requests)), len(requests))
        answers = ask_at_once(self.mesh.http, [requests[number] for number in order])
        met = [None] * len(requests)
        for number, answer in zip(order, answers):
            self.assertEqual(answer.status, 200, answer)
            met[number] = middleware(answer)
        return met

    def test_1500_requests_each_right(self):
        wrong = [user(NEAR_MISSES[number % len(NEAR_MISSES)]) for number in range(EACH)]
        before = self.mesh.calls()
        met = self.versions_met([user(WORD)] * EACH + [{}] * EACH + wrong)
        self.assertEqual(met, ["canary"] * EACH + ["prod"] * 2 * EACH)
        # The hops themselves say so, too: nobody else was asked, and nobody twice.
        calls = self.mesh.calls() - before
        self.assertEqual(calls["middleware-canary"], EACH)
        self.assertEqual(calls["middleware-prod"], 2 * EACH)
        self.assertEqual(calls["backend-prod"], 3 * EACH)

    def test_the_header_s_name_is_of_any_case_and_blanks_around_its_value_are_none(self):
        for headers in ({"X-Dev-User": WORD}, {"X-DEV-USER": f"  {WORD} \t"}):
            self.assertEqual(middleware(self.mesh.get(headers)), "canary", headers)

    def test_said_twice_it_is_another_value(self):
        headers = [("x-dev-user", WORD), ("x-dev-user", WORD)]
        self.assertEqual(middleware(self.mesh.get(headers)), "prod")

    def test_who_asks_by_grpc_gets_the_same(self):
        for metadata, version in (([("x-dev-user", WORD)], "canary"), ([], "prod")):
            reply = rpc.call(self.mesh.grpc, metadata).reply
            self.assertEqual(reply.upstreams[0].hop.version, version)

    def test_a_failed_canary_is_tried_again_and_not_replaced(self):
        answer, calls = self.mesh.cost({**user(WORD), "fail": "middleware=first-2"})
        self.assertEqual(middleware(answer), "canary")
        self.assertEqual((calls["middleware-canary"], "middleware-prod" in calls), (3, False))
        answer, calls = self.mesh.cost({**user(WORD), "fail": "middleware/canary=1"})
        self.assertEqual(answer.status, 500)
        self.assertNotIn("middleware-prod", calls)

    def test_by_prefix_and_the_first_match_counts(self):
        prod, canary = to("middleware", "prod"), to("middleware", "canary")
        self.mesh.change_rules(
            versions("middleware", "prod", "canary"),
            virtual_service(
                "middleware",
                {"match": [header("x-dev-user", exact="dev-prod")], "route": [prod]},
                {"match": [header("x-dev-user", prefix="dev-")], "route": [canary]},
                {"route": [prod]},
            ),
        )
        for word, version in (
            ("dev-prod", "prod"), ("dev-other", "canary"), ("dev-", "canary"), ("dev", "prod"),
            ("xdev-other", "prod"), (WORD, "prod"),
        ):  # fmt: skip
            self.assertEqual(middleware(self.mesh.get(user(word))), version, word)

    def test_weights_divide(self):
        choices = [to("middleware", "prod", 80), to("middleware", "canary", 20)]
        self.mesh.change_rules(virtual_service("middleware", {"route": choices}))
        lowest, highest = odds.band(EACH, 0.2)
        count = self.versions_met([{}] * EACH).count("canary")
        self.assertTrue(lowest <= count <= highest, f"{count}, not {lowest} to {highest}")
        choices = [to("middleware", "prod", 0), to("middleware", "canary", 100)]
        self.mesh.change_rules(virtual_service("middleware", {"route": choices}))
        self.assertEqual(set(self.versions_met([{}] * 50)), {"canary"})
