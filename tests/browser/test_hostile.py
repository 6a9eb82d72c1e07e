"""Whatever a stranger says is text, and the policy holds what should slip through."""

import re

from browser.chains import Stranger
from harness.browser import FAILED_ANSWERS, BrowserTest, send
from playwright.sync_api import expect

ATTACKS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'--></style></script><svg onload=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
)
REFUSED = "violates the following Content Security Policy"


class Hostile(BrowserTest):
    def assert_harmless(self, page):
        """Nothing but what the page has without an attack."""
        self.assertEqual(page.locator("img, iframe, object, embed").count(), 0)
        self.assertEqual(page.locator("script, style").count(), 2)
        handlers = "all => all.some(e => [...e.attributes].some(a => a.name.startsWith('on')))"
        self.assertFalse(page.locator("*").evaluate_all(handlers))

    def test_a_query_stays_text(self):
        hop = self.hop("frontend")
        for attack in ATTACKS:
            with self.subTest(attack):
                page = self.visit(hop.http_uri, fail=attack, delay=attack, x_dev_user=attack)
                for name in ("fail", "delay", "x-dev-user"):
                    expect(page.get_by_label(name)).to_have_value(attack)
                expect(page.locator("header .warning")).to_contain_text("ignored")
                send(page, 1)
                self.assert_harmless(page)

    def test_names_and_bodies_stay_text_also_when_the_script_puts_them_in_place(self):
        self.tolerated = FAILED_ANSWERS
        for attack in ATTACKS:
            with self.subTest(attack):
                stranger = self.start(Stranger(attack.encode()))
                last = self.hop("backend", SERVICE_NAME=attack)
                upstreams = [stranger.uri, last.grpc_uri]
                hop = self.hop("frontend", upstream=upstreams, SERVICE_NAME=attack)
                page = self.visit(hop.http_uri)
                expect(page.locator("h1")).to_contain_text(attack)
                expect(page.locator("pre")).to_have_text(attack)
                page.get_by_label("fail").fill("backend=1")
                send(page, 20)
                expect(page.locator(".failures")).to_contain_text(f"20 × {attack}: INTERNAL")
                self.assertTrue(page.title().startswith(attack))
                self.assert_harmless(page)

    def test_what_a_proxy_says_stays_text(self):
        self.tolerated = FAILED_ANSWERS
        page = self.visit(self.hop("frontend").http_uri)
        body = f"upstream {ATTACKS[1]} {ATTACKS[3]}"
        page.route("**/*", lambda route: route.fulfill(status=503, body=body))
        send(page, 1)
        expect(page.locator(".failures")).to_contain_text("upstream \"> {{constructor")
        self.assert_harmless(page)

    def test_the_policy_refuses_what_the_page_did_not_bring(self):
        self.tolerated = f"{REFUSED}|Refused to|blocked"
        page = self.visit(self.hop("frontend").http_uri)
        page.evaluate(
            """() => {
              for (const tag of ["script", "style"]) {
                const element = document.createElement(tag);
                element.textContent = tag === "script" ? "window.ran = 1" : "body { color: red }";
                document.body.append(element);
              }
              document.body.insertAdjacentHTML("beforeend", "<p style='color: red' onclick='1'>");
              return fetch("http://127.0.0.1:1/").catch(() => {});
            }"""
        )
        self.assertIsNone(page.evaluate("window.ran || null"))
        colour = page.evaluate("getComputedStyle(document.body).color")
        self.assertNotEqual(colour, "rgb(255, 0, 0)")
        for directive in ("script-src", "style-src", "connect-src"):
            refusal = re.compile(f"{REFUSED}.*{directive}", re.DOTALL)
            self.assertTrue(any(map(refusal.search, self.complaints)), (directive, self.complaints))
        self.complaints.clear()
