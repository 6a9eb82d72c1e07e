"""Senders who mean ill, or are broken: the collector refuses what it must, stays small, and goes on
serving the others.
"""

import contextlib
import functools
import itertools
import json
import resource
import socket
import struct
import threading
import time
import zlib

from harness import backend, build, frames, http, otlp, rpc, zipkin
from harness.case import ProgramTest

# The whole program, whatever is sent: twenty times as much as it needs at rest.
MOST_RESIDENT_BYTES = 100_000_000
BOMB_BYTES = 1 << 30
MANY_CONNECTIONS = 2_000
_numbers = itertools.count(1)


def new():
    """The number of a span that no other test uses."""
    return next(_numbers)


@functools.lru_cache(maxsize=None)
def bomb(piece=bytes(1 << 20), total_bytes=BOMB_BYTES, told_bytes=None):
    """A gzip body that inflates to `total_bytes` of `piece` again and again; its trailer says so,
    or tells `told_bytes`.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    count = total_bytes // len(piece)
    told = count * len(piece) if told_bytes is None else told_bytes
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    # Nobody who has a limit gets as far as the checksum.
    return head + block * count + b"\x03\0" + struct.pack("<II", 0, told & 0xFFFFFFFF)


class HostileTest(ProgramTest):
    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.backend = cls.start_shared(backend.Backend())
        cls.collector_program = cls.shared_collector(cls.backend.grpc_uri, **cls.SETTINGS)

    def tearDown(self):
        self.assert_serves()
        self.assert_small()

    def assert_small(self):
        if not build.is_instrumented():
            self.assertLess(self.collector_program.peak_resident_bytes(), MOST_RESIDENT_BYTES)

    def assert_serves(self):
        """All three ports take in a span, at once, and it goes where it should."""
        program = self.collector_program
        numbers = new(), new(), new()
        started = time.monotonic()
        self.assertEqual(otlp.export(program.grpc_port, otlp.numbered(numbers[0])).code, "OK")
        self.assertEqual(otlp.post(program.http_port, otlp.numbered(numbers[1])).status, 200)
        answer = zipkin.post(program.zipkin_port, zipkin.to_json(zipkin.span(numbers[2])))
        self.assertEqual(answer.status, 202)
        self.assertLess(time.monotonic() - started, 20 if build.is_instrumented() else 3)
        self.backend.wait_for(*numbers)

    def http_targets(self):
        """Every form that a body over HTTP can have: port, path, content type."""
        program = self.collector_program
        return (
            (program.http_port, otlp.TRACES, otlp.PROTOBUF),
            (program.http_port, otlp.TRACES, otlp.JSON),
            (program.zipkin_port, zipkin.SPANS, otlp.JSON),
            (program.zipkin_port, zipkin.SPANS, otlp.PROTOBUF),
        )


class Bombs(HostileTest):
    BODIES = (
        ("zeros", {}),
        ("zeros, and a lie about their number", {"told_bytes": 1000}),
        ("zeros just below the limit", {"total_bytes": 63 << 20}),
        ("blanks", {"piece": b" " * (1 << 20)}),
        ("blanks below the limit", {"piece": b" " * (1 << 20), "total_bytes": 63 << 20}),
        ("depth below the limit", {"piece": b"[" * (1 << 20), "total_bytes": 63 << 20}),
    )

    def test_over_http_and_zipkin(self):
        for name, shape in self.BODIES:
            body = bomb(**shape)
            for port, path, content_type in self.http_targets():
                with self.subTest(bomb=name, port=port, content_type=content_type):
                    answer = otlp.post(
                        port, body, content_type, path=path, headers=[("Content-Encoding", "gzip")]
                    )
                    self.assertIn(answer.status, (400, 413), answer)

    def test_over_grpc(self):
        for name, shape in self.BODIES:
            body = bomb(**shape)
            with self.subTest(bomb=name):
                answer = frames.answer_to(
                    self.collector_program.grpc_port,
                    otlp.EXPORT,
                    [("grpc-encoding", "gzip")],
                    b"\1" + struct.pack(">I", len(body)) + body,
                )
                self.assertIn(answer[-1].fields["grpc-status"], ("3", "8"), answer)

    def test_many_at_once(self):
        lying = bomb(told_bytes=1000)
        statuses = []

        def throw(port, path, content_type):
            answer = otlp.post(
                port, lying, content_type, path=path, headers=[("Content-Encoding", "gzip")]
            )
            statuses.append(answer.status)

        throwers = [
            threading.Thread(target=throw, args=target)
            for target in self.http_targets()
            for _ in range(4)
        ]
        for thrower in throwers:
            thrower.start()
        for thrower in throwers:
            thrower.join()
        self.assertEqual(len(statuses), len(throwers))
        # The last may be told to come back: too much is being inflated.
        self.assertLessEqual(set(statuses), {400, 413, 503})


class Shapes(HostileTest):
    """Bodies that are wrong, in every way that parsers have fallen for."""

    @staticmethod
    def nested_protobuf(depth):
        """A span with a value in a list in a list ..."""
        value = b""
        for _ in range(depth):
            value = otlp.nested(5, otlp.nested(1, value))
        attribute = otlp.nested(1, b"key") + otlp.nested(2, value)
        made = otlp.span(new()).SerializeToString() + otlp.nested(9, attribute)
        for number in (2, 2, 1):
            made = otlp.nested(number, made)
        return made

    def refused_over_grpc(self, raw):
        outcome = otlp.export(self.collector_program.grpc_port, raw)
        self.assertEqual(outcome.code, "INVALID_ARGUMENT", outcome)

    def refused_over_http(self, body, content_type=otlp.PROTOBUF):
        answer = otlp.post(self.collector_program.http_port, body, content_type)
        self.assertEqual(answer.status, 400, answer)

    def refused_over_zipkin(self, body, content_type=otlp.JSON):
        answer = zipkin.post(self.collector_program.zipkin_port, body, content_type)
        self.assertEqual(answer.status, 400, answer)

    def test_depth(self):
        self.assertEqual(
            otlp.export(self.collector_program.grpc_port, self.nested_protobuf(10)).code, "OK"
        )
        for depth in (100, 1000, 10_000):
            with self.subTest(depth=depth):
                self.refused_over_grpc(self.nested_protobuf(depth))
                self.refused_over_http(self.nested_protobuf(depth))

    def test_depth_of_json(self):
        for depth in (100, 100_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                bomb_text = opening * depth + "1" + closing * depth
                with self.subTest(depth=depth, opening=opening):
                    unknown = b'{"resourceSpans":[],"unknown":' + bomb_text.encode() + b"}"
                    self.refused_over_http(unknown, otlp.JSON)
                    members = json.dumps(zipkin.span(new()))[:-1]
                    self.refused_over_zipkin(f'[{members},"unknown":{bomb_text}}}]'.encode())

    def test_ids_of_wrong_length(self):
        for field, length in (
            ("trace_id", 1), ("trace_id", 15), ("trace_id", 17), ("span_id", 7), ("span_id", 9),
            ("parent_span_id", 1), ("parent_span_id", 16),
        ):  # fmt: skip
            span = otlp.span(new())
            setattr(span, field, b"\1" * length)
            with self.subTest(field=field, length=length):
                made = otlp.request(span)
                self.refused_over_grpc(made.SerializeToString())
                self.refused_over_http(made.SerializeToString())
                self.refused_over_http(json.dumps(otlp.to_json(made)).encode(), otlp.JSON)

    def test_ids_that_are_no_hex(self):
        text = json.dumps(otlp.to_json(otlp.request(otlp.span(0xABCDEF))))
        for wrong in ("xbcdef", "+bcdef", " bcdef", "ábcdef"):
            with self.subTest(wrong=wrong):
                self.refused_over_http(text.replace("abcdef", wrong).encode(), otlp.JSON)

    def test_text_that_is_not_utf8(self):
        good = otlp.request(otlp.span(new(), name="????")).SerializeToString()
        for wrong in (
            b"\xff\xff\xff\xff", b"\xed\xa0\x80?", b"\xc0\x80??", b"\xf5\x80\x80\x80", b"???\xc3",
        ):  # fmt: skip
            with self.subTest(wrong=wrong):
                self.refused_over_grpc(good.replace(b"????", wrong))
                self.refused_over_http(good.replace(b"????", wrong))
        for wrong in (b"\xff", b"\\ud800", b"\\udc00x", b"\\u12"):
            with self.subTest(wrong=wrong):
                body = zipkin.to_json(zipkin.span(new(), name="MARK"))
                self.refused_over_zipkin(body.replace(b"MARK", wrong))

    def test_what_is_no_protobuf(self):
        good = otlp.numbered(new())
        for name, wrong in (
            ("a group", b"\x0b\x0c"), ("field 0", b"\x02\x00"), ("wire type 7", b"\x0f"),
            ("a varint of 11 bytes", b"\x08" + b"\xff" * 10 + b"\x01"),
            ("a length beyond the end", b"\x12\x7f"),
            ("a length of 2^63", b"\x12" + b"\xff" * 8 + b"\x7f"),
            ("a known field of another type", b"\x08\x01"),
        ):  # fmt: skip
            with self.subTest(wrong=name):
                self.refused_over_grpc(good + wrong)
                self.refused_over_http(good + wrong)

    def test_a_cut_at_every_byte(self):
        """Only nothing, and the whole, are requests."""
        made = otlp.request(
            otlp.span(new(), parent=5, attributes={"a": "b"}, events=[{"name": "e"}])
        )
        step = 5 if build.is_instrumented() else 1
        samples = (
            (made.SerializeToString(), self.http_targets()[0], 200),
            (json.dumps(otlp.to_json(made)).encode(), self.http_targets()[1], None),
            (zipkin.to_json(zipkin.span(new(), tags={"a": "b"})), self.http_targets()[2], 202),
        )
        for whole, (port, path, content_type), when_empty in samples:
            with self.subTest(content_type=content_type, port=port), http.Client(port) as client:
                for length in range(0, len(whole), step):
                    answer = client.request(
                        "POST", path, {"Content-Type": content_type}, whole[:length]
                    )
                    expected = when_empty if length == 0 and when_empty else 400
                    self.assertEqual(answer.status, expected, whole[:length])

    def test_a_cut_at_every_byte_over_grpc(self):
        whole = otlp.numbered(new(), attributes={"a": "b"})
        with rpc.connect(self.collector_program.grpc_port) as channel:
            method = channel.unary_unary(otlp.EXPORT)
            pending = [method.future(whole[:length], timeout=60) for length in range(1, len(whole))]
            self.assertEqual({one.code().name for one in pending}, {"INVALID_ARGUMENT"})

    def test_no_bad_request_was_taken_in(self):
        """What arrives parses, by a parser that shares nothing with the collector's."""
        self.assert_serves()
        self.assertEqual(self.backend.violations, [])


class Connections(HostileTest):
    @classmethod
    def setUpClass(cls):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        super().setUpClass()

    def open(self, port, *pieces):
        connection = self.start(socket.create_connection(("127.0.0.1", port), timeout=60))
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def test_many_connections(self):
        program = self.collector_program
        count = MANY_CONNECTIONS // (10 if build.is_instrumented() else 1)
        raw = otlp.numbered(new())
        spans = zipkin.to_json(zipkin.span(new()))
        otlp_request = otlp.head(otlp.TRACES, otlp.PROTOBUF, f"Content-Length: {len(raw)}") + raw
        zipkin_request = otlp.head(zipkin.SPANS, otlp.JSON, f"Content-Length: {len(spans)}") + spans
        kinds = (
            (program.http_port, otlp_request, b"HTTP/1.1 200"),
            (program.zipkin_port, zipkin_request, b"HTTP/1.1 202"),
            (program.grpc_port, rpc.HELLO, b"\0\0"),  # a SETTINGS frame
        )
        waiting = []
        for number in range(count):
            port, request, answer = kinds[number % len(kinds)]
            waiting.append((self.open(port, request), answer))
        for connection, answer in waiting:
            received = connection.recv(len(answer), socket.MSG_WAITALL)
            self.assertTrue(received.startswith(answer), received)
        self.assert_serves()

    def test_heads_that_never_end(self):
        for port, path, content_type in self.http_targets():
            for _ in range(100):
                self.open(port, otlp.head(path, content_type)[:-2], b"X-Slow: ")
        for _ in range(100):
            self.open(self.collector_program.grpc_port, rpc.HELLO[:10])
        self.assert_serves()

    def test_bodies_that_are_announced_and_never_come(self):
        """Their room is not taken from those who do send."""
        for port, path, content_type in self.http_targets():
            for _ in range(20):
                self.open(port, otlp.head(path, content_type, f"Content-Length: {60 << 20}"), b"\x0a")
        self.assert_serves()

    def test_a_body_that_comes_byte_by_byte_is_a_body(self):
        raw = otlp.numbered(new())
        connection = self.open(
            self.collector_program.http_port,
            otlp.head(otlp.TRACES, otlp.PROTOBUF, f"Content-Length: {len(raw)}"),
        )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in raw:
            connection.sendall(bytes([byte]))
        self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 200"))

    def test_who_goes_away_in_the_middle_is_forgotten(self):
        raw = otlp.numbered(new(), attributes={"fill": "x" * 100_000})
        for cut in (1, 100, len(raw) - 1):
            request = otlp.head(otlp.TRACES, otlp.PROTOBUF, f"Content-Length: {len(raw)}") + raw[:cut]
            for _ in range(20):
                with contextlib.closing(self.open(self.collector_program.http_port, request)):
                    pass
        self.assert_serves()

    def test_what_is_no_http(self):
        head = "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
        for name, raw in (
            ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500)),
            ("HTTP/2", rpc.HELLO),
            ("noise", bytes(range(256)) * 4 + b"\r\n\r\n"),
            ("a length that is none", f"{head}Content-Length: -1\r\n\r\n".encode()),
            ("two lengths", f"{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab".encode()),
            ("a length beyond all", f"{head}Content-Length: 99999999999999999999\r\n\r\n".encode()),
            ("a long head", f"{head}X: {'x' * 100_000}\r\n\r\n".encode()),
            ("many headers", head.encode() + b"X: y\r\n" * 10_000 + b"\r\n"),
            ("a chunk that is none", f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode()),
        ):
            for port in (self.collector_program.http_port, self.collector_program.zipkin_port):
                with self.subTest(raw=name, port=port):
                    answer = http.exchange(port, raw, timeout_s=0.3)
                    self.assertNotIn(http.status_of(answer), range(200, 300))
        for raw in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), rpc.HELLO + b"\xff" * 100):
            http.exchange(self.collector_program.grpc_port, raw, timeout_s=0.3)
        self.assert_serves()


class SmallLimit(HostileTest):
    """What is large is turned away before it is held."""

    SETTINGS = {"MAX_REQUEST_BYTES": "1MiB"}

    def test_bodies_far_beyond_the_limit(self):
        for port, path, content_type in self.http_targets():
            with self.subTest(port=port, content_type=content_type):
                head = otlp.head(path, content_type, f"Content-Length: {1 << 30}")
                answer = http.exchange(port, head + bytes(4 << 20), timeout_s=10)
                self.assertIn(http.status_of(answer), (0, 413))
        outcome = otlp.export(self.collector_program.grpc_port, bytes(16 << 20))
        self.assertEqual(outcome.code, "RESOURCE_EXHAUSTED", outcome)
