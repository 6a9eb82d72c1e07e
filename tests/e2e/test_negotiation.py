"""Which form of the answer a client gets: RFC 9110, 12.5.1."""

import html.parser

from harness import http, tree
from harness.case import ProgramTest
from harness.upstreams import HttpUpstream

TEXT, JSON, HTML = "text/plain", "application/json", "text/html"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
TABLE = {
    None: TEXT,
    "": TEXT,
    "*/*": TEXT,
    "text/plain": TEXT,
    "text/*": TEXT,
    "application/json": JSON,
    "application/*": JSON,
    "text/html": HTML,
    "TEXT/HTML": HTML,
    CHROME: HTML,
    "application/json, text/html;q=0.9": JSON,
    "application/json;q=0.5, text/html;q=0.9": HTML,
    "text/html;q=0.9, application/json;q=0.91": JSON,
    "text/html;q=0, application/json": JSON,
    "text/plain;q=0, */*": JSON,
    "text/plain;q=0, application/json;q=0, */*": HTML,
    "text/*;q=0.3, text/html;q=0.7, application/json;q=0.5": HTML,
    "application/json ; q=1.0 , text/html ; q=0.999": JSON,
    "application/json;charset=utf-8": JSON,
    "image/png": TEXT,
    "image/png, application/json;q=0.001": JSON,
    "application/json;q=0": TEXT,
    "garbage": TEXT,
    "text/html;q=2": TEXT,
    "text/html;q=abc": TEXT,
    ";;;,,,;q=": TEXT,
    "text/html," * 500 + "application/json": JSON,
}


class PageCheck(html.parser.HTMLParser):
    """Counts what a page must not have, and what it must."""

    VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.external = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "action") and value and value.startswith(("http:", "https:", "//")):
                self.external.append(value)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


class Negotiation(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.last = cls.shared_hop("backend")
        cls.hop_under_test = cls.shared_hop("frontend", upstream=cls.last.grpc_uri)

    def get(self, accept, **headers):
        own = {} if accept is None else {"Accept": accept}
        return http.get(self.hop_under_test.http_port, headers={**own, **headers})

    def test_the_form_is_what_the_client_likes_best(self):
        for accept, expected in TABLE.items():
            with self.subTest(accept=accept and accept[:80]):
                answer = self.get(accept)
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers.get_content_type(), expected)
                if expected != JSON:
                    self.assertEqual(answer.headers.get_content_charset(), "utf-8")

    def test_repeated_fields_are_one_list(self):
        wishes = [("Accept", "text/plain;q=0.2"), ("Accept", "text/html;q=0.5"), ("Accept", JSON)]
        answer = http.get(self.hop_under_test.http_port, headers=wishes)
        self.assertEqual(answer.headers.get_content_type(), JSON)

    def test_each_form_has_the_same_names_in_it(self):
        for accept in (TEXT, JSON, HTML):
            answer = self.get(accept)
            for name in ("frontend-prod", "backend-prod"):
                self.assertIn(name, answer.text)

    def test_a_failure_comes_in_the_same_form(self):
        for accept in (TEXT, JSON, HTML):
            answer = self.get(accept, fail="backend=1:503")
            self.assertEqual(answer.status, 503)
            self.assertEqual(answer.headers.get_content_type(), accept)
            self.assertIn("UNAVAILABLE", answer.text)

    def test_the_answer_varies_by_accept_and_is_not_cached(self):
        answer = self.get(TEXT)
        self.assertIn("accept", answer.headers["Vary"].lower())
        self.assertEqual(answer.headers["Cache-Control"], "no-store")

    def test_the_page_is_whole_and_needs_nothing_from_elsewhere(self):
        page = PageCheck()
        page.feed(self.get(HTML).text)
        page.close()
        self.assertEqual(page.open, [])
        self.assertEqual(page.external, [])
        for tag in ("html", "head", "title", "body"):
            self.assertIn(tag, page.tags)

    def test_what_strangers_say_is_escaped(self):
        attack = "<script>alert('&\"')</script>"
        stranger = self.start(HttpUpstream(body=attack.encode()))
        hop = self.hop("frontend", upstream=stranger.uri, SERVICE_NAME=attack)
        page = http.get(hop.http_port, headers={"Accept": HTML, "fail": attack})
        self.assertNotIn("<script>alert", page.text)
        self.assertIn("&lt;script&gt;", page.text)
        reply = tree.from_json(http.get_json(hop.http_port).json)
        self.assertEqual(reply.upstreams[0].http.body, attack)
        self.assertEqual(reply.name, attack)
