"""The page without JavaScript: all is there, and a form asks for more."""

import re

from browser.chains import TwoVersions
from harness.browser import FAILED_ANSWERS, BrowserTest, node, nodes
from playwright.sync_api import expect


class Basic(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chain = cls.start_shared(TwoVersions())
        cls.base_url = cls.chain.base_url

    def visit(self, **options):
        return super().visit(script=False, **options)

    def test_versions_take_turns(self):
        page = self.visit()
        first = nodes(page)
        page.reload()
        self.assertEqual({first[1], nodes(page)[1]}, {"middleware-prod", "middleware-canary"})
        outside = self.chain.clock.time_uri.removeprefix("http://")
        for name in ("frontend-prod", "backend-prod", outside):
            self.assertIn(name, first)

    def test_only_what_works_is_offered(self):
        page = self.visit()
        buttons = [b.inner_text() for b in page.get_by_role("button").all() if b.is_visible()]
        self.assertEqual(buttons, ["Send"])
        expect(page.get_by_role("heading", name="Who answered")).to_be_hidden()

    def test_the_form_asks_and_comes_back_filled_in(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit()
        page.get_by_label("fail").fill("backend=1:503")
        page.get_by_label("x-dev-user").fill("ünï & <co>")
        page.get_by_role("button", name="Send").click()
        expect(page).to_have_url(re.compile(r"\?fail=backend%3D1%3A503&delay=&x-dev-user="))
        expect(page.get_by_label("fail")).to_have_value("backend=1:503")
        expect(page.get_by_label("x-dev-user")).to_have_value("ünï & <co>")
        expect(page.locator("h1")).to_contain_text("frontend-prod failed after")
        expect(page.locator(".failure")).to_contain_text("UNAVAILABLE at backend-prod")
        expect(node(page, "backend-prod")).to_contain_text("failed here: UNAVAILABLE")
        expect(node(page, "middleware")).to_contain_text("failed in turn")
        self.screenshot(page, "no-script")

    def test_a_delay_is_seen_where_it_was(self):
        page = self.visit(delay="backend=150ms")
        row = page.get_by_role("row", name=re.compile("^backend-prod"))
        at_least_150 = re.compile(r"^(1[5-9]\d|[2-9]\d\d|\d{4,})\.\d ms$")
        expect(row.locator("td.own")).to_have_text(at_least_150)

    def test_a_repeated_attempt_is_told_at_its_hop(self):
        page = self.visit(headers={"x-request-id": "the same twice"})
        expect(page.locator(".attempt")).to_have_count(0)
        page.reload()
        expect(node(page, "frontend-prod")).to_contain_text("attempt 2")
        expect(page.locator(".attempt")).to_have_count(1)
        self.screenshot(page, "attempt")

    def test_clear_goes_back_to_asking_nothing(self):
        page = self.visit(delay="1ms")
        page.get_by_role("link", name="Clear").click()
        expect(page.get_by_label("delay")).to_have_value("")
        expect(page.locator("h1")).to_contain_text("answered")

    def test_an_answer_from_outside_can_be_read(self):
        page = self.visit()
        page.get_by_text("its answer").click()
        expect(page.locator("pre")).to_contain_text("milliseconds_since_epoch")

    def test_an_ignored_item_is_warned_of(self):
        expect(self.visit(fail="nonsense!").locator("header .warning")).to_contain_text("nonsense!")
