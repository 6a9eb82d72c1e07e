"""What every row of the benchmark is made of: loads, yardsticks, and the table."""

import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import time

from harness import http
from harness.programs import Program

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
THREADS = max(1, (os.cpu_count() + 1) // 2)

MiB = 1024 * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Measured(Program):
    """One of our programs, ready to be asked, at the ports given in `settings`. `start_s` is how
    long that took.
    """

    def __init__(self, command, admin_port, settings):
        self.admin_port = admin_port
        started = time.monotonic()
        super().__init__(
            command,
            {
                "ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
                "LOG_LEVEL": "warning",
                "DRAIN_GRACE": "0s",
                **settings,
            },
        )
        while not self._answers():
            time.sleep(0.001)
        self.start_s = time.monotonic() - started

    def _answers(self):
        try:
            return http.get(self.admin_port, "/readyz").status == 200
        except ConnectionError:
            return False

    def memory_bytes(self, figure):
        """VmRSS: resident now; RssAnon: of that, what no file backs; VmHWM: the most so far."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{figure}:\s+(\d+) kB$", status, re.MULTILINE).group(1)) * 1024


class Yardstick(Program):
    """One of the programs of this folder; says its port when it listens."""

    def __init__(self, build, name, *arguments):
        super().__init__([build / "tests/bench" / name, *arguments], {})
        self.port = self.wait_for_log("listening")["port"]


_POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{content_type}"
local file = io.open("{file}", "rb")
wrk.body = file:read("*a")
"""


@contextlib.contextmanager
def file_of(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


def wrk(port, path="/", body=None, content_type=""):
    """Requests/s over HTTP from 32 connections: GET, or POST when there is a body."""
    with file_of(body or b"") as file:
        script = _POST.format(content_type=content_type, file=file).encode() if body else b""
        with file_of(script) as script_file:
            said = subprocess.run(
                ["wrk", "-t1", "-c32", f"-d{SECONDS}s", *(["-s", script_file] if body else ()),
                 f"http://127.0.0.1:{port}{path}"],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"bench: not every request was answered well\n{said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))


def h2load(port, path, message=b"", headers=()):
    """Calls/s over gRPC: 4 connections with 32 calls each."""
    fields = {"content-type": "application/grpc", "te": "trailers", **dict(headers)}
    with file_of(b"\0" + len(message).to_bytes(4, "big") + message) as body:
        said = subprocess.run(
            ["h2load", "-t1", "-c4", "-m32", f"-D{SECONDS}", "--warm-up-time=1", "-d", body,
             *(f"-H{name}: {value}" for name, value in fields.items()),
             f"http://127.0.0.1:{port}{path}"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    if not re.search(r" 0 failed, 0 errored, 0 timeout", said):
        raise SystemExit(f"bench: not every call was answered\n{said}")
    return float(re.search(r"finished in [\d.]+s, ([\d.]+) req/s", said).group(1))


def in_turns(*loads):
    """The median of each load over the rounds."""
    figures = [[load() for load in loads] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*figures)]


class Table:
    """Rows as they are measured, printed at the end."""

    _WIDTHS = (58, 16, 29, 8, 10, 4)

    def __init__(self):
        self._rows = []
        self.notes = []
        self.is_met = True

    def add(self, what, ours, yardstick, ratio, target, is_met):
        self._rows.append((what, ours, yardstick, ratio, target, "yes" if is_met else "NO"))
        self.is_met = self.is_met and is_met
        print(f"  {what}: {ours} ({ratio or yardstick}; target {target})", flush=True)

    def print(self):
        head = ("what", "ours", "yardstick", "ratio", "target", "met")
        for row in (head, *self._rows):
            cells = (f"{cell:{width}}" for cell, width in zip(row, self._WIDTHS))
            print(" ".join(cells).rstrip())
        for note in self.notes:
            print(f"* {note}")


def rate(value):
    return f"{value:,.0f}/s"


def add_ratio(table, what, ours, yardstick, yardstick_name, least):
    ratio = ours / yardstick
    table.add(what, rate(ours), f"{yardstick_name} {rate(yardstick)}", f"{ratio:.2f}",
              f">= {least:g}", ratio >= least)  # fmt: skip


def add_limit(table, what, value, unit, most):
    table.add(what, f"{value:.1f} {unit}", "", "", f"<= {most:g} {unit}", value <= most)
