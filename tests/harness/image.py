"""The image under test, run as an orchestrator would run it: as its own user, with no capabilities
and no new privileges, its root read-only.

A folder that prepare() has made looks like a build, so that whatever starts a build's programs can
start the image's.
"""

import functools
import subprocess

from container.archive import Archive
from harness import build

# The one place for what shall stay.
STATE = "/var/lib/tracehop"

_WRAPPER = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec unshare --mount ${{OWN_NETWORK:+--net}} {folder}/enter {program} "$@"
"""
# MOUNTS are files of a test that stand in for the container's, SOURCE:TARGET; a JOURNAL_DIR is one
# of this machine's. Of the three capabilities that chroot needs nothing is left once it has become
# the user.
_ENTER = """\
#!/bin/sh
set -e
root={folder}/root user={user} state={state}
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
mount --bind /proc "$root/proc"
for pair in $MOUNTS; do
    mount --bind "${{pair%%:*}}" "$root${{pair#*:}}"
done
if [ -d "$JOURNAL_DIR" ]; then
    chown "$user" "$JOURNAL_DIR"
    mount --bind "$JOURNAL_DIR" "$root$state"
    JOURNAL_DIR=$state
fi
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \\
    chroot --userspec="$user" --groups= "$root" "$@"
"""


def prepare(archive_path, folder):
    """Unpacks an archive into an empty folder, as root. The folder's path has no blanks."""
    archive = Archive(archive_path)
    root = folder / "root"
    archive.unpack(root)
    # What every runtime adds.
    (root / "proc").mkdir()
    for name in ("hosts", "resolv.conf"):
        (root / "etc" / name).touch()
    (folder / "archive").symlink_to(archive_path.resolve())
    # The messages that tests speak: of the same sources, but not in the image.
    subprocess.run([build.ROOT / "scripts/build", "release", "proto/descriptors.binpb"], check=True)
    (folder / "proto").symlink_to(build.ROOT / "build/release/proto")
    user = archive.config["config"]["User"]
    _write_script(folder / "enter", _ENTER.format(folder=folder, user=user, state=STATE))
    for program in (root / "usr/bin").iterdir():
        path = f"/usr/bin/{program.name}"
        _write_script(folder / program.name, _WRAPPER.format(folder=folder, program=path))


def _write_script(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@functools.cache
def archive():
    return Archive(build.program("archive"))


@functools.cache
def members():
    return archive().members()


@functools.cache
def files():
    return archive().files()


def root():
    """The unpacked image, with nothing mounted."""
    return build.program("root")


def mounts(**sources):
    """The setting with which files of the test are the container's: mounts(hosts=PATH)."""
    targets = {
        "hosts": "/etc/hosts",
        "resolver": "/etc/resolv.conf",
        "certificates": "/etc/ssl/certs/ca-certificates.crt",
    }
    return " ".join(f"{source}:{targets[name]}" for name, source in sources.items())
