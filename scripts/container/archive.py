"""One image in one file: an OCI image layout (image-spec, image-layout.md), with the manifest.json
beside it that `docker load` wants, as `docker save` writes both.
"""

import hashlib
import io
import json
import pathlib
import posixpath
import tarfile

# What pods and engines mean by a name without a registry.
_DEFAULT_REGISTRY = "docker.io/library/"


class Archive:
    """An archive to read: `config` and `manifest` are as the image specification says."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with tarfile.open(self.path) as archive:
            self._parts = {
                member.name: archive.extractfile(member).read()
                for member in archive
                if member.isfile()
            }
        self.index = json.loads(self._parts["index.json"])
        (descriptor,) = self.index["manifests"]
        self.digest = descriptor["digest"]
        self.manifest = json.loads(self._blob(descriptor))
        self.config = json.loads(self._blob(self.manifest["config"]))

    def _blob(self, descriptor):
        """The bytes of a part, which are those that its digest says."""
        blob = self._parts[blob_path(descriptor)]
        if f"sha256:{hashlib.sha256(blob).hexdigest()}" != descriptor["digest"]:
            raise ValueError(f"{self.path}: {descriptor['digest']} is something else")
        return blob

    @property
    def docker_manifest(self):
        return json.loads(self._parts["manifest.json"])

    @property
    def compressed_bytes(self):
        return sum(layer["size"] for layer in self.manifest["layers"])

    @property
    def unpacked_bytes(self):
        return sum(member.size for member in self.members().values())

    def layers(self):
        """Each layer as a tarfile."""
        for descriptor in self.manifest["layers"]:
            yield tarfile.open(fileobj=io.BytesIO(self._blob(descriptor)))

    def members(self):
        """All that is in the image but its root: a TarInfo by path, without a leading slash."""
        members = {}
        for layer in self.layers():
            with layer:
                members |= {_path_of(member): member for member in layer}
        members.pop(".", None)
        return members

    def files(self):
        """The bytes of each plain file in the image, by its path."""
        files = {}
        for layer in self.layers():
            with layer:
                for member in layer:
                    if member.isfile():
                        files[_path_of(member)] = layer.extractfile(member).read()
        return files

    def unpack(self, folder):
        """Makes the image's root of a folder, owners and modes included: as root only."""
        for layer in self.layers():
            with layer:
                layer.extractall(folder, numeric_owner=True)


def _path_of(member):
    return posixpath.normpath(member.name).lstrip("/")


def blob_path(descriptor):
    return f"blobs/{descriptor['digest'].replace(':', '/')}"


def write_archive(layout, path, name, tag, created):
    """Packs the one image of an OCI image layout, a folder, as NAME:TAG, made at that time (RFC
    3339). The same image makes the same archive, byte for byte.
    """
    blobs = _Blobs(pathlib.Path(layout))
    index = json.loads((blobs.layout / "index.json").read_bytes())
    (descriptor,) = index["manifests"]
    manifest = json.loads(blobs.read(descriptor))
    config = json.loads(blobs.read(manifest["config"]))
    for layer in manifest["layers"]:
        blobs.keep(layer)

    config["created"] = created
    for step in config["history"]:
        step["created"] = created
    manifest["config"] |= blobs.put(config)
    descriptor |= blobs.put(manifest)
    descriptor["annotations"] = {
        "io.containerd.image.name": f"{_DEFAULT_REGISTRY}{name}:{tag}",
        "org.opencontainers.image.ref.name": tag,
    }
    docker = {
        "Config": blob_path(manifest["config"]),
        "RepoTags": [f"{name}:{tag}"],
        "Layers": [blob_path(layer) for layer in manifest["layers"]],
    }
    _write_tar(
        path,
        {
            **blobs.parts,
            "oci-layout": (blobs.layout / "oci-layout").read_bytes(),
            "index.json": _json_bytes(index),
            "manifest.json": _json_bytes([docker]),
        },
    )


class _Blobs:
    """The blobs of an archive in the making, by their paths."""

    def __init__(self, layout):
        self.layout = layout
        self.parts = {}

    def read(self, descriptor):
        return (self.layout / blob_path(descriptor)).read_bytes()

    def keep(self, descriptor):
        self.parts[blob_path(descriptor)] = self.read(descriptor)

    def put(self, document):
        """What a descriptor says of it."""
        blob = _json_bytes(document)
        descriptor = {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
        self.parts[blob_path(descriptor)] = blob
        return descriptor


def _json_bytes(document):
    return json.dumps(document, separators=(",", ":")).encode()


def _write_tar(path, parts):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for part in sorted(parts):
            member = tarfile.TarInfo(part)
            member.size = len(parts[part])
            archive.addfile(member, io.BytesIO(parts[part]))
