"""scripts/demo without a mesh: what a newcomer runs first where there is no Envoy."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import urllib.parse

from harness import build, http
from harness.case import ProgramTest
from harness.collector import Collector
from harness.demo import Demo
from harness.wait import eventually

HOPS = ("frontend-prod", "middleware-prod", "middleware-canary", "backend-prod", "clock")
PROCESSES = (*HOPS, "collector")


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class DemoTest(ProgramTest):
    def setUp(self):
        self.demo = self.start(Demo(MESH="none"))

    def assert_nothing_is_left(self):
        self.assertFalse(self.demo.state.exists())
        self.assertEqual(self.listening(), [])

    def listening(self):
        """The ports of the demo on which somebody listens."""
        return [port for port in self.demo.ports() if is_listening(port)]

    def test_start_returns_when_the_chain_answers_and_stop_ends_it(self):
        started = self.demo.run("start")
        self.assertEqual((started.returncode, started.stderr), (0, ""))
        for word in (*PROCESSES, f"http://localhost:{self.demo.http}/", "curl", "fail:", "grpcurl"):
            self.assertIn(word, started.stdout)
        middle = [http.get(self.demo.http).text.splitlines()[1].split(" ")[2] for _ in range(6)]
        self.assertEqual(set(middle), {"middleware-prod", "middleware-canary"})
        self.assertEqual(self.demo.run("stop").returncode, 0)
        self.assert_nothing_is_left()

    def test_each_answer_says_where_its_trace_is_and_there_it_is(self):
        self.demo.run("start")
        answer = http.get(self.demo.http)
        url = urllib.parse.urlsplit(answer.headers["x-trace-url"])
        self.assertEqual(url.port, self.demo.collector)

        def services():
            found = http.get(url.port, url.path)
            if found.status != 200:
                return None
            spans = json.loads(found.text)["result"]["resourceSpans"]
            return {
                attribute["value"]["stringValue"]
                for of_resource in spans
                for attribute in of_resource["resource"]["attributes"]
                if attribute["key"] == "service.name"
            }

        everybody = {"frontend", "middleware", "backend", "clock"}
        eventually(lambda: services() == everybody, "the spans of all hops are in the trace")

    def test_relay_to_passes_the_spans_on(self):
        backend = self.start(Collector())
        uri = backend.grpc_endpoint.replace("http://", "grpc://")
        self.demo.environment["RELAY_TO"] = uri
        self.assertIn(uri, self.demo.run("start").stdout)
        trace_id = http.get(self.demo.http).headers["x-trace-id"]
        names = {span.service for span in backend.wait_for_spans(13, trace_id)}
        self.assertEqual(names, {"frontend", "middleware", "backend", "clock"})

    def test_without_a_mesh_there_are_no_steps(self):
        self.assertIn("Mesh    none", self.demo.must("start"))
        refused = self.demo.run("ingress")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("without a mesh", refused.stderr)

    def test_steps_need_a_demo_that_runs(self):
        for verb in ("step", "reset", "retry"):
            refused = self.demo.run(verb)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("make demo", refused.stderr)

    def test_stop_is_fine_when_nothing_runs(self):
        for _ in range(2):
            stopped = self.demo.run("stop")
            self.assertEqual((stopped.returncode, stopped.stdout, stopped.stderr), (0, "", ""))

    def test_it_runs_in_the_foreground_until_ctrl_c(self):
        with subprocess.Popen(
            [build.ROOT / "scripts/demo", "run"],
            env=self.demo.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            for line in running.stdout:
                if "See" in line:
                    break
            self.assertEqual(http.get(self.demo.http).status, 200)
            running.send_signal(signal.SIGINT)
            rest = running.stdout.read()
        self.assertEqual(running.returncode, 0)
        for name in PROCESSES:
            self.assertRegex(rest, rf"(?m)^{name} +\| ")
        self.assert_nothing_is_left()

    def test_a_second_one_is_refused(self):
        self.demo.run("start")
        second = self.demo.run("start")
        self.assertEqual(second.returncode, 1)
        self.assertIn("runs already", second.stderr)
        self.assertEqual(http.get(self.demo.http).status, 200)

    def test_a_taken_port_is_told_before_anything_starts(self):
        taken = self.start(socket.create_server(("127.0.0.1", self.demo.grpc + 2)))
        started = self.demo.run("start")
        self.assertEqual(started.returncode, 1)
        for word in (
            str(taken.getsockname()[1]),
            "middleware-canary",
            f"GRPC_PORT={self.demo.grpc}",
        ):
            self.assertIn(word, started.stderr)
        self.assertFalse(self.demo.state.exists())

    def test_when_one_hop_dies_the_others_are_ended_and_its_name_is_told(self):
        self.demo.run("start")
        os.kill(self.pid_of("backend-prod"), signal.SIGKILL)
        told = self.demo.state / "supervisor.log"
        eventually(told.exists, "the supervisor gives up")
        eventually(lambda: "backend-prod ended" in told.read_text(encoding="utf-8"), "it says why")
        self.demo.run("stop")
        self.assert_nothing_is_left()

    def test_hops_do_not_outlive_a_supervisor_that_was_killed(self):
        self.demo.run("start")
        os.kill(int((self.demo.state / "supervisor").read_text(encoding="ascii")), signal.SIGKILL)

        eventually(lambda: not self.listening(), "all processes end")
        self.assertEqual(self.demo.run("start").returncode, 0)

    def pid_of(self, hop):
        """Each hop has its role and version in its environment."""
        role, version = hop.split("-")
        wanted = {
            f"ROLE={role}",
            f"VERSION={version}",
            f"HTTP_LISTEN=127.0.0.1:{self.demo.http + 4}",
        }
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_text("utf-8", "replace").split("\0")
            except OSError:
                continue
            if wanted <= set(environment):
                return int(process.name)
        raise AssertionError(f"no process of {hop}")
