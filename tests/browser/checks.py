"""What holds for any chain frontend -> middleware (prod, canary) -> backend -> clock, reached
directly or through a gateway: `from browser.checks import ChainChecks`. Mixed into a BrowserTest
whose `base_url` is that of the chain's page.
"""

import re

from playwright.sync_api import expect

from harness.browser import FAILED_ANSWERS, failures, node, nodes, send, shares


class ChainChecks:
    def test_the_whole_chain_is_shown(self):
        page = self.visit()
        names = nodes(page)
        self.assertEqual(names[0], "frontend-prod")
        self.assertIn(names[1], ("middleware-prod", "middleware-canary"))
        self.assertEqual(names[2], "backend-prod")
        self.assertRegex(names[3], "/time$")
        expect(page.locator("h1")).to_have_text(re.compile(r"^frontend-prod answered in [\d.]+ "))

    def test_each_version_has_its_share(self):
        page = self.visit()
        send(page, 20)
        counts = shares(page)
        self.assertEqual(set(counts), {"prod", "canary"})
        self.assertEqual(sum(counts.values()), 20)

    def test_a_failure_is_named_at_its_hop(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="backend=1")
        expect(node(page, "backend-prod")).to_contain_text("failed here: INTERNAL")
        expect(node(page, "frontend-prod")).to_contain_text("failed in turn")

    def test_every_failure_is_counted(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="backend=1")
        send(page, 20)
        self.assertEqual(shares(page), {"failed": 20})
        self.assertEqual(sum(failures(page).values()), 20)
