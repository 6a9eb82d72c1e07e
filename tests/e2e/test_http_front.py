"""HTTP/1.1 as it should be spoken, and as it should not."""

import contextlib
import re
import socket
import time

from harness import http
from harness.case import ProgramTest


class HttpFront(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hop_under_test = cls.shared_hop("frontend")
        cls.port = cls.hop_under_test.http_port

    def request(self, method, path="/", headers=(), body=None):
        with http.Client(self.port) as client:
            return client.request(method, path, headers, body)

    def test_head_is_get_without_the_body(self):
        for path in ("/", "/time"):
            answer = self.request("HEAD", path)
            self.assertEqual((answer.status, answer.body), (200, b""))
            self.assertGreater(int(answer.headers["Content-Length"]), 0)
            self.assertIn("Content-Type", answer.headers)

    def test_head_runs_the_chain_too(self):
        self.assertEqual(self.request("HEAD", headers={"fail": "1:503"}).status, 503)
        self.assertIn("x-trace-id", self.request("HEAD").headers)

    def test_other_methods_get_405_with_allow(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            for path in ("/", "/time"):
                with self.subTest(method=method, path=path):
                    answer = self.request(method, path)
                    self.assertEqual(answer.status, 405)
                    self.assertEqual(
                        {word.strip() for word in answer.headers["Allow"].split(",")}, {"GET", "HEAD"}
                    )

    def test_unknown_paths_get_404(self):
        for path in ("/nothing", "/time/", "//", "/..", "/%00", "/index.html", "/metrics", "/healthz"):
            with self.subTest(path=path):
                self.assertEqual(self.request("GET", path).status, 404)

    def test_a_query_is_no_part_of_the_path(self):
        self.assertEqual(self.request("GET", "/?x=1").status, 200)
        self.assertEqual(self.request("GET", "/time?x=1").status, 200)

    def test_oversized_headers_get_431(self):
        for size in (100_000, 1_000_000):
            with self.subTest(size=size):
                raw = http.exchange(
                    self.port, b"GET / HTTP/1.1\r\nHost: x\r\nx-a: " + b"a" * size + b"\r\n\r\n"
                )
                self.assertEqual(http.status_of(raw), 431, raw[:200])

    def test_too_many_headers_get_431(self):
        fields = b"".join(b"x-%d: %d\r\n" % (number, number) for number in range(20_000))
        raw = http.exchange(self.port, b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
        self.assertEqual(http.status_of(raw), 431, raw[:200])

    def test_oversized_bodies_get_413(self):
        for size in (65_537, 500_000):
            with self.subTest(size=size):
                self.assertEqual(self.request("GET", body=b"x" * size).status, 413)

    def test_much_too_long_bodies_are_refused_by_their_announcement(self):
        for size in (4 << 20, 1 << 40):
            with self.subTest(size=size):
                head = b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
                self.assertEqual(http.status_of(http.exchange(self.port, head)), 413)

    def test_a_body_of_unknown_length_is_bounded_too(self):
        head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        raw = http.exchange(self.port, head + chunk * 5 + b"0\r\n\r\n")
        self.assertEqual(http.status_of(raw), 413, raw[:200])
        # Endless ones are given up, with or without a word.
        raw = http.exchange(self.port, head + chunk * 1000 + b"0\r\n\r\n")
        self.assertIn(http.status_of(raw), (0, 413), raw[:200])

    def test_small_bodies_are_read_and_ignored(self):
        self.assertEqual(self.request("GET", body=b"x" * 100).status, 200)

    def test_garbage_breaks_nothing(self):
        for raw in (
            b"",
            b"\r\n\r\n",
            b"\0" * 1000,
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        ):
            with self.subTest(raw=raw[:60]):
                # Some of it looks like the beginning of more, for which the server waits.
                answer = http.exchange(self.port, raw, timeout_s=0.3)
                self.assertNotIn(http.status_of(answer), (500, 503), answer[:200])
        self.assertEqual(self.request("GET").status, 200)

    def test_a_connection_is_kept_for_the_next_request(self):
        with http.Client(self.port) as client:
            for _ in range(20):
                self.assertEqual(client.get("/time").status, 200)
                self.assertEqual(client.get("/nothing").status, 404)

    def test_pipelined_requests_are_answered_in_order(self):
        request = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
        raw = http.exchange(
            self.port,
            request % (b"/", b"delay: 200ms\r\n")
            + request % (b"/nothing", b"")
            + request % (b"/time", b"Connection: close\r\n"),
        )
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+) ", raw), [b"200", b"404", b"200"])

    def test_http_1_0_is_answered(self):
        raw = http.exchange(self.port, b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(http.status_of(raw), 200)
        self.assertIn(b"frontend-prod", raw)

    def test_many_idle_connections_stop_nobody(self):
        with contextlib.ExitStack() as idle:
            for _ in range(200):
                idle.enter_context(socket.create_connection(("127.0.0.1", self.port)))
            started = time.monotonic()
            self.assertEqual(self.request("GET").status, 200)
            self.assertLess(time.monotonic() - started, 10)
