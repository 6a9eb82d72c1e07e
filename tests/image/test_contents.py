"""What is in the image, and that there is nothing else."""

import pathlib
import posixpath
import re
import subprocess
import unittest

from harness import image

PROGRAMS = {"usr/bin/tracehop-server", "usr/bin/tracehop-collector"}
STATE = image.STATE.lstrip("/")
# Beside programs and libraries: names, certificates, which Debian this is, and, of each package
# that something is from, its licence and what dpkg knows.
DATA = re.compile(
    r"etc/(passwd|group|nsswitch\.conf|os-release)|etc/ssl/certs/ca-certificates\.crt"
    r"|usr/lib/os-release|usr/share/doc/[^/]+/copyright|usr/share/common-licenses/[^/]+"
    r"|var/lib/dpkg/status\.d/[^/]+"
)
LIBRARY = re.compile(r"(lib|lib64|usr/lib|usr/lib64)/.*\.so[.0-9]*")
MAX_COMPRESSED_BYTES, MAX_UNPACKED_BYTES = 15_000_000, 40_000_000


def resolve(path):
    """Where a path of the image leads, all its links followed."""
    members, steps = image.members(), 0
    parts, done = path.strip("/").split("/"), []
    while parts:
        done.append(parts.pop(0))
        member = members.get("/".join(done))
        if member is None:
            raise AssertionError(f"/{path}: there is no /{'/'.join(done)}")
        if member.issym():
            steps += 1
            assert steps < 10, f"/{path} leads nowhere"
            target = posixpath.normpath(posixpath.join("/", *done[:-1], member.linkname))
            parts, done = [*target.strip("/").split("/"), *parts], []
    return "/".join(done)


def loaded_by(program):
    """The libraries that the image's own loader finds in it for a program, itself included."""
    (loader,) = image.root().glob("usr/lib/*/ld-linux*.so.*")
    inside = f"/{loader.relative_to(image.root())}"
    told = subprocess.run(
        ["chroot", image.root(), inside, "--list", f"/{program}"],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    assert "not found" not in told, told
    return {resolve(path) for path in re.findall(r"(/\S+) \(0x", told)}


class Contents(unittest.TestCase):
    def test_nothing_but_programs_libraries_and_a_few_kinds_of_data(self):
        for path, member in image.members().items():
            with self.subTest(path=path):
                if member.isdir() or path in PROGRAMS or path in ("lib", "lib64"):
                    continue
                self.assertTrue(DATA.fullmatch(path) or LIBRARY.fullmatch(path))

    def test_every_library_is_one_that_a_program_loads(self):
        loaded = set().union(*(loaded_by(program) for program in PROGRAMS))
        there = {
            path
            for path, member in image.members().items()
            if member.isfile() and LIBRARY.fullmatch(path)
        }
        self.assertEqual(there, loaded)

    def test_nothing_can_be_executed_but_programs_and_libraries(self):
        for path, member in image.members().items():
            if member.isfile() and member.mode & 0o111:
                self.assertTrue(path in PROGRAMS or LIBRARY.fullmatch(path), path)

    def test_every_folder_has_something_in_it(self):
        paths = image.members()
        for path, member in paths.items():
            if member.isdir() and path != STATE:
                self.assertTrue(any(other.startswith(f"{path}/") for other in paths), path)

    def test_every_link_leads_somewhere_in_the_image(self):
        for path, member in image.members().items():
            if member.issym():
                self.assertIn(resolve(path), image.members())

    def test_all_is_roots_and_for_nobody_else_to_write_but_the_one_folder_for_state(self):
        for path, member in image.members().items():
            if path == STATE:
                continue
            with self.subTest(path=path):
                self.assertEqual((member.uid, member.gid), (0, 0))
                self.assertTrue(member.issym() or not member.mode & 0o022, oct(member.mode))

    def test_the_folder_for_state_is_the_users_and_nobody_elses(self):
        state = image.members()[STATE]
        self.assertEqual((state.uid, state.gid, state.mode & 0o7777), (65532, 65532, 0o700))

    def test_there_are_no_setuid_files_and_no_devices(self):
        for path, member in image.members().items():
            with self.subTest(path=path):
                self.assertTrue(member.isfile() or member.isdir() or member.issym())
                self.assertFalse(member.mode & 0o7000)

    def test_the_programs_have_no_symbols_for_debuggers(self):
        for program in PROGRAMS:
            self.assertNotIn(b".debug_info", image.files()[program])

    def test_its_user_has_a_name(self):
        lines = image.files()["etc/passwd"].decode().splitlines()
        self.assertIn(["tracehop", "x", "65532", "65532"], [line.split(":")[:4] for line in lines])

    def test_names_of_hosts_are_looked_up_in_the_hosts_file_first(self):
        self.assertIn("hosts: files dns", image.files()["etc/nsswitch.conf"].decode().splitlines())

    def test_the_certificates_are_those_of_many_authorities(self):
        bundle = image.files()["etc/ssl/certs/ca-certificates.crt"]
        self.assertGreater(bundle.count(b"BEGIN CERTIFICATE"), 100)

    def test_the_licence_of_each_package_comes_along_with_what_it_refers_to(self):
        texts = image.files()
        packages = {
            pathlib.PurePath(path).name
            for path in texts
            if path.startswith("var/lib/dpkg/status.d/") and not path.endswith(".md5sums")
        }
        for package in packages:
            with self.subTest(package=package):
                text = texts[f"usr/share/doc/{package}/copyright"].decode()
                for name in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text):
                    self.assertIn(f"usr/share/common-licenses/{name}", texts)

    def test_layers_know_no_time(self):
        self.assertEqual({member.mtime for member in image.members().values()}, {0})

    def test_it_is_small(self):
        self.assertLess(image.archive().compressed_bytes, MAX_COMPRESSED_BYTES)
        self.assertLess(image.archive().unpacked_bytes, MAX_UNPACKED_BYTES)
