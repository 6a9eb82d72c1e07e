"""scripts/load: a steady stream of requests, and what is seen of it. First the arithmetic, then
against servers of all kinds.
"""

import collections
import contextlib
import itertools
import json
import os
import pty
import re
import signal
import socketserver
import subprocess
import threading
import time
import unittest

from harness import build, network, upstreams
from harness.case import ProgramTest
from harness.load import Load, Outcome, Record, failed
from harness.programs import Hop
from harness.wait import PATIENCE_S, eventually
from tracehop_load import report, tally
from tracehop_load.answer import read_answer
from tracehop_load.http1 import Malformed, find_target, parse_answer
from tracehop_load.settings import read_settings

def hop_tree(name, *results, **members):
    role, version = name.split("-")
    return {"role": role, "version": version, "name": name, "upstreams": list(results), **members}


def calling(tree):
    return {"uri": "grpc://next", "hop": tree}


def failing(status, hop="", partial=None):
    failure = {"code": 13, "status": status, "hop": hop}
    if partial:
        failure["partial"] = partial
    return {"uri": "grpc://next", "failure": failure}


def reading_of(tree, status=200):
    return read_answer(status, json.dumps(tree).encode())


class AnswerOnTheWire(unittest.TestCase):
    def assert_parsed(self, raw, body, surplus=b"", keeps=True):
        """At once, and whatever the pieces it comes in."""
        for end in range(len(raw)):
            self.assertIsNone(parse_answer(raw[:end]), raw[:end])
        answer = parse_answer(raw + surplus)
        self.assertEqual((answer.status, answer.body, answer.keeps_connection), (200, body, keeps))

    def test_of_a_given_length(self):
        self.assert_parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", b"body")

    def test_in_chunks(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assert_parsed(head + b"1;a=b\r\n.\r\nA\r\n0123456789\r\n0\r\n\r\n", b".0123456789")
        self.assert_parsed(head + b"0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n", b"")

    def test_until_the_connection_ends(self):
        raw = b"HTTP/1.1 200 OK\r\n\r\nall of it"
        self.assertIsNone(parse_answer(raw))
        answer = parse_answer(raw, is_at_end=True)
        self.assertEqual((answer.body, answer.keeps_connection), (b"all of it", False))

    def test_after_interim_answers(self):
        interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        raw = interim + interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.assert_parsed(raw, b"ok")

    def test_without_a_body(self):
        self.assertEqual(parse_answer(b"HTTP/1.1 204 No Content\r\n\r\n").body, b"")

    def test_a_connection_is_kept_unless_someone_says_otherwise(self):
        old, new = (
            version + b" 200 OK\r\nContent-Length: 0\r\n" for version in (b"HTTP/1.0", b"HTTP/1.1")
        )
        self.assert_parsed(new + b"\r\n", b"", keeps=True)
        self.assert_parsed(new + b"Connection: Close\r\n\r\n", b"", keeps=False)
        self.assert_parsed(new + b"\r\n", b"", surplus=b"more", keeps=False)
        self.assert_parsed(old + b"\r\n", b"", keeps=False)

    def test_what_is_none_is_refused(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for raw in (
            b"\x16\x03\x01 what\r\n\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 999 No\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            chunked + b"no size\r\n",
            chunked + b"-4\r\nbody",
            chunked + b"fffffffff\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
        ):
            with self.subTest(raw[:60]), self.assertRaises(Malformed):
                parse_answer(raw)


class WhatAnAnswerSays(unittest.TestCase):
    def test_a_request_belongs_to_the_versions_that_are_not_prod(self):
        for names, versions in (
            (("frontend-prod", "middleware-prod"), ("prod",)),
            (("frontend-prod", "middleware-canary"), ("canary",)),
            (("frontend-v2", "middleware-canary"), ("canary", "v2")),
        ):
            tree = hop_tree(names[0], calling(hop_tree(names[1])))
            self.assertEqual(reading_of(tree).versions, versions)

    def test_a_failure_is_named_by_its_hop_and_status(self):
        failure = {"status": "INTERNAL", "hop": "backend-prod"}
        partial = hop_tree("middleware-canary", failing("INTERNAL", "backend-prod"))
        tree = hop_tree(
            "frontend-prod", failing("INTERNAL", "backend-prod", partial), failure=failure
        )
        reading = reading_of(tree, 500)
        self.assertEqual(
            (reading.outcome, reading.status, reading.failure, reading.versions),
            (Outcome.HOP_FAILED, 500, "backend-prod INTERNAL", ("canary",)),
        )

    def test_a_failure_of_nobody_is_behind_the_last_hop_that_was_heard_of(self):
        partial = hop_tree("middleware-prod", failing("UNAVAILABLE"))
        tree = hop_tree(
            "frontend-prod", failing("UNAVAILABLE", "", partial), failure={"status": "UNAVAILABLE"}
        )
        self.assertEqual(reading_of(tree, 503).failure, "behind middleware-prod UNAVAILABLE")

    def test_an_error_without_a_tree_is_a_proxys(self):
        for body, failure in (
            (b"no healthy upstream", "503 from a proxy: no healthy upstream"),
            (b"", "503 from a proxy"),
            (b'{"error":1}', '503 from a proxy: {"error":1}'),
            (b"[" * 100_000, "503 from a proxy: " + "[" * 41 + "..."),
            (b"\x1b[2J\xff", "503 from a proxy: ?[2J\N{REPLACEMENT CHARACTER}"),
        ):
            reading = read_answer(503, body)
            self.assertEqual((reading.outcome, reading.failure), (Outcome.PROXY_ANSWERED, failure))
            self.assertEqual(reading.versions, ())

    def test_any_good_answer_is_fine_but_has_no_version(self):
        reading = read_answer(200, b'{"time":"09:52:20 PM"}')
        self.assertEqual((reading.outcome, reading.versions), (Outcome.OK, ()))

    def test_attempts_anywhere_in_the_tree_are_seen(self):
        for attempt, is_retried in ((1, False), (2, True)):
            below = hop_tree("b-prod", attempt=attempt)
            for result in (calling(below), failing("INTERNAL", "b-prod", below)):
                reading = reading_of(hop_tree("a-prod", result, attempt=1))
                self.assertEqual(reading.is_retried, is_retried)

    def test_calls_are_those_of_the_root(self):
        tree = hop_tree("a-prod", calling(hop_tree("b-prod", calls=3)), calls=4)
        self.assertEqual(reading_of(tree).calls, 4)
        self.assertEqual(reading_of(hop_tree("a-prod")).calls, 0)

    def test_what_is_not_well_in_a_good_answer_is_noted(self):
        outside = {"uri": "http://time/", "http": {"status": 502}}
        for tree, note in (
            (hop_tree("a-prod", calling(hop_tree("b-prod", outside))), "502 of http://time/"),
            (hop_tree("a-prod", failing("INTERNAL", "b-prod")), "b-prod INTERNAL"),
            (hop_tree("a-prod", warning="ignored: x"), "warning: ignored: x"),
            (hop_tree("a-prod"), ""),
        ):
            self.assertEqual((reading_of(tree).outcome, reading_of(tree).note), (Outcome.OK, note))

    def test_a_tree_of_the_wrong_types_breaks_nothing(self):
        wrong = {"version": 7, "calls": "many", "attempt": [], "upstreams": [1, {"hop": 2}]}
        reading = reading_of({"name": "a-prod", **wrong})
        self.assertEqual((reading.versions, reading.calls), (("prod",), 0))


def record(outcome=Outcome.OK, start_s=0.0, took_s=0.01, **members):
    members = {"status": 200, "failure": "", "versions": ("prod",), "is_retried": False, **members}
    return Record(
        number=0,
        due_s=members.pop("due_s", start_s),
        start_s=start_s,
        end_s=start_s + took_s,
        is_resent=False,
        outcome=outcome,
        calls=members.pop("calls", 0),
        note=members.pop("note", ""),
        **members,
    )


class Arithmetic(unittest.TestCase):
    def test_a_percentile_is_the_nearest_rank(self):
        counts = collections.Counter({1.0: 50, 2.0: 49, 9.0: 1})
        for share, value in ((0, 1.0), (0.5, 1.0), (0.51, 2.0), (0.99, 2.0), (0.991, 9.0), (1, 9)):
            self.assertEqual(tally.percentile(counts, share), value, share)
        self.assertIsNone(tally.percentile(collections.Counter(), 0.5))

    def test_latencies_keep_three_digits(self):
        for exact, rounded in ((0.0123456, 0.0123), (12.3456, 12.3), (0.00123456, 0.00123), (0, 0)):
            self.assertAlmostEqual(tally.round_latency(exact), rounded, places=9)

    def test_a_share_is_0_or_100_only_when_it_is(self):
        for part, whole, text in (
            (0, 0, "-"),
            (0, 7, "0 %"),
            (7, 7, "100 %"),
            (1, 100_000, "0.1 %"),
            (99_999, 100_000, "99.9 %"),
            (1, 3, "33.3 %"),
        ):
            self.assertEqual(report.share_text(part, whole), text)

    def test_durations_have_fitting_units(self):
        for seconds, text in (
            (None, "-"), (0.00042, "0.4 ms"), (0.00994, "9.9 ms"), (0.00996, "10 ms"),
            (0.9991, "999 ms"), (0.9999, "1 s"), (12.34, "12.3 s"),
        ):  # fmt: skip
            self.assertEqual(report.duration_text(seconds), text)

    def test_a_tally_adds_up(self):
        sums = tally.Tally([
            record(),
            record(versions=("canary",), is_retried=True, calls=4),
            record(Outcome.HOP_FAILED, status=500, failure="b INTERNAL", calls=1),
            record(Outcome.NO_ANSWER, status=0, failure="no answer: timed out", versions=()),
            record(Outcome.NOT_STARTED, status=0, failure="no room", versions=()),
            record(Outcome.ABANDONED, status=0, versions=()),
        ])  # fmt: skip
        self.assertEqual((sums.ended, sums.ok, sums.failed, sums.abandoned), (4, 2, 2, 1))
        self.assertEqual(sums.versions, {"prod": 2, "canary": 1})
        self.assertEqual((sums.with_tree, sums.retried, sums.calls_per_request), (3, 1, 2.5))
        self.assertEqual(sums.failures, {"b INTERNAL": 1, "no answer: timed out": 1})
        self.assertEqual(sums.not_started, {"no room": 1})
        self.assertEqual(sums.latencies.total(), 3)

    def test_the_rate_is_that_of_the_starts(self):
        sums = tally.Tally(record(start_s=5 + number / 20, took_s=9) for number in range(41))
        self.assertAlmostEqual(sums.rate, 20)
        self.assertIsNone(tally.Tally([record()]).rate)

    def test_the_worst_delay_of_a_start_is_kept(self):
        sums = tally.Tally([record(start_s=2.0, due_s=1.75), record(start_s=3.0, due_s=2.9)])
        self.assertEqual(sums.late_max_s, 0.25)

    def test_texts_of_others_do_not_pile_up(self):
        sums = tally.Tally(
            record(Outcome.HOP_FAILED, failure=f"hop-{number} INTERNAL") for number in range(500)
        )
        self.assertEqual(len(sums.failures), 101)
        self.assertEqual(sums.failures["others"], 400)


class TheLine(unittest.TestCase):
    FAILED = {"status": 500, "failure": "backend-prod INTERNAL", "took_s": 1.5, "calls": 4}
    SECOND = tally.Tally([
        *[record(took_s=0.0123, calls=5)] * 6,
        *[record(versions=("canary",), took_s=0.02, is_retried=True, calls=9)] * 3,
        record(Outcome.HOP_FAILED, **FAILED),
    ])  # fmt: skip

    def test_tells_the_last_second(self):
        self.assertEqual(
            report.line(self.SECOND, elapsed_s=42.01, rate=10.02, waiting=3),
            "  42 s    10/s  ok 90.0 %  prod 70.0 %  canary 30.0 %  p50  12 ms  p99  1.5 s"
            "  retried 30.0 %  calls  6.1  1 x backend-prod INTERNAL",
        )

    def test_leaves_out_what_matters_least_where_there_is_no_room(self):
        for width, missing in ((120, ["p50"]), (110, ["p50", "p99"]), (84, ["calls", "retried"])):
            line = report.line(self.SECOND, 42, 10, 3, width)
            self.assertLessEqual(len(line), width)
            for word in ("ok 90.0 %", "canary 30.0 %", "backend-prod INTERNAL"):
                self.assertIn(word, line)
            for word in missing:
                self.assertNotIn(word, line)
        self.assertEqual(len(report.line(self.SECOND, 42, 10, 3, 30)), 30)

    def test_without_answers_says_what_is_waited_for(self):
        line = report.line(tally.Tally(), 1, 20, 40)
        self.assertEqual(line, "   1 s    20/s  ok      -  p50      -  p99      -  waiting 40")

    def test_says_what_was_not_started(self):
        second = tally.Tally([record(Outcome.NOT_STARTED, failure="no room", versions=())] * 7)
        self.assertIn("not started 7", report.line(second, 1, 0, 500, width=60))

    def test_shows_a_note_when_nothing_failed(self):
        second = tally.Tally([record(note="502 of http://x/")])
        self.assertIn("1 x 502 of http://x/", report.line(second, 1, 1, 0))

    def test_the_summary_tells_all_of_it(self):
        self.assertEqual(
            report.summary(self.SECOND, 1.0),
            [
                "10 requests in 1.0 s, -/s: 9 ok (90.0 %), 1 failed",
                "versions     prod 7 (70.0 %), canary 3 (30.0 %)",
                "latency      p50 12 ms, p90 20 ms, p99 1.5 s, max 1.5 s",
                "retried      3 (30.0 %)",
                "calls        6.10 per request",
                "failures     1 x backend-prod INTERNAL",
                "late         a request started at most 0.0 ms late",
            ],
        )

    def test_the_summary_lists_the_most_common_failures_only(self):
        records = [
            record(Outcome.HOP_FAILED, failure=f"hop-{number}")
            for number in range(12)
            for _ in range(number + 1)
        ]
        lines = report.summary(tally.Tally(records), 1.0)
        at = lines.index("failures     12 x hop-11")
        self.assertEqual(lines[at + 7], "             5 x hop-4")
        self.assertEqual(lines[at + 8], "             10 x others")


class Settings(unittest.TestCase):
    def test_defaults_ask_the_demo_until_ctrl_c(self):
        settings = read_settings({})
        self.assertEqual(
            (settings.url, settings.rate, settings.time_s, settings.headers),
            ("http://localhost:8080/", 20, None, ()),
        )
        self.assertEqual(read_settings({"HTTP_PORT": "9000"}).url, "http://localhost:9000/")

    def test_headers_are_sent_when_given(self):
        settings = read_settings({"FAIL": "0.3", "DELAY": "", "DEV_USER": "super-secret"})
        self.assertEqual(settings.headers, (("fail", "0.3"), ("x-dev-user", "super-secret")))

    def test_times_have_units(self):
        for text, seconds in (("500ms", 0.5), ("30", 30), ("1.5s", 1.5), ("5m", 300), ("1h", 3600)):
            self.assertEqual(read_settings({"TIME": text}).time_s, seconds)

    def test_a_target_is_the_loopback_or_found_by_name(self):
        target = find_target("http://localhost:8080")
        self.assertEqual((target.host, target.path), ("localhost:8080", "/"))
        self.assertEqual(target.addresses, (("127.0.0.1", 8080), ("::1", 8080)))
        target = find_target("http://[::1]/time?a=b#c")
        self.assertEqual((target.host, target.path), ("[::1]", "/time?a=b"))
        self.assertEqual(target.addresses, (("::1", 80),))


TREE = json.dumps(hop_tree("frontend-prod", calls=1)).encode()
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(TREE), TREE)


class Peer(socketserver.ThreadingTCPServer):
    """Answers as `serve` says, which is called for each connection with its two files."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, serve):
        self.connections = 0
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                peer.connections += 1
                with contextlib.suppress(OSError):
                    serve(self.rfile, self.wfile)

        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.shutdown()
        self.server_close()


def requests_in(file):
    """The head of each request."""
    head = b""
    while line := file.readline():
        head += line
        if line == b"\r\n":
            yield head
            head = b""


def answering(*answers):
    """Serves each connection these answers, one for each request, and hangs up at the next one."""

    def serve(reader, writer):
        for answer, _ in zip((*answers, b""), requests_in(reader)):
            writer.write(answer)

    return serve


def run_load(url, count, rate=200, **arguments):
    """The records of `count` requests."""
    load = Load(url, rate, time_s=(count - 0.5) / rate, **arguments)
    load.start()
    load.wait()
    return load.records


class OneConnection(ProgramTest):
    """What the client makes of connections that are good, bad, and gone."""

    def peer(self, serve):
        return self.start(Peer(serve))

    def test_is_kept(self):
        def serve(reader, writer):
            for _ in requests_in(reader):
                writer.write(FINE)

        peer = self.peer(serve)
        load = self.start(Load(peer.uri, rate=50, waiting_max=1))
        eventually(lambda: len(load.records) >= 20, "requests")
        self.assertEqual(peer.connections, 1)

    def test_a_request_is_what_it_should_be(self):
        heads = []

        def serve(reader, writer):
            for head in requests_in(reader):
                heads.append(head)
                writer.write(FINE)

        peer = self.peer(serve)
        run_load(f"{peer.uri}a?b=c", 1, headers={"fail": "0.3"})
        host = peer.uri.removeprefix("http://").rstrip("/")
        lines = ["GET /a?b=c HTTP/1.1", f"Host: {host}", "Accept: application/json", "fail: 0.3"]
        self.assertEqual(heads[0].decode().split("\r\n"), [*lines, "", ""])

    def test_closed_between_two_requests_it_is_replaced_without_a_failure(self):
        peer = self.peer(answering(FINE))  # It reads a second request, and hangs up.
        records = run_load(peer.uri, 10, rate=20)
        self.assertEqual(failed(records), [])
        self.assertTrue(any(each.is_resent for each in records))

    def test_closed_before_any_answer_it_is_a_failure(self):
        records = run_load(self.peer(answering()).uri, 3)
        self.assertEqual({each.failure for each in records}, {"no answer: connection closed"})
        self.assertFalse(any(each.is_resent for each in records))

    def test_closed_in_the_middle_of_an_answer_it_is_a_failure(self):
        def serve(reader, writer):
            next(requests_in(reader))
            writer.write(FINE[:-5])

        records = run_load(self.peer(serve).uri, 3)
        words = "no answer: connection closed in the middle of an answer"
        self.assertEqual({each.failure for each in records}, {words})

    def test_that_is_said_to_be_closed_is_not_used_again(self):
        closing = FINE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
        peer = self.peer(answering(closing, b"HTTP/1.1 500 Never\r\nContent-Length: 0\r\n\r\n"))
        records = run_load(peer.uri, 5)
        self.assertEqual((failed(records), peer.connections), ([], 5))

    def test_that_resets_is_a_failure(self):
        dying = self.start(upstreams.DyingUpstream())
        failures = {each.failure for each in run_load(f"http://127.0.0.1:{dying.port}/", 3)}
        self.assertEqual(failures, {"no answer: connection reset by peer"})

    def test_that_babbles_is_a_failure(self):
        babbling = self.start(upstreams.BabblingUpstream())
        failures = {each.failure for each in run_load(f"http://127.0.0.1:{babbling.port}/", 3)}
        self.assertEqual(failures, {"no answer: not HTTP/1.1"})


class AgainstServers(ProgramTest):
    def test_the_rate_is_kept(self):
        hop = self.hop()
        records = run_load(hop.http_uri, 200, rate=100)
        self.assertEqual([each.outcome for each in records], [Outcome.OK] * 200)
        by_number = sorted(records)
        self.assertEqual([each.number for each in by_number], list(range(200)))
        for each in by_number:
            self.assertAlmostEqual(each.due_s, by_number[0].due_s + each.number / 100, places=6)
            self.assertGreater(each.start_s, each.due_s - 0.002)  # The granularity of epoll.
            self.assertGreater(each.end_s, each.start_s)

    def test_shares_are_right_with_two_versions(self):
        middle = [self.hop("middleware"), self.hop("middleware", version="canary")]
        addresses = "|".join(f"127.0.0.1:{hop.grpc_port}" for hop in middle)
        frontend = self.hop("frontend", upstream=f"grpc://{addresses}")
        versions = tally.Tally(run_load(frontend.http_uri, 200)).versions
        self.assertEqual(versions.total(), 200)
        for version in ("prod", "canary"):
            self.assertAlmostEqual(versions[version], 100, delta=20)

    def test_failures_are_named_by_hop_and_status(self):
        backend = self.hop("backend")
        frontend = self.hop("frontend", upstream=backend.grpc_uri)
        for fail, status, name in (
            ("backend=1", 500, "backend-prod INTERNAL"),
            ("backend=1:unavailable", 503, "backend-prod UNAVAILABLE"),
            ("frontend=1:429", 429, "frontend-prod RESOURCE_EXHAUSTED"),
        ):
            for each in run_load(frontend.http_uri, 5, headers={"fail": fail}):
                self.assertEqual(
                    (each.outcome, each.status, each.failure), (Outcome.HOP_FAILED, status, name)
                )

    def test_nobody_behind_a_hop_is_not_the_hops_failure(self):
        nobody = self.start(upstreams.RefusingUpstream())
        frontend = self.hop("frontend", upstream=f"grpc://127.0.0.1:{nobody.port}")
        failures = {each.failure for each in run_load(frontend.http_uri, 3)}
        self.assertEqual(failures, {"behind frontend-prod UNAVAILABLE"})

    def test_a_proxys_own_answer_is_told_apart(self):
        body = b"no healthy upstream"
        proxy = self.start(upstreams.HttpUpstream("503 Service Unavailable", body))
        for each in run_load(proxy.uri, 3):
            self.assertEqual(
                (each.outcome, each.failure),
                (Outcome.PROXY_ANSWERED, "503 from a proxy: no healthy upstream"),
            )

    def test_a_refused_connection_is_no_answer(self):
        nobody = self.start(upstreams.RefusingUpstream())
        for each in run_load(f"http://127.0.0.1:{nobody.port}/", 3):
            self.assertEqual(
                (each.outcome, each.status, each.failure),
                (Outcome.NO_ANSWER, 0, "no answer: connection refused"),
            )

    def test_silence_is_no_answer(self):
        silent = self.start(upstreams.SilentUpstream())
        records = run_load(f"http://127.0.0.1:{silent.port}/", 3, timeout_s=0.1)
        self.assertEqual({each.failure for each in records}, {"no answer: timed out"})

    def test_a_server_may_die_and_come_back(self):
        (port,) = network.free_ranges(1, 1)
        listen = {"HTTP_LISTEN": f"127.0.0.1:{port}"}
        with Hop(**listen) as hop, Load(f"http://127.0.0.1:{port}/", rate=100) as load:
            eventually(lambda: load.records, "an answer")
            hop.kill()
            refused = "no answer: connection refused"
            eventually(lambda: load.records[-1].failure == refused, "refusals")
            self.hop(**listen)
            eventually(lambda: load.records[-1].outcome is Outcome.OK, "answers again")
        bad = failed(load.records)
        self.assertEqual({each.outcome for each in bad}, {Outcome.NO_ANSWER})
        numbers = sorted(each.number for each in load.records)
        self.assertEqual(numbers, list(range(len(numbers))))

    def test_a_slow_server_does_not_slow_the_schedule(self):
        hop = self.hop()
        records = run_load(hop.http_uri, 50, rate=100, headers={"delay": "3s"})
        self.assertEqual(failed(records), [])
        self.assertLess(max(each.start_s for each in records), min(each.end_s for each in records))

    def test_what_there_is_no_room_for_is_told(self):
        silent = self.start(upstreams.SilentUpstream())
        load = Load(f"http://127.0.0.1:{silent.port}/", rate=200, waiting_max=5)
        load.start()
        eventually(lambda: len(load.records) >= 20, "requests that are not started")
        self.assertEqual((load.started, load.waiting), (5, 5))
        load.stop(patience_s=0)
        abandoned = [each.number for each in load.records if each.outcome is Outcome.ABANDONED]
        skipped = [each.number for each in load.records if each.outcome is Outcome.NOT_STARTED]
        self.assertEqual(sorted(abandoned), [0, 1, 2, 3, 4])
        self.assertEqual(skipped, list(range(5, 5 + len(skipped))))


@contextlib.contextmanager
def running_script(stdout=subprocess.PIPE, **settings):
    with subprocess.Popen(
        [build.ROOT / "scripts/load"],
        env={"PATH": os.environ["PATH"], **settings},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE if stdout == subprocess.PIPE else stdout,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()  # Unless it has ended, as it should.


class Script(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.shared_hop("frontend")

    def run_script(self, **settings):
        """Its exit status, standard output and standard error."""
        with running_script(**settings) as running:
            answers, said = running.communicate(timeout=PATIENCE_S)
        return running.returncode, answers, said

    def test_ends_with_a_summary_when_time_is_over(self):
        status, answers, said = self.run_script(URL=self.server.http_uri, RATE="50", TIME="1500ms")
        self.assertEqual((status, said), (0, ""))
        first, *seconds, summary = answers.partition("\n75 requests")[0].splitlines() + ["-"]
        self.assertEqual(first, f"{self.server.http_uri} 50 times a second, for 1.5 s")
        self.assertGreaterEqual(len(seconds), 1)
        for line in seconds:
            self.assertRegex(line, r"^ +[0-9]+ s +[0-9.]+/s  ok  100 %  prod  100 %  p50 ")
        self.assertRegex(answers, r"75 requests in .* s, [0-9]+/s: 75 ok \(100 %\), 0 failed\n")
        self.assertEqual(summary, "-")

    def test_succeeds_whatever_the_answers_are(self):
        status, answers, _ = self.run_script(URL=self.server.http_uri, TIME="500ms", FAIL="1:503")
        self.assertEqual(status, 0)
        self.assertIn("fail: 1:503", answers)
        self.assertIn("failures     10 x frontend-prod UNAVAILABLE\n", answers)

    def test_ctrl_c_ends_it_with_the_summary(self):
        with running_script(URL=self.server.http_uri) as running:
            running.stdout.readline()
            running.stdout.readline()
            running.send_signal(signal.SIGINT)
            answers, said = running.communicate(timeout=PATIENCE_S)
        self.assertEqual((running.returncode, said), (0, ""))
        self.assertRegex(answers, r"requests in [0-9.]+ s, ")

    def test_ctrl_c_does_not_wait_for_those_who_never_answer(self):
        silent = self.start(upstreams.SilentUpstream())
        with running_script(URL=f"http://127.0.0.1:{silent.port}/", TIMEOUT="1h") as running:
            silent.wait_for_a_request(PATIENCE_S)
            running.send_signal(signal.SIGINT)
            answers, said = running.communicate(timeout=PATIENCE_S)
        self.assertEqual((running.returncode, said), (0, ""))
        self.assertIn("were still waiting for their answers", answers)

    def test_what_a_standstill_made_late_is_not_sent_in_a_burst(self):
        with running_script(URL=self.server.http_uri, RATE="100") as running:
            for _ in range(2):
                running.stdout.readline()
            running.send_signal(signal.SIGSTOP)
            time.sleep(2)  # The standstill itself.
            running.send_signal(signal.SIGCONT)
            soon = itertools.islice(running.stdout, 10)
            self.assertTrue(any("not started" in line for line in soon))
            running.send_signal(signal.SIGINT)
            self.assertIn("x this machine was too busy\n", running.stdout.read())

    def test_a_terminal_gets_one_line_that_is_rewritten(self):
        ours, theirs = pty.openpty()
        with running_script(theirs, URL=self.server.http_uri, TIME="2500ms") as running:
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # EIO: the other side is closed.
                while piece := os.read(ours, 4096):
                    shown += piece
        os.close(ours)
        self.assertEqual(running.returncode, 0)
        first, line, summary, *_ = shown.decode().split("\r\n")
        self.assertIn("20 times a second", first)
        self.assertGreaterEqual(line.count("\r"), 2)
        for version in line.split("\r")[1:]:
            self.assertRegex(version, r"^ +[0-9]+ s .*\x1b\[K$")
        self.assertRegex(summary, r"^50 requests in ")

    def test_it_ends_when_nobody_reads_any_more(self):
        with running_script(URL=self.server.http_uri) as running:
            running.stdout.readline()
            running.stdout.close()
            self.assertEqual(running.wait(PATIENCE_S), 0)
            self.assertEqual(running.stderr.read(), "")

    def test_a_bad_setting_is_one_clear_line(self):
        for settings, words in (
            ({"RATE": "many"}, "RATE: 'many'"),
            ({"RATE": "0"}, "RATE: '0'"),
            ({"RATE": "-1"}, "RATE: '-1'"),
            ({"RATE": "nan"}, "RATE: 'nan'"),
            ({"RATE": "1e9"}, "RATE: '1e9'"),
            ({"TIME": "soon"}, "TIME: 'soon'"),
            ({"TIME": "0s"}, "TIME: '0s'"),
            ({"TIMEOUT": "5 s"}, "TIMEOUT: '5 s'"),
            ({"HTTP_PORT": "65536"}, "HTTP_PORT: '65536'"),
            ({"FAIL": "0.3\r\nhost: x"}, "FAIL: "),
            ({"DEV_USER": "\x7f"}, "DEV_USER: "),
            ({"URL": "https://localhost/"}, "URL: 'https://localhost/' is not http://"),
            ({"URL": "localhost:8080"}, "URL: 'localhost:8080' is not http://"),
            ({"URL": "http://localhost:port/"}, "URL: "),
            ({"URL": "http://a b/"}, "URL: "),
            ({"URL": "http://no-such-host.invalid/"}, "no-such-host.invalid"),
        ):
            with self.subTest(settings):
                status, answers, said = self.run_script(**settings)
                self.assertEqual((status, answers), (2, ""))
                self.assertRegex(said, rf"^load: [^\n]*{re.escape(words)}[^\n]*\n$")

    def test_help_tells_every_setting(self):
        told = subprocess.run(
            [build.ROOT / "scripts/load", "--help"], capture_output=True, text=True, check=True
        ).stdout
        for name in ("RATE", "TIME", "FAIL", "DELAY", "DEV_USER", "URL", "HTTP_PORT", "TIMEOUT"):
            self.assertRegex(told, rf"(?m)^  {name} ")

    def test_make_passes_the_settings_on(self):
        told = subprocess.run(
            ["make", "-s", "-C", build.ROOT, "load", f"HTTP_PORT={self.server.http_port}",
             "TIME=500ms", "RATE=10", "FAIL=1"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout  # fmt: skip
        self.assertIn("failures     5 x frontend-prod INTERNAL", told)
