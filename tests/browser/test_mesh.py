"""The page through the gateway of the demo: the lesson, as one sees it in a browser."""

from browser.checks import ChainChecks
from harness.browser import FAILED_ANSWERS, BrowserTest, node, nodes, send, shares
from harness.demo import Demo
from playwright.sync_api import expect


class MeshTest(BrowserTest):
    """A demo at a step of its own."""

    step = "egress"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.demo = cls.start_shared(Demo(MESH="envoy", STEP=cls.step))
        cls.demo.must("start")
        cls.base_url = f"http://localhost:{cls.demo.http}/"


class Open(ChainChecks, MeshTest):
    """What holds without a mesh, holds with one in which nothing is retried."""


class Lesson(MeshTest):
    step = "canary"

    def test_the_word_in_the_form_leads_to_the_canary(self):
        page = self.visit()
        page.get_by_label("x-dev-user").fill("super-secret")
        send(page, 20)
        self.assertEqual(shares(page), {"canary": 20})
        self.assertIn("middleware-canary", nodes(page))
        page.get_by_label("x-dev-user").fill("super-secre")
        send(page, 20)
        self.assertEqual(shares(page), {"prod": 20})

    def test_retries_are_seen_at_their_hop_and_in_the_number_of_calls(self):
        page = self.visit(fail="backend=first-2")
        expect(page.locator(".facts strong")).to_have_text("6 calls")
        expect(node(page, "backend-prod")).to_contain_text("attempt 3")
        self.screenshot(page, "mesh-retried")

    def test_a_failure_that_retries_cannot_mend_costs_84_calls(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="backend=1")
        expect(page.locator(".facts strong")).to_have_text("84 calls")
        expect(node(page, "backend-prod")).to_contain_text("attempt 4")
        expect(node(page, "backend-prod")).to_contain_text("failed here: INTERNAL")
        self.screenshot(page, "mesh-failed")


class Steps(MeshTest):
    def test_a_page_that_is_open_sees_the_steps(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit()
        self.demo.must("reset")
        send(page, 20)
        self.assertEqual(shares(page), {"failed": 20})
        expect(page.locator(".failures")).to_contain_text("no answer")
        self.demo.must("ingress")
        send(page, 1)
        expect(page.locator(".node").last).to_contain_text("502 Bad Gateway")
        self.demo.must("prod")
        send(page, 20)
        self.assertEqual(shares(page), {"prod": 20})


