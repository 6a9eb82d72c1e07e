"""scripts/demo, on ports and in folders of its own."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import build, network

_PORTS_OF_A_ROW = 6
_PORTS_OF_THE_MESH = 50


class Demo:
    """A demo that is not running yet. What it leaves behind goes with the context."""

    def __init__(self, **environment):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tracehop-demo-"))
        self.state = self.folder / "demo"
        self.http, self.grpc, self.admin, self.collector = network.free_ranges(4, _PORTS_OF_A_ROW)
        [self.mesh] = network.free_ranges(1, _PORTS_OF_THE_MESH)
        self.environment = {
            **os.environ,
            **build.sanitizer_options(),
            "DEMO_BUILD": str(build.folder()),
            "DEMO_STATE": str(self.state),
            "DEMO_JOURNAL": str(self.folder / "journal"),
            "HTTP_PORT": str(self.http),
            "GRPC_PORT": str(self.grpc),
            "ADMIN_PORT": str(self.admin),
            "MESH_PORT": str(self.mesh),
            "COLLECTOR_PORT": str(self.collector),
            "OTLP_GRPC_PORT": str(self.collector + 1),
            "OTLP_HTTP_PORT": str(self.collector + 2),
            "ZIPKIN_PORT": str(self.collector + 3),
            **environment,
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("stop")
        shutil.rmtree(self.folder)

    def run(self, verb):
        """The completed process of one of its commands."""
        return subprocess.run(
            [build.ROOT / "scripts/demo", verb],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def must(self, verb):
        """What a command that has to succeed says."""
        done = self.run(verb)
        if done.returncode != 0 or done.stderr:
            logs = "".join(path.read_text("utf-8", "replace") for path in self.state.glob("*.log"))
            raise AssertionError(f"demo {verb}: {done.stdout}{done.stderr}{logs[-4000:]}")
        return done.stdout

    def ports(self):
        """All that a demo may listen on."""
        rows = (self.http, self.grpc, self.admin, self.collector)
        ports = [base + number for base in rows for number in range(_PORTS_OF_A_ROW)]
        return [*ports, *range(self.mesh, self.mesh + _PORTS_OF_THE_MESH)]
