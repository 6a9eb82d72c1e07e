"""What an operator sees: probes, metrics, health."""

import grpc

from harness import http, metrics, rpc
from harness.case import ProgramTest
from harness.upstreams import RefusingUpstream

OPENMETRICS = "application/openmetrics-text"


class Probes(ProgramTest):
    def test_a_hop_is_healthy_and_ready(self):
        hop = self.hop()
        for path in ("/healthz", "/readyz"):
            self.assertEqual(http.get(hop.admin_port, path).status, 200)

    def test_readiness_does_not_depend_on_the_next_hop(self):
        dead = self.start(RefusingUpstream())
        hop = self.hop(upstream=f"grpc://127.0.0.1:{dead.port}")
        self.assertEqual(rpc.call(hop.grpc_port).code, "UNAVAILABLE")
        self.assertEqual(http.get(hop.admin_port, "/readyz").status, 200)
        self.assertEqual(rpc.check(hop.grpc_port), "SERVING")

    def test_the_admin_port_speaks_http_as_it_should(self):
        hop = self.hop()
        with http.Client(hop.admin_port) as client:
            for path in ("/healthz", "/readyz", "/metrics"):
                head = client.request("HEAD", path)
                self.assertEqual((head.status, head.body), (200, b""))
                post = client.request("POST", path)
                self.assertEqual(post.status, 405)
                self.assertIn("GET", post.headers["Allow"])
            for path in ("/", "/time", "/nothing"):
                self.assertEqual(client.get(path).status, 404)


class Metrics(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hop_under_test = cls.shared_hop("frontend")

    def page(self, accept=None):
        headers = {"Accept": accept} if accept else {}
        return http.get(self.hop_under_test.admin_port, "/metrics", headers)

    def test_prometheus_text_is_the_default(self):
        answer = self.page()
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertNotIn("# EOF", answer.text)

    def test_openmetrics_when_asked_for(self):
        answer = self.page(f"{OPENMETRICS};version=1.0.0,text/plain;q=0.5")
        self.assertEqual(answer.headers.get_content_type(), OPENMETRICS)
        self.assertTrue(answer.text.endswith("# EOF\n"))

    def test_every_family_is_described(self):
        for accept in (None, OPENMETRICS):
            text = self.page(accept).text
            described = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")}
            typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
            self.assertEqual(described, typed)
            for sample in metrics.Samples(text).names():
                family = {
                    sample.removesuffix(end)
                    for end in ("", "_total", "_bucket", "_sum", "_count", "_info")
                }
                self.assertTrue(family & typed, sample)

    def test_requests_are_counted_by_front_and_status(self):
        hop = self.hop()
        rpc.call(hop.grpc_port)
        rpc.call(hop.grpc_port, [("fail", "1:unavailable")])
        http.get(hop.http_port, headers={"fail": "1:404"})
        seen = metrics.read(hop)
        name = "tracehop_requests_total"
        self.assertEqual(seen.total(name, front="grpc", status="OK"), 1)
        self.assertEqual(seen.total(name, front="grpc", status="UNAVAILABLE"), 1)
        self.assertEqual(seen.total(name, front="http", status="NOT_FOUND"), 1)
        self.assertEqual(seen.total("tracehop_request_duration_seconds_count"), 3)

    def test_durations_have_the_trace_as_exemplar(self):
        trace_id = http.get(self.hop_under_test.http_port).headers["x-trace-id"]
        page = self.page(OPENMETRICS).text
        self.assertIn(f'# {{trace_id="{trace_id}"}}', page)

    def test_the_process_and_the_build_are_shown(self):
        names = metrics.read(self.hop_under_test).names()
        for name in (
            "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds",
            "tracehop_build_info",
        ):  # fmt: skip
            self.assertIn(name, names)

    def test_hostile_requests_grow_no_series(self):
        before = len(metrics.read(self.hop_under_test).names())
        with http.Client(self.hop_under_test.http_port) as client:
            for number in range(200):
                client.get(f"/path-{number}", {"x-dev-user": f"user-{number}"})
                client.get("/", {"fail": f"role-{number}=1"})
        self.assertEqual(len(metrics.read(self.hop_under_test).names()), before)


class Health(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.hop_under_test = cls.shared_hop()

    def test_check_knows_the_services(self):
        for service in ("", "tracehop.v1.Hop"):
            with self.subTest(service=service):
                self.assertEqual(rpc.check(self.hop_under_test.grpc_port, service), "SERVING")

    def test_check_does_not_know_others(self):
        for service in ("tracehop.v1.Hops", "x", "tracehop.v1.Hop/Call", "é" * 100):
            with self.subTest(service=service):
                self.assertEqual(rpc.check(self.hop_under_test.grpc_port, service), "NOT_FOUND")

    def test_watch_tells_the_state_at_once(self):
        with rpc.connect(self.hop_under_test.grpc_port) as channel:
            for service, state in (("", "SERVING"), ("nobody", "SERVICE_UNKNOWN")):
                with self.subTest(service=service):
                    stream = rpc.watch_on(channel, service)
                    self.assertEqual(rpc.health_name(next(stream)), state)
                    stream.cancel()

    def test_watchers_who_leave_are_forgotten(self):
        with rpc.connect(self.hop_under_test.grpc_port) as channel:
            for _ in range(200):
                stream = rpc.watch_on(channel)
                next(stream)
                stream.cancel()
        self.assertEqual(rpc.check(self.hop_under_test.grpc_port), "SERVING")

    def test_garbage_is_refused_and_breaks_nothing(self):
        with rpc.connect(self.hop_under_test.grpc_port) as channel:
            for path in (rpc.CHECK, rpc.CALL):
                for garbage in (b"\xff" * 10, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe"):
                    with self.subTest(path=path, garbage=garbage):
                        pending = channel.unary_unary(path).future(garbage, timeout=30)
                        self.assertIn(
                            pending.code(),
                            (
                                grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL,
                                grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK,
                            ),
                        )  # fmt: skip
        self.assertEqual(rpc.check(self.hop_under_test.grpc_port), "SERVING")

    def test_an_unknown_method_is_unimplemented_at_once(self):
        with rpc.connect(self.hop_under_test.grpc_port) as channel:
            for path in ("/tracehop.v1.Hop/Nothing", "/no.such.Service/Call", "/", "/x"):
                with self.subTest(path=path):
                    pending = channel.unary_unary(path).future(b"", timeout=5)
                    self.assertEqual(pending.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_a_message_too_large_is_refused(self):
        with rpc.connect(self.hop_under_test.grpc_port) as channel:
            pending = channel.unary_unary(rpc.CALL).future(b"\x0a" * (8 << 20), timeout=30)
            self.assertEqual(pending.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
