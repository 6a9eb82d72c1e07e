"""The page's headers: it may do what it brings along, and nothing else."""

import base64
import hashlib
import re

from harness import http
from harness.case import ProgramTest

HTML = {"Accept": "text/html"}
PAGE_ONLY = ("content-security-policy", "x-content-type-options", "referrer-policy")


def between(text, begin, end):
    """All between the one `begin` and the one `end`, as the browser hashes it."""
    found = re.findall(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL)
    assert len(found) == 1, f"{len(found)} times {begin}"
    return found[0]


def sha256(text):
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def directives(policy):
    return dict(directive.strip().split(" ", 1) for directive in policy.split(";"))


class Page(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hop_under_test = cls.shared_hop("frontend")

    def get(self, headers, path="/"):
        return http.get(self.hop_under_test.http_port, path, headers)

    def test_the_policy_allows_the_style_and_the_script_by_their_hashes(self):
        page = self.get(HTML)
        self.assertEqual(
            directives(page.headers["content-security-policy"]),
            {
                "default-src": "'none'",
                "style-src": sha256(between(page.text, "<style>", "</style>")),
                "script-src": sha256(between(page.text, '<script type="module">', "</script>")),
                "connect-src": "'self'",
                "img-src": "data:",
                "form-action": "'self'",
                "base-uri": "'none'",
                "frame-ancestors": "'none'",
            },
        )

    def test_a_page_is_what_it_says_and_tells_nobody_where_a_link_came_from(self):
        page = self.get(HTML)
        self.assertEqual(page.headers["x-content-type-options"], "nosniff")
        self.assertEqual(page.headers["referrer-policy"], "no-referrer")

    def test_a_failure_has_the_same_headers(self):
        page, failure = self.get(HTML), self.get({**HTML, "fail": "1"})
        self.assertEqual(failure.status, 500)
        for name in PAGE_ONLY:
            self.assertEqual(failure.headers[name], page.headers[name])

    def test_other_forms_need_none_of_them(self):
        wishes = (("text/plain", "/"), ("application/json", "/"), ("text/html", "/time"))
        for accept, path in wishes:
            answer = self.get({"Accept": accept}, path)
            for name in PAGE_ONLY:
                self.assertNotIn(name, answer.headers)

    def test_the_form_holds_what_the_query_asked(self):
        text = self.get(HTML, "/?fail=nobody%3D1&delay=&x-dev-user=super-secret").text
        self.assertIn('name="fail" value="nobody=1"', text)
        self.assertIn('name="delay" value=""', text)
        self.assertIn('name="x-dev-user" value="super-secret"', text)
