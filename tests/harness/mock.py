"""The backend that tests can bend, and the source of load: tests/mock."""

import json
import subprocess
import threading

from harness import build, http
from harness.programs import Program
from harness.wait import PATIENCE_S, eventually

_STOP_PATIENCE_S = 60


class Look:
    """What the mock has seen of the ids that were asked for."""

    def __init__(self, members):
        self.wanted = members["wanted"]
        self.found = members["found"]
        self.duplicates = members["duplicates"]
        self.missing = members["missing"]

    @property
    def is_complete(self):
        return self.found == self.wanted

    def __repr__(self):
        return f"{self.found} of {self.wanted}, {self.duplicates} again, missing: {self.missing}"


class Mock(Program):
    """A strict backend for OTLP/gRPC and OTLP/HTTP; scripts are those of tests/mock/script.h.
    What it had to refuse as no relay may send it fails the test at the end.
    """

    def __init__(self, *script, **settings):
        super().__init__([build.program("tests/mock/mock_backend")], settings)
        ports = self.wait_until_ready()
        self.grpc_port, self.http_port, self._control_port = (
            ports[front] for front in ("otlp-grpc", "otlp-http", "control")
        )
        self.follow(*script)

    @property
    def grpc_uri(self):
        return f"grpc://127.0.0.1:{self.grpc_port}"

    @property
    def http_uri(self):
        return f"http://127.0.0.1:{self.http_port}"

    def _ask(self, method, path, body=None):
        with http.Client(self._control_port) as client:
            answer = client.request(method, path, body=body)
        assert answer.status == 200, answer
        return answer

    def follow(self, *rules):
        """Behaves so from now on; without rules it takes everything."""
        self._ask("POST", "/script", "\n".join(rules).encode())

    @property
    def counts(self):
        return self._ask("GET", "/counts").json

    def look(self, *ranges):
        """What was seen of the ids in these ranges: (first, end), end not included."""
        lines = "".join(f"{first} {end}\n" for first, end in ranges)
        return Look(self._ask("POST", "/look", lines.encode()).json)

    def wait_for(self, *ranges, timeout_s=PATIENCE_S):
        """The Look, once every id in these ranges has come."""
        eventually(
            lambda: self.look(*ranges).is_complete,
            f"all of {_shown(ranges)} arrive; {self.look(*ranges)}; {self.counts}",
            timeout_s,
        )
        return self.look(*ranges)

    def wait_for_requests(self, count, timeout_s=PATIENCE_S):
        eventually(lambda: self.counts["requests"] >= count, f"{count} requests arrive", timeout_s)

    def stop(self):
        counts = None if self._stopped else self.counts
        super().stop()
        if counts and counts["violations"]:
            raise AssertionError(f"the mock was sent what no relay may send: {counts}")


def _shown(ranges):
    return f"{len(ranges)} ranges" if len(ranges) > 3 else str(ranges)


class Load:
    """span_load: spans whose ids count up, sent to `target` (grpc://... or http://...) until it is
    stopped. Options are its flags: spans, span_bytes, in_flight, requests, first_id.
    """

    def __init__(self, target, **options):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self._news = threading.Condition()
        self._acknowledged = 0
        self._figures = None
        self._process = subprocess.Popen(
            [build.program("tests/mock/span_load"), f"--target={target}", *flags],
            env=build.sanitizer_options(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._news:
                if line.startswith("acknowledged "):
                    self._acknowledged = int(line.split()[1])
                else:
                    self._figures = json.loads(line)
                self._news.notify_all()

    @property
    def acknowledged(self):
        """How many spans were acknowledged so far, or a little earlier."""
        with self._news:
            return self._acknowledged

    def wait_for_acknowledged(self, count, timeout_s=PATIENCE_S):
        with self._news:
            if not self._news.wait_for(lambda: self._acknowledged >= count, timeout_s):
                raise AssertionError(f"{self._acknowledged} spans acknowledged, not {count}")

    def finish(self):
        """Stops sending, or waits for the last request when their number was given; the figures.
        Once.
        """
        self._process.stdin.close()
        status = self._process.wait(_STOP_PATIENCE_S)
        self._reader.join(_STOP_PATIENCE_S)
        complaints = self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        if status != 0 or complaints:
            raise AssertionError(f"span_load ended with status {status}: {complaints}")
        return self._figures

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()


def send(target, **options):
    """Runs a load to its end: its figures."""
    with Load(target, **options) as load:
        return load.finish()
