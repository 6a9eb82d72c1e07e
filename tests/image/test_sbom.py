"""The list of what the image is made of, as programs that look for weaknesses want it."""

import hashlib
import json
import unittest
import urllib.parse

from harness import image

STATUS = "var/lib/dpkg/status.d/"


def field(paragraph, name):
    return next(
        line.partition(": ")[2] for line in paragraph.splitlines() if line.startswith(f"{name}: ")
    )


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = image.archive().path.resolve()
        cls.document = json.loads(path.with_suffix(".cdx.json").read_text(encoding="utf-8"))
        cls.components = cls.document["components"]
        cls.libraries = [part for part in cls.components if part["type"] == "library"]

    def test_it_is_of_this_image(self):
        component = self.document["metadata"]["component"]
        self.assertEqual(component["name"], "tracehop")
        labels = image.archive().config["config"]["Labels"]
        self.assertEqual(component["version"], labels["org.opencontainers.image.version"])
        (digest,) = component["hashes"]
        self.assertEqual(f"sha256:{digest['content']}", image.archive().digest)

    def test_it_is_cyclonedx(self):
        self.assertEqual(
            [self.document[key] for key in ("bomFormat", "specVersion", "version")],
            ["CycloneDX", "1.5", 1],
        )
        references = [part["bom-ref"] for part in self.components]
        self.assertEqual(len(set(references)), len(references))
        (all_of_them,) = self.document["dependencies"]
        self.assertEqual(all_of_them["dependsOn"], references)

    def test_every_file_that_is_not_ours_is_of_exactly_one_package(self):
        told = [
            place["location"].lstrip("/")
            for part in self.libraries
            for place in part["evidence"]["occurrences"]
        ]
        there = [path for path in image.files() if path.startswith(("usr/lib", "etc/ssl/"))]
        self.assertEqual(sorted(told), sorted(there))

    def test_it_has_the_version_of_each_package_and_its_source(self):
        for part in self.libraries:
            with self.subTest(package=part["name"]):
                paragraph = image.files()[STATUS + part["name"]].decode()
                self.assertEqual(part["version"], field(paragraph, "Version"))
                url = urllib.parse.urlsplit(part["purl"])
                self.assertEqual(url.scheme, "pkg")
                path = f"deb/debian/{part['name']}@{part['version']}"
                self.assertEqual(urllib.parse.unquote(url.path), path)
                qualifiers = dict(urllib.parse.parse_qsl(url.query))
                self.assertEqual(qualifiers["distro"], "debian-12")
                self.assertEqual(qualifiers["arch"], field(paragraph, "Architecture"))

    def test_packages_are_told_with_the_source_that_advisories_name(self):
        source = {
            part["name"]: dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(part["purl"]).query))
            for part in self.libraries
        }
        self.assertEqual(source["libc6"]["upstream"], "glibc")
        self.assertEqual(source["libssl3"]["upstream"], "openssl")
        self.assertRegex(source["libgrpc29"]["upstream"], r"^grpc(@1\.51\.\S+)?$")

    def test_most_licences_have_a_name(self):
        named = [part for part in self.libraries if part.get("licenses")]
        self.assertGreater(len(named), len(self.libraries) / 2)

    def test_it_has_our_programs_by_their_digests(self):
        ours = [part for part in self.components if part["type"] == "application"]
        self.assertEqual({part["name"] for part in ours}, {"tracehop-server", "tracehop-collector"})
        for part in ours:
            content = image.files()[f"usr/bin/{part['name']}"]
            self.assertEqual(part["hashes"][0]["content"], hashlib.sha256(content).hexdigest())

    def test_scanners_find_the_packages_in_the_image_itself(self):
        packages = {
            path.removeprefix(STATUS)
            for path in image.files()
            if path.startswith(STATUS) and not path.endswith(".md5sums")
        }
        self.assertEqual(packages, {part["name"] for part in self.libraries})
        self.assertIn(b"ID=debian\n", image.files()["usr/lib/os-release"])

    def test_what_dpkg_would_check_is_what_is_there(self):
        for path, content in image.files().items():
            if path.startswith(STATUS) and path.endswith(".md5sums"):
                for line in content.decode().splitlines():
                    digest, _, name = line.partition("  ")
                    self.assertEqual(hashlib.md5(image.files()[name]).hexdigest(), digest, name)
