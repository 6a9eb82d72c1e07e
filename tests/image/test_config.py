"""What the image says of itself, to engines and to people."""

import re
import subprocess
import unittest

from harness import build, image, programs

LABEL = "org.opencontainers.image."
# Debian's names, and Go's, which images use.
ARCHITECTURES = {"amd64": "amd64", "arm64": "arm64", "armhf": "arm", "ppc64el": "ppc64le"}


def project_version():
    text = (build.ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    return re.search(r"^project\(.* VERSION (\S+)", text, re.MULTILINE)[1]


def default_ports(run):
    """The ports that a program listens on when nothing is said, as its --help tells."""
    _, text, _ = run("--help")
    ports = re.findall(r"^ +\w+_LISTEN +--\S+ +\S+:(\d+)$", text, re.MULTILINE)
    return {int(port) for port in ports}


class Config(unittest.TestCase):
    def setUp(self):
        self.config = image.archive().config["config"]

    def label(self, name):
        return self.config["Labels"][LABEL + name]

    def test_its_user_is_not_root(self):
        self.assertEqual(self.config["User"], "65532:65532")

    def test_it_runs_the_hop_unless_another_program_is_named(self):
        self.assertEqual(self.config["Cmd"], ["/usr/bin/tracehop-server"])
        self.assertNotIn("Entrypoint", self.config)

    def test_it_is_stopped_with_the_signal_that_drains(self):
        self.assertEqual(self.config["StopSignal"], "SIGTERM")

    def test_it_tells_the_ports_of_both_programs(self):
        ports = default_ports(programs.run_server) | default_ports(programs.run_collector)
        self.assertEqual(len(ports), 7)
        self.assertEqual(set(self.config["ExposedPorts"]), {f"{port}/tcp" for port in ports})

    def test_the_journal_is_where_the_user_may_write(self):
        settings = dict(setting.split("=", 1) for setting in self.config["Env"])
        self.assertEqual(settings["JOURNAL_DIR"], f"{image.STATE}/journal")

    def test_labels_tell_what_it_is(self):
        self.assertEqual(self.label("title"), "tracehop")
        self.assertGreater(len(self.label("description")), 20)

    def test_its_version_is_the_projects(self):
        version = project_version()
        self.assertEqual(self.label("version"), version)
        dockerfile = (build.ROOT / "Dockerfile").read_text(encoding="utf-8")
        self.assertIn(f"\nARG VERSION={version}\n", dockerfile)

    def test_it_names_its_commit(self):
        self.assertRegex(self.label("revision"), r"^([0-9a-f]{40}(-dirty)?|unknown)$")

    def test_it_is_for_this_machine(self):
        debian = subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, check=True, text=True
        ).stdout.strip()
        self.assertEqual(image.archive().config["architecture"], ARCHITECTURES.get(debian, debian))
        self.assertEqual(image.archive().config["os"], "linux")


class Archive(unittest.TestCase):
    def test_engines_and_clusters_call_it_by_the_name_that_the_charts_have(self):
        name = f"tracehop:{project_version()}"
        (descriptor,) = image.archive().index["manifests"]
        full_name = descriptor["annotations"]["io.containerd.image.name"]
        self.assertEqual(full_name, f"docker.io/library/{name}")
        (docker,) = image.archive().docker_manifest
        self.assertEqual(docker["RepoTags"], [name])

    def test_both_forms_of_the_archive_are_the_same_image(self):
        (docker,) = image.archive().docker_manifest
        manifest = image.archive().manifest
        parts = [manifest["config"], *manifest["layers"]]
        self.assertEqual(
            [docker["Config"], *docker["Layers"]],
            [f"blobs/{part['digest'].replace(':', '/')}" for part in parts],
        )

    def test_programs_that_read_images_can_read_both(self):
        for transport in ("oci-archive", "docker-archive"):
            with self.subTest(transport=transport):
                told = subprocess.run(
                    ["skopeo", "inspect", f"{transport}:{image.archive().path.resolve()}"],
                    capture_output=True, check=False, text=True,
                )  # fmt: skip
                self.assertEqual(told.returncode, 0, told.stderr)
                self.assertIn(f'"{LABEL}title": "tracehop"', told.stdout)

    def test_what_changes_with_debian_is_a_layer_of_its_own(self):
        system, programs_layer, _ = image.archive().manifest["layers"]
        self.assertLess(programs_layer["size"], system["size"] / 20)
