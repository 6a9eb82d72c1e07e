"""Processes under test. A program is ready when it says so, and must end cleanly: exit status 0,
nothing on standard output, and nothing but log lines on standard error (where a sanitizer would
have its say).
"""

import json
import os
import signal
import subprocess
import threading

from harness import build
from harness.wait import PATIENCE_S

_STOP_PATIENCE_S = 30


class Program:
    """A running program that logs JSON lines."""

    def __init__(self, command, settings):
        self.name = str(command[0])
        self.lines = []
        self.noise = []
        self._news = threading.Condition()
        self._ended = False
        self._stopped = False
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env={**build.sanitizer_options(), **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def is_running(self):
        return self._process.poll() is None

    def _read_log(self):
        for raw in self._process.stderr:
            text = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            try:
                line = json.loads(text)
            except ValueError:
                line = None
            with self._news:
                if isinstance(line, dict):
                    self.lines.append(line)
                else:
                    self.noise.append(text)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def logged(self, message):
        """The log lines with this message so far."""
        with self._news:
            return [line for line in self.lines if line.get("message") == message]

    def wait_for_log(self, message, timeout_s=PATIENCE_S):
        """The first line with this message, once there is one."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._has(message), timeout_s)
            if not self._has(message):
                raise AssertionError(f"{self.name} never logged {message!r}\n{self._said()}")
            return next(line for line in self.lines if line.get("message") == message)

    def _has(self, message):
        return any(line.get("message") == message for line in self.lines)

    def _said(self):
        return "\n".join([*(json.dumps(line) for line in self.lines[-20:]), *self.noise])

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * 4096

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def terminate(self):
        self._process.send_signal(signal.SIGTERM)

    def wait(self):
        """The exit status, once the program has ended."""
        status = self._process.wait(_STOP_PATIENCE_S)
        self._reader.join(_STOP_PATIENCE_S)
        return status

    def wait_until_ready(self):
        """The ports it listens on, by the names of its fronts. Once; it is gone if it fails."""
        try:
            self.wait_for_log("ready")
        except AssertionError:
            self._process.kill()
            self.wait()
            raise
        return {line["front"]: line["port"] for line in self.logged("listening")}

    def kill(self):
        """Ends the program in the middle of whatever it does, as a crash would. Nothing is asked of
        its end, but that it had nothing to complain of until then.
        """
        if self._stopped:
            return
        self._stopped = True
        self._process.kill()
        self.wait()
        self._close()
        assert not self.noise, self._said()

    def _close(self):
        answers = self._process.stdout.read()
        self._process.stdout.close()
        self._process.stderr.close()
        return answers

    def stop(self):
        """Ends the program as an orchestrator would, and fails unless it goes cleanly. Once."""
        if self._stopped:
            return
        self._stopped = True
        if self.is_running():
            self.terminate()
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.wait()
            raise AssertionError(f"{self.name} ignored SIGTERM\n{self._said()}") from None
        finally:
            answers = self._close()
        if status != 0 or self.noise or answers:
            raise AssertionError(
                f"{self.name} ended with status {status}, standard output {answers!r}\n{self._said()}"
            )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


class Hop(Program):
    """One tracehop-server on ports that the system picks. Settings are its variables."""

    DEFAULTS = {
        "HTTP_LISTEN": "127.0.0.1:0",
        "GRPC_LISTEN": "127.0.0.1:0",
        "ADMIN_LISTEN": "127.0.0.1:0",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "DRAIN_GRACE": "0s",
        "OTEL_TRACES_EXPORTER": "none",
    }

    def __init__(self, role="hop", version="prod", upstream=(), flags=(), **settings):
        uris = [upstream] if isinstance(upstream, str) else list(upstream)
        super().__init__(
            [build.program("tracehop-server"), *flags],
            {
                **self.DEFAULTS,
                "ROLE": role,
                "VERSION": version,
                "UPSTREAM_URI": ",".join(uris),
                **{name: str(value) for name, value in settings.items()},
            },
        )
        self.name = f"{role}-{version}"
        ports = self.wait_until_ready()
        self.http_port, self.grpc_port, self.admin_port = (
            ports[front] for front in ("http", "grpc", "admin")
        )

    @property
    def grpc_uri(self):
        return f"grpc://127.0.0.1:{self.grpc_port}"

    @property
    def http_uri(self):
        return f"http://127.0.0.1:{self.http_port}/"

    @property
    def time_uri(self):
        return f"http://127.0.0.1:{self.http_port}/time"


class CollectorProgram(Program):
    """One tracehop-collector on ports that the system picks. Settings are its variables."""

    DEFAULTS = {
        "OTLP_GRPC_LISTEN": "127.0.0.1:0",
        "OTLP_HTTP_LISTEN": "127.0.0.1:0",
        "ZIPKIN_LISTEN": "127.0.0.1:0",
        "ADMIN_LISTEN": "127.0.0.1:0",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "DRAIN_GRACE": "0s",
    }

    def __init__(self, journal_dir, relay_to=(), **settings):
        uris = [relay_to] if isinstance(relay_to, str) else list(relay_to)
        super().__init__(
            [build.program("tracehop-collector")],
            {
                **self.DEFAULTS,
                "JOURNAL_DIR": str(journal_dir),
                "RELAY_TO": ",".join(uris),
                **{name: str(value) for name, value in settings.items()},
            },
        )
        ports = self.wait_until_ready()
        self.grpc_port, self.http_port, self.zipkin_port, self.admin_port = (
            ports[front] for front in ("otlp-grpc", "otlp-http", "zipkin", "admin")
        )

    @property
    def grpc_endpoint(self):
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_endpoint(self):
        return f"http://127.0.0.1:{self.http_port}"

    def peak_resident_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024


def _run(name, flags, settings):
    ended = subprocess.run(
        [build.program(name), *flags],
        env={**build.sanitizer_options(), **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=_STOP_PATIENCE_S,
    )
    return ended.returncode, ended.stdout, ended.stderr


def run_server(*flags, **settings):
    """Runs tracehop-server to its end: the exit status, standard output, standard error."""
    return _run("tracehop-server", flags, {**Hop.DEFAULTS, **settings})


def run_collector(*flags, **settings):
    """The same for tracehop-collector."""
    return _run("tracehop-collector", flags, {**CollectorProgram.DEFAULTS, **settings})


def refusal(*flags, **settings):
    """The one line with which tracehop-server refuses to start with these settings."""
    status, answers, said = run_server(*flags, **settings)
    lines = said.splitlines()
    if status != 2 or answers or len(lines) != 1:
        raise AssertionError(f"{flags} {settings}: status {status}, {answers!r}, {said!r}")
    return lines[0]
