"""What can be set, and what is said when it is set wrong."""

import re

from harness import http, rpc
from harness.build import ROOT
from harness.case import ProgramTest
from harness.programs import Hop, refusal, run_collector, run_server
from harness.upstreams import RefusingUpstream

BAD = {
    "ROLE": ("front end", "a/b", "a=b", "a;b"),
    "VERSION": ("1:2",),
    "HTTP_LISTEN": ("8080x", "0.0.0.0", ":", "0.0.0.0:65536", "0.0.0.0:-1", "[::1:80", "a b:1"),
    "GRPC_LISTEN": ("nowhere", "127.0.0.1:99999"),
    "ADMIN_LISTEN": ("127.0.0.1:http",),
    "UPSTREAM_URI": (
        "backend:9090", "ftp://backend:9090", "grpc://", "grpc://backend", "grpc://backend:0",
        "grpc://backend:70000", "http://", "grpc://a:1,,grpc://b:2x", "grpc://a:1|http://b:2",
        "http://user@host/", "http://host/#fragment", "http://ho st/",
    ),
    "OUTBOUND_PROXY": (
        "15001", "127.0.0.1", "127.0.0.1:0", ":15001", "grpc://127.0.0.1:15001", "127.0.0.1:15001/",
        "::1:15001", "user@127.0.0.1:15001",
    ),
    "UPSTREAM_TIMEOUT": ("10", "-1s", "soon", "0s", "1e9h", "10 s"),
    "UPSTREAM_ORDER": ("random",),
    "ON_UPSTREAM_FAILURE": ("ignore", "propagate,report"),
    "WORK": ("fibonaci",),
    "WORK_SLEEP_MAX": ("50", "-50ms"),
    "WORK_FIBONACCI_MAX": ("-1", "94", "many", "1.5"),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("http/json", "udp"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("collector:4317", "ftp://collector:4317"),
    "OTEL_PROPAGATORS": ("b3multi,jaeger", "b4"),
    "OTEL_TRACES_SAMPLER": ("sometimes",),
    "OTEL_SDK_DISABLED": ("maybe",),
    "OTEL_RESOURCE_ATTRIBUTES": ("no-equals-sign",),
    "OTEL_BSP_SCHEDULE_DELAY": ("5s", "-1"),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("0", "lots"),
    "FAULT_SEED": ("seed", "-1"),
    "LOG_LEVEL": ("loud",),
    "LOG_FORMAT": ("xml",),
}


class Refusals(ProgramTest):
    def test_a_bad_value_stops_the_start_with_one_line_that_names_it(self):
        for name, values in BAD.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.assertIn(name, refusal(**{name: value}))

    def test_a_ratio_must_be_a_probability(self):
        for ratio in ("2", "-0.1", "half"):
            with self.subTest(ratio=ratio):
                line = refusal(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=ratio)
                self.assertIn("OTEL_TRACES_SAMPLER_ARG", line)

    def test_values_that_contradict_each_other_are_refused(self):
        self.assertIn("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", refusal(
            OTEL_BSP_MAX_QUEUE_SIZE="10", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="20"
        ))
        self.assertIn("grpc://a:1|b:2", refusal(
            OUTBOUND_PROXY="127.0.0.1:15001", UPSTREAM_URI="grpc://a:1|b:2"
        ))

    def test_a_bad_flag_is_named(self):
        self.assertIn("--no-such-flag", refusal("--no-such-flag", "x"))
        self.assertIn("--role", refusal("--role"))
        self.assertIn("stray", refusal("stray"))

    def test_a_port_that_is_taken_is_named(self):
        taken = self.start(RefusingUpstream())
        for name in ("HTTP_LISTEN", "GRPC_LISTEN", "ADMIN_LISTEN"):
            with self.subTest(name=name):
                address = f"127.0.0.1:{taken.port}"
                status, answers, said = run_server(**{name: address})
                self.assertNotEqual(status, 0)
                self.assertEqual(answers, "")
                self.assertIn(address, said)


class Answers(ProgramTest):
    def test_help_is_the_table_on_standard_output(self):
        status, answers, said = run_server("--help")
        self.assertEqual((status, said), (0, ""))
        for name in (
            "ROLE", "VERSION", "SERVICE_NAME", "UPSTREAM_TIMEOUT", "FORWARD_HEADERS", "TRACE_URL",
            *BAD,
        ):
            with self.subTest(name=name):
                self.assertIn(name, answers)
                self.assertIn("--" + name.lower().replace("_", "-"), answers)

    def test_the_readme_has_every_setting_and_its_default(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        for title, run in (("of a hop", run_server), ("of the collector", run_collector)):
            with self.subTest(title):
                _, answers, _ = run("--help")
                told = dict(re.findall(r"^  ([A-Z_]+) +--[a-z-]+ *(\S*)$", answers, re.MULTILINE))
                table = re.split(r"^#+ ", readme.partition(f"# Settings {title}\n")[2], 1, re.MULTILINE)
                rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(\S*)`)? ?\|", table[0], re.MULTILINE)
                self.assertEqual(dict(rows), told)

    def test_version_is_told_on_standard_output(self):
        status, answers, said = run_server("--version")
        self.assertEqual((status, said), (0, ""))
        self.assertRegex(answers, r"^tracehop-server \d+\.\d+\.\d+")

    def test_the_variable_works(self):
        hop = self.hop("frontend", version="canary")
        self.assertEqual(rpc.call(hop.grpc_port).reply.name, "frontend-canary")

    def test_an_empty_value_counts_as_unset(self):
        hop = self.start(Hop("frontend", version=""))
        self.assertEqual(rpc.call(hop.grpc_port).reply.name, "frontend-prod")

    def test_a_flag_wins_over_the_variable(self):
        hop = self.start(Hop("frontend", flags=("--role", "backend", "--version", "canary")))
        self.assertEqual(rpc.call(hop.grpc_port).reply.name, "backend-canary")

    def test_a_trace_url_is_linked(self):
        hop = self.hop(TRACE_URL="http://jaeger.test/trace/{trace_id}?x=1")
        answer = http.get(hop.http_port)
        self.assertEqual(
            answer.headers["x-trace-url"],
            f"http://jaeger.test/trace/{answer.headers['x-trace-id']}?x=1",
        )
        page = http.get(hop.http_port, headers={"Accept": "text/html"})
        self.assertIn(page.headers["x-trace-id"], page.text)

    def test_without_a_trace_url_there_is_none(self):
        self.assertNotIn("x-trace-url", http.get(self.hop().http_port).headers)
