"""The page with JavaScript: it sends requests, and counts what became of them."""

import re

from browser.chains import TwoVersions
from browser.checks import ChainChecks
from harness.browser import (
    FAILED_ANSWERS,
    BrowserTest,
    failures,
    node,
    nodes,
    send,
    shares,
)
from playwright.sync_api import expect


def traffic_of(page):
    """Counts the page's requests from now on: in all, at once, at most at once."""
    traffic = {"sent": 0, "now": 0, "most": 0}

    def begin(_):
        traffic["sent"] += 1
        traffic["now"] += 1
        traffic["most"] = max(traffic["most"], traffic["now"])

    def end(_):
        traffic["now"] -= 1

    page.on("request", begin)
    page.on("requestfinished", end)
    page.on("requestfailed", end)
    return traffic


class Controls(ChainChecks, BrowserTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chain = cls.start_shared(TwoVersions())
        cls.base_url = cls.chain.base_url

    def test_twenty_requests_are_twenty_and_take_turns(self):
        page = self.visit()
        traffic = traffic_of(page)
        send(page, 20)
        self.assertEqual(traffic["sent"], 20)
        self.assertEqual(shares(page), {"prod": 10, "canary": 10})
        self.assertEqual(page.locator(".squares g").count(), 20)
        expect(page.locator("#summary")).to_have_text("20 requests: 10 prod, 10 canary.")
        times = re.compile(r"Median [\d.]+ m?s, slowest [\d.]+ m?s\.")
        expect(page.locator("#shares")).to_contain_text(times)

    def test_at_most_six_requests_are_under_way(self):
        page = self.visit(delay="frontend=20ms")
        traffic = traffic_of(page)
        send(page, 100)
        self.assertEqual(traffic["sent"], 100)
        self.assertEqual(traffic["most"], 6)

    def test_calls_are_summed_up(self):
        page = self.visit()
        cost = int(page.locator(".facts strong").inner_text().split()[0])
        send(page, 20)
        expect(page.locator("#shares")).to_contain_text(f"{20 * cost} calls in all")

    def test_one_request_brings_a_new_picture(self):
        page = self.visit()
        trace = page.locator(".facts code").inner_text()
        send(page, 1)
        expect(page.locator(".facts code")).not_to_have_text(trace)
        self.assertEqual(sum(shares(page).values()), 1)
        self.assertEqual(len(nodes(page)), 4)

    def test_failures_are_counted_by_hop_and_status(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit()
        page.get_by_label("fail").fill("backend=1:503")
        send(page, 20)
        self.assertEqual(shares(page), {"failed": 20})
        self.assertEqual(failures(page), {"backend-prod: UNAVAILABLE (HTTP 503)": 20})
        expect(page.locator("h1")).to_contain_text("failed")
        expect(node(page, "backend-prod")).to_contain_text("failed here")

    def test_only_the_canary_fails(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="middleware/canary=1")
        send(page, 20)
        self.assertEqual(shares(page), {"prod": 10, "failed": 10})
        self.assertEqual(failures(page), {"middleware-canary: INTERNAL (HTTP 500)": 10})

    def test_the_numbers_sum_up(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(fail="0.2")
        send(page, 100)
        counts = shares(page)
        self.assertEqual(sum(counts.values()), 100)
        self.assertEqual(sum(failures(page).values()), counts.get("failed", 0))
        self.assertEqual(page.locator(".squares path").count(), counts.get("failed", 0))
        told = page.locator("#summary").inner_text()
        self.assertEqual(told, f"100 requests: {', '.join(f'{n} {s}' for s, n in counts.items())}.")
        percents = [int(cell.inner_text().split()[0]) for cell in page.locator(".percent").all()]
        self.assertEqual(percents, list(counts.values()))
        self.screenshot(page, "hundred")

    def test_stop_stops(self):
        page = self.visit(delay="frontend=100ms")
        traffic = traffic_of(page)
        page.get_by_role("button", name="Send 100").click()
        expect(page.locator("table.shares")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Stop")).to_be_hidden()
        told = page.locator("#summary").inner_text()
        found = re.match(r"Stopped after (\d+) of 100 requests: ", told)
        self.assertTrue(found, told)
        self.assertEqual(sum(shares(page).values()), int(found[1]))
        sent = traffic["sent"]
        self.assertLess(sent, 100)
        send(page, 1)
        self.assertEqual(traffic["sent"], sent + 1)

    def test_a_new_run_takes_the_place_of_the_old(self):
        page = self.visit(delay="frontend=100ms")
        page.get_by_role("button", name="Send 100").click()
        expect(page.locator("table.shares")).to_be_visible()
        send(page, 20)
        self.assertEqual(sum(shares(page).values()), 20)

    def test_the_address_follows_the_form(self):
        page = self.visit()
        page.get_by_label("delay").fill("1ms")
        expect(page).to_have_url(f"{self.base_url}?delay=1ms")
        page.get_by_role("button", name="super-secret").click()
        expect(page).to_have_url(f"{self.base_url}?delay=1ms&x-dev-user=super-secret")
        page.reload()
        expect(page.get_by_label("x-dev-user")).to_have_value("super-secret")
        page.get_by_role("link", name="Clear").click()
        expect(page).to_have_url(self.base_url)
        expect(page.get_by_label("delay")).to_have_value("")

    def test_what_is_no_page_of_ours_counts_as_failed(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit()
        html = "<b>hello</b><script>x</script>"
        for answer in (
            {"status": 503, "content_type": "text/plain", "body": "no healthy upstream"},
            {"status": 200, "content_type": "text/html", "body": html},
        ):
            page.route("**/*", lambda route, _, answer=answer: route.fulfill(**answer), times=1)
            send(page, 1)
            self.assertEqual(shares(page), {"failed": 1})
            start = f"not the chain: HTTP {answer['status']}, “"
            expect(page.locator(".failures")).to_contain_text(start)
            expect(page.locator("#notice")).to_contain_text(start)
        self.assertEqual(len(nodes(page)), 4)
        send(page, 1)
        expect(page.locator("#notice")).to_be_hidden()

    def test_no_answer_is_a_failure_like_others(self):
        self.tolerated = FAILED_ANSWERS
        frontend = self.hop("frontend")
        page = self.visit(frontend.http_uri)
        frontend.stop()
        send(page, 20)
        self.assertEqual(shares(page), {"failed": 20})
        self.assertEqual(failures(page), {"no answer": 20})
        expect(page.locator("#notice")).to_contain_text("The last request: no answer")
        self.screenshot(page, "no-answer")
