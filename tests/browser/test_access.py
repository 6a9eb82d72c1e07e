"""The page for those who use a keyboard, or have it read to them."""

import re

from browser.chains import TwoVersions
from harness.browser import FAILED_ANSWERS, BrowserTest, send, shares, wait_until_sent
from playwright.sync_api import expect

FOCUSED = """() => {
  const it = document.activeElement;
  return it.name || it.textContent.trim().split("\\n")[0];
}"""


class Access(BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chain = cls.start_shared(TwoVersions(TRACE_URL="http://127.0.0.1:1/{trace_id}"))
        cls.base_url = cls.chain.base_url

    def test_it_has_one_title_and_landmarks(self):
        page = self.visit()
        for role, count in (("banner", 1), ("main", 1), ("contentinfo", 1), ("form", 1)):
            self.assertEqual(page.get_by_role(role).count(), count, role)
        self.assertEqual(page.get_by_role("heading", level=1).count(), 1)
        self.assertEqual(page.locator("html").get_attribute("lang"), "en")
        for name in ("The chain", "Ask again", "Who answered", "Where the time went"):
            expect(page.get_by_role("heading", name=name, level=2)).to_be_visible()

    def test_what_is_read_out_is_what_is_to_be_known(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="backend=1")
        self.assertRegex(
            page.get_by_role("region", name="The chain").aria_snapshot(),
            re.compile(
                r"frontend-prod.*failed in turn.*called by gRPC.*middleware-(prod|canary)"
                r".*failed in turn.*called by gRPC.*backend-prod.*failed here:.*INTERNAL",
                re.DOTALL,
            ),
        )
        rows = page.get_by_role("table").first.get_by_role("row")
        expect(rows.first.get_by_role("columnheader")).to_have_text(
            ["Hop", "At work", "Waiting", "Total"]
        )
        for row, name in zip(rows.all()[1:], ("frontend", "middleware", "backend"), strict=True):
            expect(row.get_by_role("rowheader")).to_contain_text(name)

    def test_every_control_has_a_name_and_says_what_it_is_for(self):
        page = self.visit()
        for name, purpose, example in (
            ("fail", "what shall go wrong", "backend=1"),
            ("delay", "what shall be slow", "200ms"),
            ("x-dev-user", "who asks", "super-secret"),
        ):
            box = page.get_by_role("textbox", name=re.compile(f"^{name} {purpose}"))
            expect(box).to_have_count(1)
            expect(box).to_have_accessible_description(re.compile(re.escape(example)))
        for control in page.get_by_role("button").all():
            expect(control).to_have_accessible_name(re.compile(r"\w"))

    def test_the_outcome_is_announced(self):
        page = self.visit()
        send(page, 20)
        expect(page.get_by_role("status")).to_have_text("20 requests: 10 prod, 10 canary.")
        expect(page.get_by_role("img", name=re.compile("square for each request"))).to_have_count(1)
        self.assertEqual(page.get_by_role("row", name=re.compile("^canary 10 50 %")).count(), 1)

    def test_the_keyboard_reaches_everything_in_order(self):
        page = self.visit()
        reached = []
        while not reached or reached[-1] != "Clear":
            self.assertLess(len(reached), 30)
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        wanted = ["its answer", "fail", "0.3", "first-2", "delay", "200ms", "x-dev-user"]
        wanted += ["super-secret", "Send 1", "Send 20", "Send 100", "Clear"]
        self.assertEqual([name for name in reached if name in wanted], wanted)

    def test_focus_is_seen(self):
        page = self.visit()
        for _ in range(12):
            page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outline")
            self.assertNotIn("none", outline)

    def test_the_keyboard_alone_sends_and_stops(self):
        page = self.visit()
        page.get_by_label("delay").focus()
        page.keyboard.type("frontend=50ms")
        page.keyboard.press("Enter")
        wait_until_sent(page)
        self.assertEqual(sum(shares(page).values()), 1)
        page.get_by_role("button", name="Send 100").focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate(FOCUSED), "Stop")
        page.keyboard.press("Enter")
        expect(page.locator("#summary")).to_contain_text("Stopped after")
        self.assertEqual(page.evaluate(FOCUSED), "Send 1")

    def test_nothing_moves_for_those_who_do_not_want_it(self):
        page = self.visit()
        page.emulate_media(reduced_motion="reduce")
        page.get_by_role("button", name="Send 20").click()
        self.assertEqual(page.evaluate("document.getAnimations().length"), 0)
        wait_until_sent(page)
