"""What an image is made of, as a CycloneDX 1.5 document: the Debian packages, as the image itself
names them in var/lib/dpkg/status.d, and which files it has of each.
"""

import email
import hashlib
import re
import urllib.parse

_STATUS = "var/lib/dpkg/status.d/"
_PROGRAMS = "usr/bin/"


def sbom_of(archive, name, version):
    """The document of an Archive, for json.dumps. The same image makes the same document."""
    files = archive.files()
    texts = {path: files[path].decode() for path in files if not _is_binary(path)}
    release = _os_release(texts["usr/lib/os-release"])
    programs = [path for path in sorted(files) if path.startswith(_PROGRAMS)]
    packages = [path for path in sorted(texts) if _is_status(path)]
    components = [
        _operating_system(release),
        *(_program(path, files[path], version) for path in programs),
        *(_package(path, texts, release) for path in packages),
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _image(archive, name, version)},
        "components": components,
        "dependencies": [
            {"ref": "image", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def _is_binary(path):
    return not path.startswith((_STATUS, "usr/share/doc/", "usr/lib/os-release"))


def _is_status(path):
    return path.startswith(_STATUS) and not path.endswith(".md5sums")


def _image(archive, name, version):
    return {
        "type": "container",
        "bom-ref": "image",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": archive.digest.partition(":")[2]}],
    }


def _os_release(text):
    return dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.MULTILINE))


def _operating_system(release):
    return {
        "type": "operating-system",
        "bom-ref": "operating-system",
        "name": release["ID"],
        "version": release["VERSION_ID"],
    }


def _program(path, content, version):
    return {
        "type": "application",
        "bom-ref": path,
        "name": path.removeprefix(_PROGRAMS),
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
        "evidence": {"occurrences": [{"location": f"/{path}"}]},
    }


def _package(status_path, texts, release):
    fields = _fields(texts[status_path])
    licences = _licences(texts[f"usr/share/doc/{fields['Package']}/copyright"])
    paths = _paths(texts[f"{status_path}.md5sums"])
    address = package_url(fields, release)
    component = {
        "type": "library",
        "bom-ref": address,
        "supplier": {"name": fields["Maintainer"]},
        "name": fields["Package"],
        "version": fields["Version"],
        "licenses": [{"license": {"name": licence}} for licence in licences],
        "purl": address,
        "evidence": {"occurrences": [{"location": f"/{path}"} for path in paths]},
    }
    if not licences:
        del component["licenses"]
    return component


def _fields(paragraph):
    """Of a paragraph of dpkg's the fields, by name."""
    return dict(email.message_from_string(paragraph))


def _paths(sums):
    return [line.partition("  ")[2] for line in sums.splitlines()]


def _licences(text):
    """The names of licences in a copyright file that a machine may read (Debian's copyright format
    1.0); none where it is prose.
    """
    if not text.startswith("Format:"):
        return []
    return sorted(set(re.findall(r"^License:[ \t]*(\S.*?)[ \t]*$", text, re.MULTILINE)))


def package_url(fields, release):
    """The package URL of a Debian package: advisories go by the name of its source."""
    source = fields.get("Source", fields["Package"])
    # A binary may be rebuilt of a source that keeps its version: "Source: name (version)".
    if parts := re.fullmatch(r"(\S+) \((\S+)\)", source):
        source = f"{parts[1]}@{parts[2]}"
    qualifiers = {
        "arch": fields["Architecture"],
        "distro": f"{release['ID']}-{release['VERSION_ID']}",
        "upstream": source,
    }
    told = "&".join(f"{key}={_escaped(value)}" for key, value in qualifiers.items())
    return f"pkg:deb/debian/{_escaped(fields['Package'])}@{_escaped(fields['Version'])}?{told}"


def _escaped(text):
    return urllib.parse.quote(text, safe="")
