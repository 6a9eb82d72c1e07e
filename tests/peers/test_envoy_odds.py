"""fail: 0.3 by many requests: how many of them fail in the end is a matter of arithmetic."""

from harness import odds
from harness.case import ProgramTest
from harness.mesh import Mesh, ask_at_once

FAIL = 0.3
HOPS = 3


def residue(tries):
    """The probability that a request fails when each of three hops fails with FAIL, before it calls
    the next, and each call is made up to `tries` times: a try fails when its hop does, or when all
    tries of the call below do.
    """
    below = 0.0
    for _ in range(HOPS):
        one_try = FAIL + (1 - FAIL) * below
        below = one_try**tries
    return below


class Odds(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(Mesh(step="prod"))

    def assert_fails(self, requests, probability):
        answers = ask_at_once(self.mesh.http, [{"fail": str(FAIL)}] * requests)
        statuses = [answer.status for answer in answers]
        self.assertLessEqual(set(statuses), {200, 500})
        failed = statuses.count(500)
        lowest, highest = odds.band(requests, probability)
        self.assertTrue(
            lowest <= failed <= highest,
            f"{failed} of {requests} failed, not {lowest} to {highest} ({probability:.2%})",
        )
        return answers

    def test_the_arithmetic(self):
        self.assertAlmostEqual(residue(tries=1), 1 - 0.7**3)
        self.assertAlmostEqual(residue(tries=4), 0.00878, places=5)

    def test_before_the_retry_step_two_in_three_fail(self):
        self.mesh.must("prod")
        answers = self.assert_fails(500, residue(tries=1))
        self.assertLessEqual({answer.json["attempt"] for answer in answers}, {1})

    def test_with_retries_one_in_a_hundred_fails(self):
        self.mesh.must("retry")
        answers = self.assert_fails(2000, residue(tries=4))
        retried = [answer for answer in answers if answer.json["attempt"] > 1]
        # A try at the frontend fails by its own dice or by those below it.
        self.assertGreater(len(retried), 2000 * FAIL * 0.8)
