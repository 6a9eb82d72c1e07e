"""What the query of GET / can ask for: faults and a user, as headers do, and detail."""

import urllib.parse

from harness import http, rpc
from harness.case import Chain, ProgramTest
from harness.upstreams import GrpcUpstream, HttpUpstream


def path(**parameters):
    """"/?fail=..." as a browser's form makes it."""
    names = {name.replace("_", "-"): value for name, value in parameters.items()}
    return "/?" + urllib.parse.urlencode(names)


class StandIns(ProgramTest):
    """A hop before two recorders, one per protocol."""

    @classmethod
    def setUpClass(cls):
        cls.recorders = [cls.start_shared(HttpUpstream()), cls.start_shared(GrpcUpstream())]
        cls.first = cls.shared_hop("first", upstream=[recorder.uri for recorder in cls.recorders])

    def get(self, path, headers=()):
        """The answer, and what arrived at the recorders."""
        for recorder in self.recorders:
            recorder.arrivals.forget()
        answer = http.get_json(self.first.http_port, path, headers)
        self.assertEqual(answer.status, 200, answer)
        return answer, [recorder.arrivals.take(1)[0] for recorder in self.recorders]

    def test_they_go_on_as_the_headers_do(self):
        values = {"fail": "nobody=0.5:unavailable; x/y=1", "delay": "nobody=1s:0.5", "x-dev-user": "Q & A"}
        answer, arrivals = self.get(path(**values))
        self.assertNotIn("x-tracehop-warning", answer.headers)
        for arrival in arrivals:
            for name, value in values.items():
                self.assertEqual(arrival.one(name), value)

    def test_a_header_wins(self):
        headers = {"fail": "nobody=0.1", "x-dev-user": "header"}
        _, arrivals = self.get(path(fail="1", x_dev_user="query", delay="nobody=1ms"), headers)
        for arrival in arrivals:
            self.assertEqual(arrival.one("fail"), "nobody=0.1")
            self.assertEqual(arrival.one("x-dev-user"), "header")
            self.assertEqual(arrival.one("delay"), "nobody=1ms")

    def test_an_empty_one_is_as_if_absent(self):
        answer, arrivals = self.get("/?fail=&delay&x-dev-user=+")
        self.assertNotIn("x-tracehop-warning", answer.headers)
        for arrival in arrivals:
            for name in ("fail", "delay", "x-dev-user"):
                self.assertIsNone(arrival.one(name))

    def test_other_parameters_do_not_go_on(self):
        _, arrivals = self.get("/?x-request-id=1&baggage=a%3Db&authorization=x&b3=0&detail=1")
        for arrival in arrivals:
            for name in ("x-request-id", "baggage", "authorization", "detail"):
                self.assertIsNone(arrival.one(name))

    def test_what_no_header_can_hold_is_ignored_with_a_warning_and_smuggles_nothing(self):
        for name in ("fail", "delay", "x-dev-user"):
            for value in ("1%0d%0ax-evil:%201", "%00", "a%7Fb", "%0a"):
                with self.subTest(name=name, value=value):
                    answer, arrivals = self.get(f"/?{name}={value}")
                    warning = answer.headers["x-tracehop-warning"]
                    self.assertIn(f"{name}=", warning)
                    self.assertTrue(warning.isascii() and warning.isprintable(), warning)
                    self.assertEqual(answer.json["warning"], warning)
                    for arrival in arrivals:
                        self.assertIsNone(arrival.one(name))
                        self.assertIsNone(arrival.one("x-evil"))

    def test_warnings_of_both_kinds_stand_together(self):
        answer, _ = self.get("/?delay=%0a&fail=nonsense")
        self.assertIn("nonsense", answer.headers["x-tracehop-warning"])
        self.assertIn("delay=", answer.headers["x-tracehop-warning"])

    def test_bytes_that_are_no_text_break_nothing(self):
        for value in ("%ff%fe", "Am%C3%A9lie", "%E2%80", "%", "%zz", "+%2B+"):
            with self.subTest(value=value):
                self.get(f"/?x-dev-user={value}&fail={value}")

    def test_long_ones_are_bounded_as_headers_are(self):
        self.get("/?x-dev-user=" + "u" * 8000)
        answer = http.get(self.first.http_port, "/?x-dev-user=" + "u" * 40_000)
        self.assertIn(answer.status, (414, 431), answer)


class Faults(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())

    def test_a_failure_is_asked_for_by_a_link(self):
        answer = http.get_json(self.chain.frontend.http_port, path(fail="backend=1:unavailable"))
        self.assertEqual((answer.status, answer.json["failure"]["hop"]), (503, "backend-prod"))

    def test_the_clock_tells_the_time_whatever_the_query_says(self):
        answer = http.get(self.chain.clock.http_port, "/time?fail=1&delay=%0a")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("x-tracehop-warning", answer.headers)

    def test_an_upstream_s_uri_can_ask_for_them(self):
        first = self.hop("first", upstream=f"{self.chain.middleware.http_uri}?fail=backend=1")
        self.assertEqual(rpc.call(first.grpc_port).code, "INTERNAL")


class Detail(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())

    def lines(self, path, headers=()):
        answer = http.get(self.chain.frontend.http_port, path, headers)
        return answer.text.splitlines()

    def test_each_hop_shows_its_attempt_and_the_last_line_the_calls(self):
        for query in ("?detail", "?detail=", "?detail=1&x=y"):
            with self.subTest(query=query):
                frontend, middleware, backend, clock, calls = self.lines(f"/{query}")
                self.assertRegex(frontend, r"^frontend-prod - \d+\.\d{3}secs, attempt 1$")
                self.assertRegex(middleware, r" -> middleware-prod - \d+\.\d{3}secs, attempt 1$")
                self.assertRegex(backend, r" -> backend-prod - \d+\.\d{3}secs, attempt 1$")
                self.assertIn("/time -> {", clock)
                self.assertEqual(calls, "4 calls for one request")

    def test_without_it_the_form_is_the_classic_one(self):
        for line in self.lines("/?details=1"):
            self.assertNotIn("attempt", line)
            self.assertNotIn("calls", line)

    def test_a_failure_shows_as_much(self):
        request_id = {"x-request-id": "detail-of-a-failure"}
        self.lines("/?fail=backend=1", request_id)
        lines = self.lines("/?fail=backend=1&detail", request_id)
        self.assertRegex(lines[0], r"^frontend-prod - .*secs, attempt 2$")
        self.assertIn("6 calls for one request", lines)
        self.assertTrue(lines[-1].startswith("failed: INTERNAL"), lines)

    def test_json_always_shows_both(self):
        reply = http.get_json(self.chain.frontend.http_port).json
        self.assertEqual((reply["attempt"], reply["calls"]), (1, 4))
        self.assertEqual((reply["upstreams"][0]["hop"]["attempt"],
                          reply["upstreams"][0]["hop"]["calls"]), (1, 3))  # fmt: skip
