"""Debian's Chromium, driven by Playwright. Needs the Python of .tools/wheels/playwright:
tests/browser/run sees to that.
"""

import os
import pathlib
import re
import urllib.parse

from playwright.sync_api import expect, sync_playwright

from harness.case import ProgramTest
from harness.wait import PATIENCE_S

CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}

# What Chromium itself says of an answer that is a failure; some tests want just that.
FAILED_ANSWERS = r"Failed to load resource: (the server responded with a status of [45]|net::ERR_)"


class BrowserTest(ProgramTest):
    """One browser for the tests of a class; each page that a test opens is a new visitor's. A test
    fails when its page complains: an error, a warning, a dialog, a violation of the policy (which
    Chromium reports as an error), a request to anywhere else than where the page came from.

    A class says in `base_url` where the page is: of a hop, or of a gateway before it.
    """

    base_url = None
    tolerated = None  # a regular expression: complaints that a test expects

    @classmethod
    def setUpClass(cls):
        expect.set_options(timeout=PATIENCE_S * 1000)
        playwright = cls.start_shared(sync_playwright())
        cls.browser = cls.start_shared(
            playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        )

    def setUp(self):
        self.complaints = []
        self.addCleanup(self._assert_no_complaints)

    def _assert_no_complaints(self):
        wild = [
            complaint
            for complaint in self.complaints
            if not (self.tolerated and re.search(self.tolerated, complaint))
        ]
        self.assertEqual(wild, [])

    def visit(
        self, base_url=None, *, viewport=WIDE, script=True, scheme="light", headers=(), **query
    ):
        """The page of a new visitor, who asks for `query`: x_dev_user means x-dev-user."""
        context = self.browser.new_context(
            viewport=viewport,
            java_script_enabled=script,
            color_scheme=scheme,
            extra_http_headers=dict(headers),
        )
        page = self.start(context).new_page()
        self._watch(page)
        pairs = {name.replace("_", "-"): value for name, value in query.items()}
        url = base_url or self.base_url
        page.goto(f"{url}?{urllib.parse.urlencode(pairs)}" if pairs else url)
        return page

    def _watch(self, page):
        def complain(what):
            self.complaints.append(what)

        def check_origin(request):
            own = urllib.parse.urlsplit(page.url)
            other = urllib.parse.urlsplit(request.url)
            if other.scheme != "data" and own.netloc and own.netloc != other.netloc:
                complain(f"a request to {request.url}")

        page.on("console", lambda m: m.type in ("error", "warning") and complain(m.text))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("dialog", lambda dialog: (complain(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", check_origin)

    def screenshot(self, page, name):
        """To the folder SCREENSHOTS, for people to look at; nowhere without it."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            page.screenshot(path=pathlib.Path(folder) / f"{name}.png", full_page=True)


def send(page, count):
    """Presses the button, and waits until all is answered."""
    page.get_by_role("button", name=f"Send {count}", exact=True).click()
    wait_until_sent(page)


def wait_until_sent(page):
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator("#summary")).to_contain_text(re.compile(r"\d requests?[:.]"))


def shares(page):
    """Of the chart: how many requests had which share."""
    return {
        row.locator("th").inner_text(): int(row.locator(".number").inner_text())
        for row in page.locator("table.shares tr").all()
    }


def failures(page):
    """Of the list below it: how often something failed."""
    pairs = (item.inner_text().split(" × ") for item in page.locator(".failures li").all())
    return {failure: int(count) for count, failure in pairs}


def nodes(page):
    """The names in the picture, in the order of the document."""
    return [heading.text_content().strip() for heading in page.locator(".node h3").all()]


def node(page, name):
    return page.locator(".node", has=page.locator("h3", has_text=re.compile(f"^{re.escape(name)}")))


def scrolls_sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")
