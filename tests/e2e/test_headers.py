"""Which headers go on, over every pair of protocols."""

from harness import http, rpc
from harness.case import ProgramTest
from harness.programs import refusal
from harness.upstreams import GrpcUpstream, HttpUpstream

BUILT_IN = ("x-request-id", "x-ot-span-context", "x-dev-user", "fail", "delay", "baggage")
EXTRA = ("x-team", "x-tenant_id", "x.dots")
VALUES = {
    "x-request-id": "5a3f5e2c-0b0e-9d6b-8f63-1df0d9f0b7a1",
    "x-ot-span-context": "a;b=c;d",
    "x-dev-user": "super-secret",
    "fail": "nobody=1:unavailable; nobody/canary=first-2",
    "delay": "nobody=100ms:0.5",
    "baggage": "userId=Am%C3%A9lie,serverNode=DF%2028;isProduction=false",
    "x-team": "blue  green   red",
    "x-tenant_id": "=?utf-8?q?=E2?= \"quoted\" \\ , ; ~!@#$%^&*()",
    "x.dots": "...",
}
DENIED = {
    "authorization": "Bearer secret",
    "cookie": "session=secret",
    "proxy-authorization": "Basic c2VjcmV0",
    "x-envoy-attempt-count": "3",
    "x-envoy-retry-on": "5xx",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-expected-rq-timeout-ms": "1",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-proto": "https",
    "x-tracehop-call": "0123456789abcdef",
    "x-unlisted": "x",
    "x-dev-user-too": "x",
    "x-dev": "x",
    "keep-alive": "timeout=5",
    "upgrade-insecure-requests": "1",
    "if-none-match": '"x"',
    "range": "bytes=0-1",
    "referer": "http://example.test/",
    "origin": "http://example.test",
}
GRPC_ONLY = {"x-trace-bin": b"\0\1\2\xff", "x-team-bin": b"team"}
ON_THE_WIRE_ANYWAY = {"x-tracehop-call"}  # Ours to the next hop: new for every call.


class Rule(ProgramTest):
    """Three hops; each calls the next one over HTTP and over gRPC, so one request to each front of
    the first shows all sixteen ways to the recorders.
    """

    WAYS = 8

    @classmethod
    def setUpClass(cls):
        cls.recorders = [cls.start_shared(HttpUpstream()), cls.start_shared(GrpcUpstream())]
        uris = [recorder.uri for recorder in cls.recorders]
        for role in ("third", "second", "first"):
            hop = cls.shared_hop(role, upstream=uris, FORWARD_HEADERS=", ".join(EXTRA))
            uris = [hop.http_uri, hop.grpc_uri]
        cls.first = hop

    def arrivals(self):
        return [
            arrival
            for recorder in self.recorders
            for arrival in recorder.arrivals.take(self.WAYS // len(self.recorders))
        ]

    def forget(self):
        for recorder in self.recorders:
            recorder.arrivals.forget()

    def send_http(self, headers):
        self.forget()
        answer = http.get(self.first.http_port, headers=headers)
        self.assertEqual(answer.status, 200, answer)
        return self.arrivals()

    def send_grpc(self, metadata):
        self.forget()
        outcome = rpc.call(self.first.grpc_port, metadata)
        self.assertEqual(outcome.code, "OK", outcome)
        return self.arrivals()

    def send_both(self, headers):
        return self.send_http(headers) + self.send_grpc(headers)

    def test_each_allowed_header_arrives_byte_for_byte_three_hops_down(self):
        self.assertEqual(set(VALUES), set(BUILT_IN + EXTRA))
        for arrival in self.send_both(VALUES.items()):
            for name, value in VALUES.items():
                self.assertEqual(arrival.all(name), [value.encode()], name)

    def test_each_denied_header_never_does(self):
        for arrival in self.send_http(DENIED.items()) + self.send_grpc(
            (*DENIED.items(), *GRPC_ONLY.items())
        ):
            for name, value in {**DENIED, **GRPC_ONLY}.items():
                if name not in ON_THE_WIRE_ANYWAY:
                    self.assertEqual(arrival.all(name), [], name)
                else:
                    self.assertNotEqual(arrival.one(name), value)

    def test_nothing_arrives_that_is_not_on_the_list_or_ours(self):
        ours = {
            "http": {"host", "accept", "user-agent"},
            "grpc": {"user-agent", "accept-encoding", "grpc-accept-encoding"},
        }
        trace = {"traceparent", "tracestate", "b3"}
        for arrival in self.send_both([*VALUES.items(), *DENIED.items()]):
            surprising = {
                name
                for name in arrival.names() - set(VALUES) - ours[arrival.protocol] - trace
                if not name.startswith(("x-b3-", "x-tracehop-"))
            }
            self.assertEqual(surprising, set())

    def test_upper_case_names_arrive_in_lower_case(self):
        for arrival in self.send_http({"X-Dev-User": "Upper Case", "X-TEAM": "T"}.items()):
            self.assertEqual(arrival.one("x-dev-user"), "Upper Case")
            self.assertEqual(arrival.one("x-team"), "T")

    def test_non_ascii_bytes_break_no_call_and_are_never_altered(self):
        for value in ("Amélie".encode(), b"\xff\xfe", b"\x80", "用户".encode()):
            with self.subTest(value=value):
                for arrival in self.send_http([("x-dev-user", value), ("x-team", "after")]):
                    self.assertIn(arrival.all("x-dev-user"), ([value], []))
                    self.assertEqual(arrival.one("x-team"), "after")

    def test_non_ascii_bytes_arrive_where_only_http_is_between(self):
        recorder = self.start(HttpUpstream())
        second = self.hop(upstream=recorder.uri)
        first = self.hop(upstream=second.http_uri)
        http.get(first.http_port, headers=[("x-dev-user", b"Am\xc3\xa9lie\xff")])
        self.assertEqual(recorder.arrivals.take(1)[0].all("x-dev-user"), [b"Am\xc3\xa9lie\xff"])

    def test_eight_kibibytes_arrive(self):
        value = "".join(chr(33 + index % 94) for index in range(8192)).replace(",", ".")
        for arrival in self.send_both([("x-dev-user", value)]):
            self.assertEqual(arrival.one("x-dev-user"), value)

    def test_empty_values_break_no_call(self):
        for arrival in self.send_both([("x-dev-user", ""), ("x-team", "after"), ("fail", "")]):
            self.assertIn(arrival.all("x-dev-user"), ([b""], []))
            self.assertEqual(arrival.one("x-team"), "after")

    def test_names_ending_in_bin_break_no_call(self):
        for arrival in self.send_http(
            [("x-team-bin", "not base64 \xff!".encode("latin-1")), ("x-dev-user-bin", "AAEC")]
        ) + self.send_grpc([("x-team-bin", bytes(range(256))), ("x-dev-user-bin", b"")]):
            self.assertFalse([name for name in arrival.names() if name.endswith("-bin")])

    def test_repeated_headers_break_no_call(self):
        for arrival in self.send_both([("x-team", "one"), ("x-team", "two")]):
            joined = b",".join(value.replace(b" ", b"") for value in arrival.all("x-team"))
            self.assertIn(joined, (b"one,two", b"one"))

    def test_hostile_names_break_no_call(self):
        self.send_http([("x-dev-user\x7e", "x"), ("x" * 2000, "y"), ("!#$%&'*+-.^_`|~", "z")])

    def test_each_call_is_marked_with_a_value_of_its_own(self):
        seen = [arrival.one("x-tracehop-call") for arrival in self.send_both([])]
        self.assertNotIn(None, seen)
        self.assertEqual(len(set(seen)), len(seen))


class Refused(ProgramTest):
    def test_a_hop_does_not_start_when_told_to_forward_what_must_not_go_on(self):
        for name in (
            "authorization", "Cookie", "x-envoy-retry-on", "grpc-timeout", "connection", "host",
            "transfer-encoding", "x-b3-traceid", "traceparent", "b3", "x-team-bin", "bad name",
            ":authority", "te", "content-type",
        ):
            with self.subTest(name=name):
                self.assertIn(name, refusal(FORWARD_HEADERS=f"x-team, {name}"))
