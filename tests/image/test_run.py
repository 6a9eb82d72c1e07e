"""Both programs in the image, run as an orchestrator runs them."""

import pathlib
import tempfile

from harness import backend, build, http, image, otlp, rpc
from harness.case import ProgramTest, traced_to
from harness.dns import NameServer
from harness.programs import Program, run_collector, run_server
from harness.tls import HttpsUpstream
from harness.wait import eventually

NAME = "clock.outside"


def status_of(pid):
    """What the kernel says of a process, by name."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


class Starting(ProgramTest):
    def test_both_tell_their_version_and_their_settings(self):
        for name, run in (("tracehop-server", run_server), ("tracehop-collector", run_collector)):
            with self.subTest(program=name):
                version = image.archive().config["config"]["Labels"][
                    "org.opencontainers.image.version"
                ]
                self.assertEqual(run("--version"), (0, f"{name} {version}\n", ""))
                status, text, noise = run("--help")
                self.assertEqual((status, noise), (0, ""))
                self.assertIn("LOG_LEVEL", text)

    def test_without_any_setting_the_hop_serves_its_three_ports(self):
        hop = self.start(Program([build.program("tracehop-server")], {"OWN_NETWORK": "1"}))
        ports = hop.wait_until_ready()
        self.assertEqual(ports, {"http": 8080, "grpc": 9090, "admin": 9464})

    def test_without_any_setting_the_collector_serves_its_four_ports(self):
        collector = self.start(Program([build.program("tracehop-collector")], {"OWN_NETWORK": "1"}))
        ports = collector.wait_until_ready()
        self.assertEqual(
            ports, {"otlp-grpc": 4317, "otlp-http": 4318, "zipkin": 9411, "admin": 9465}
        )

    def test_they_run_as_nobody_in_particular(self):
        for program in (self.hop(), self.collector()):
            status = status_of(program.pid)
            self.assertEqual(status["Uid"], ["65532"] * 4)
            self.assertEqual(status["Gid"], ["65532"] * 4)
            self.assertEqual(status["Groups"], [])
            self.assertEqual(status["NoNewPrivs"], ["1"])
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(int(status[kind][0], 16), 0, kind)

    def test_their_root_is_the_images_and_read_only(self):
        hop = self.hop()
        mounted = pathlib.Path(f"/proc/{hop.pid}/mountinfo").read_text(encoding="utf-8")
        options = {line.split()[4]: line.split()[5].split(",") for line in mounted.splitlines()}
        self.assertIn("ro", options["/"])
        self.assertEqual(set(options), {"/", "/proc"})


class Hops(ProgramTest):
    def test_a_hop_serves_http_and_grpc_and_says_that_it_is_well(self):
        hop = self.hop("frontend")
        self.assertTrue(http.get(hop.http_port).text.startswith("frontend-prod - "))
        self.assertIn("<html", http.get(hop.http_port, headers={"Accept": "text/html"}).text)
        self.assertEqual(rpc.call(hop.grpc_port).reply.name, "frontend-prod")
        self.assertEqual(rpc.check(hop.grpc_port), "SERVING")
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(http.get(hop.admin_port, path).status, 200)

    def uris_of(self, hop):
        return (f"http://{NAME}:{hop.http_port}/time", f"grpc://{NAME}:{hop.grpc_port}")

    def assert_reaches(self, uri, mounts):
        hop = self.hop(upstream=uri, MOUNTS=mounts)
        outcome = rpc.call(hop.grpc_port)
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertNotEqual(outcome.reply.upstreams[0].WhichOneof("outcome"), "failure", outcome)

    def a_file(self, text):
        file = self.start(tempfile.NamedTemporaryFile("w", encoding="ascii"))
        file.write(text)
        file.flush()
        pathlib.Path(file.name).chmod(0o644)
        return file.name

    def test_names_are_found_in_the_hosts_file(self):
        hosts = self.a_file(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
        for uri in self.uris_of(self.hop("clock")):
            with self.subTest(uri=uri):
                self.assert_reaches(uri, image.mounts(hosts=hosts))

    def test_names_are_asked_of_the_name_server(self):
        for uri in self.uris_of(self.hop("clock")):
            with self.subTest(uri=uri), NameServer(NAME) as server:
                resolver = self.a_file(f"nameserver {server.address}\n")
                self.assert_reaches(uri, image.mounts(resolver=resolver))
                self.assertIn(NAME, server.asked)

    def test_short_names_are_completed_as_a_cluster_wants(self):
        for uri in self.uris_of(self.hop("clock")):
            name = f"{NAME}.svc.cluster.local"
            with self.subTest(uri=uri), NameServer(name) as server:
                resolver = self.a_file(
                    f"search demo.svc.cluster.local svc.cluster.local cluster.local\n"
                    f"nameserver {server.address}\noptions ndots:5\n"
                )
                self.assert_reaches(uri, image.mounts(resolver=resolver))
                self.assertIn(name, server.asked)

    def test_https_is_believed_when_a_certificate_of_the_image_vouches_for_it(self):
        server = self.start(HttpsUpstream(NAME))
        hosts = self.a_file(f"127.0.0.1 {NAME}\n")
        uri = f"https://{NAME}:{server.port}/"
        hop = self.hop(
            upstream=uri, MOUNTS=image.mounts(hosts=hosts, certificates=server.certificate)
        )
        self.assertEqual(rpc.call(hop.grpc_port).reply.upstreams[0].http.body, "fine")

    def test_and_only_then(self):
        server = self.start(HttpsUpstream(NAME))
        hosts = self.a_file(f"127.0.0.1 {NAME}\n")
        hop = self.hop(upstream=f"https://{NAME}:{server.port}/", MOUNTS=image.mounts(hosts=hosts))
        outcome = rpc.call(hop.grpc_port)
        self.assertEqual(outcome.code, "UNAVAILABLE")
        self.assertIn("certificate", outcome.message)


class Collectors(ProgramTest):
    def test_a_collector_without_destinations_needs_no_place_to_write(self):
        collector = self.start_collector_without_volume()
        hop = self.hop("frontend", **traced_to(collector))
        trace_id = rpc.call(hop.grpc_port).reply.trace_id
        eventually(
            lambda: http.get(collector.admin_port, f"/api/v3/traces/{trace_id}").status == 200,
            "the collector shows the hop's trace",
        )

    def start_collector_without_volume(self):
        return self.collector(journal_dir=f"{image.STATE}/journal")

    def test_a_collector_serves_all_that_it_should(self):
        collector = self.start_collector_without_volume()
        self.assertEqual(rpc.check(collector.grpc_port), "SERVING")
        for path in ("/healthz", "/readyz", "/metrics", "/status"):
            self.assertEqual(http.get(collector.admin_port, path).status, 200)

    def test_the_journal_is_in_the_volume(self):
        target = self.start(backend.Backend())
        folder = self.journal_dir()
        collector = self.collector(target.grpc_uri, journal_dir=folder)
        outcome = otlp.export(collector.grpc_port, otlp.numbered(1))
        self.assertEqual(outcome.code, "OK", outcome)
        self.assertEqual(len(target.wait_for(1)), 1)
        owners = {path.stat().st_uid for path in pathlib.Path(folder).rglob("*")}
        self.assertEqual(owners, {65532})

    def test_a_journal_without_a_volume_is_refused_at_once(self):
        status, answers, said = run_collector(
            JOURNAL_DIR=f"{image.STATE}/journal", RELAY_TO="grpc://127.0.0.1:1"
        )
        self.assertEqual((status != 0, answers), (True, ""))
        self.assertIn(f"{image.STATE}/journal", said)
        self.assertIn("Read-only file system", said)
