"""grpcurl: reflection, every service, failures, and streams that change."""

import json
import pathlib
import subprocess
import tempfile
import time

from harness import build
from harness.case import Chain, ProgramTest

HOP = "tracehop.v1.Hop"
HEALTH = "grpc.health.v1.Health"
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVICES = (HOP, HEALTH, *REFLECTIONS)
STRANGER = """
syntax = "proto3";
package tracehop.v1;
message Nothing {}
service Hop { rpc Vanish(Nothing) returns (Nothing); }
service Stranger { rpc Call(Nothing) returns (Nothing); }
"""


def command(port, *arguments, options=()):
    return [build.tool("grpcurl"), "-plaintext", *options, f"127.0.0.1:{port}", *arguments]


def grpcurl(port, *arguments, options=()):
    """Runs grpcurl to its end; what it printed, and what it complained."""
    ended = subprocess.run(
        command(port, *arguments, options=options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.stdout, ended.stderr


class Grpcurl(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.chain = cls.start_shared(Chain())
        cls.port = cls.chain.frontend.grpc_port

    def assert_prints(self, *arguments, options=()):
        printed, complained = grpcurl(self.port, *arguments, options=options)
        self.assertEqual(complained, "")
        return printed

    def test_list_names_every_service(self):
        self.assertEqual(sorted(self.assert_prints("list").split()), sorted(SERVICES))

    def test_list_names_the_methods_of_each(self):
        methods = {
            HOP: ["Call"],
            HEALTH: ["Check", "Watch"],
            **{reflection: ["ServerReflectionInfo"] for reflection in REFLECTIONS},
        }
        for service, names in methods.items():
            self.assertEqual(
                self.assert_prints("list", service).split(), [f"{service}.{name}" for name in names]
            )

    def test_describe_knows_every_service_and_their_messages(self):
        self.assertIn("rpc Call ( .tracehop.v1.CallRequest )", self.assert_prints("describe", HOP))
        self.assertIn("returns ( stream", self.assert_prints("describe", HEALTH))
        for reflection in REFLECTIONS:
            self.assertIn("ServerReflectionInfo", self.assert_prints("describe", reflection))
        self.assertIn(
            "repeated .tracehop.v1.UpstreamResult upstreams = 9",
            self.assert_prints("describe", "tracehop.v1.CallReply"),
        )
        self.assertIn("oneof outcome", self.assert_prints("describe", "tracehop.v1.UpstreamResult"))

    def test_what_is_not_there_cannot_be_described(self):
        _, complained = grpcurl(self.port, "describe", "tracehop.v1.Nothing")
        self.assertIn("not found", complained.lower())

    def test_both_versions_of_reflection_answer(self):
        for reflection in REFLECTIONS:
            with self.subTest(reflection=reflection):
                printed = self.assert_prints(
                    f"{reflection}/ServerReflectionInfo", options=["-d", '{"list_services": "*"}']
                )
                services = json.loads(printed)["listServicesResponse"]["service"]
                self.assertEqual({service["name"] for service in services}, set(SERVICES))

    def test_a_call_runs_the_chain(self):
        reply = json.loads(self.assert_prints(f"{HOP}/Call"))
        names = [reply["name"]]
        while "hop" in reply["upstreams"][0]:
            reply = reply["upstreams"][0]["hop"]
            names.append(reply["name"])
        self.assertEqual(names, ["frontend-prod", "middleware-prod", "backend-prod"])

    def test_a_failure_is_told_with_its_details(self):
        printed, complained = grpcurl(
            self.port, f"{HOP}/Call", options=["-H", "fail: backend=1:unavailable"]
        )
        self.assertEqual(printed, "")
        self.assertIn("Code: Unavailable", complained)
        # The partial tree: grpcurl learns its type by reflection.
        self.assertIn("backend-prod", complained)
        self.assertIn("@type", complained)

    def test_check_answers_for_every_service_that_is_known(self):
        for service in ("", *SERVICES):
            with self.subTest(service=service):
                request = json.dumps({"service": service})
                printed = self.assert_prints(f"{HEALTH}/Check", options=["-d", request])
                self.assertEqual(json.loads(printed), {"status": "SERVING"})

    def test_check_of_a_stranger_is_not_found(self):
        _, complained = grpcurl(self.port, f"{HEALTH}/Check", options=["-d", '{"service": "x"}'])
        self.assertIn("Code: NotFound", complained)

    def test_watch_streams_the_change_to_not_serving(self):
        hop = self.hop(DRAIN_GRACE="1s")
        watch = subprocess.Popen(
            command(hop.grpc_port, f"{HEALTH}/Watch", options=["-max-time", "60"]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with watch:
            self.assertEqual(read_message(watch.stdout), {"status": "SERVING"})
            hop.terminate()
            self.assertEqual(read_message(watch.stdout), {"status": "NOT_SERVING"})

    def test_an_unknown_method_is_unimplemented_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "stranger.proto").write_text(STRANGER, encoding="utf-8")
            options = ["-import-path", folder, "-proto", "stranger.proto"]
            for method in (f"{HOP}/Vanish", "tracehop.v1.Stranger/Call"):
                with self.subTest(method=method):
                    started = time.monotonic()
                    _, complained = grpcurl(self.port, method, options=options)
                    self.assertIn("Code: Unimplemented", complained)
                    self.assertLess(time.monotonic() - started, 5)


def read_message(stream):
    """The next JSON object of a stream that prints them over several lines."""
    text = ""
    for line in stream:
        text += line
        try:
            return json.loads(text)
        except ValueError:
            continue
    raise AssertionError(f"the stream ended: {text!r}")
