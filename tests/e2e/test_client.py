"""tracehop-server --call: a client for places that have no other."""

from harness.case import ProgramTest
from harness.programs import run_server
from harness.upstreams import HttpUpstream, RefusingUpstream


class Client(ProgramTest):
    def assert_usage(self, *flags):
        status, output, complaint = run_server(*flags)
        self.assertEqual((status, output), (2, ""))
        self.assertEqual(complaint.count("\n"), 1, complaint)
        self.assertTrue(complaint.startswith("tracehop-server: "), complaint)

    def test_a_call_over_grpc_prints_the_tree(self):
        clock = self.hop("clock")
        backend = self.hop("backend", upstream=clock.grpc_uri)
        status, output, noise = run_server("--call", backend.grpc_uri)
        self.assertEqual((status, noise), (0, ""))
        lines = output.splitlines()
        self.assertRegex(lines[0], r"^call - \d+\.\d+secs$")
        self.assertRegex(lines[1], rf"^{backend.grpc_uri} -> backend-prod - \S+, attempt 1$")
        self.assertRegex(lines[2], rf"^{clock.grpc_uri} -> clock-prod - \S+, attempt 1$")
        self.assertEqual(lines[3], "2 calls for one request")

    def test_so_does_one_over_http(self):
        backend = self.hop("backend")
        status, output, noise = run_server(f"--call={backend.http_uri}")
        self.assertEqual((status, noise), (0, ""))
        self.assertIn("-> backend-prod - ", output)

    def test_its_headers_go_out_as_given(self):
        upstream = self.start(HttpUpstream())
        status, _, _ = run_server(
            "--call", upstream.uri, "--header", "X-Team: mesh:a, b", "--header=fail: 0.1"
        )
        self.assertEqual(status, 0)
        [arrival] = upstream.arrivals.take(1)
        self.assertEqual(arrival.one("x-team"), "mesh:a, b")
        self.assertEqual(arrival.one("fail"), "0.1")

    def test_a_call_that_fails_is_printed_and_fails(self):
        backend = self.hop("backend")
        status, output, noise = run_server("--call", backend.grpc_uri, "--header", "fail: 1:503")
        self.assertEqual((status, noise), (1, ""))
        self.assertIn("failed: UNAVAILABLE", output)
        self.assertIn("(at backend-prod)", output)

    def test_so_is_one_that_nobody_answers(self):
        nobody = self.start(RefusingUpstream())
        for uri in (f"grpc://127.0.0.1:{nobody.port}", f"http://127.0.0.1:{nobody.port}/"):
            status, output, _ = run_server("--call", uri)
            self.assertEqual(status, 1)
            self.assertIn("failed: UNAVAILABLE", output)

    def test_its_timeout_is_a_setting(self):
        backend = self.hop("backend")
        status, output, _ = run_server(
            "--call", backend.grpc_uri, "--header", "delay: 20s", "--upstream-timeout", "100ms"
        )
        self.assertEqual(status, 1)
        self.assertIn("failed: DEADLINE_EXCEEDED", output)

    def test_what_makes_no_sense_is_told_in_one_line(self):
        uri = "grpc://127.0.0.1:1"
        self.assert_usage("--call")
        self.assert_usage("--call", "nowhere")
        self.assert_usage("--call", f"{uri},{uri}")
        self.assert_usage("--call", uri, "--header")
        self.assert_usage("--call", uri, "--header", "fail")
        self.assert_usage("--call", uri, "--header", ": 1")
        self.assert_usage("--call", uri, "--header", "fail: \x01")
        self.assert_usage("--header", "fail: 1")
        self.assert_usage("--call", uri, "--loud")
