"""Foreign programs that run in the background: what one says goes to a file, and is shown when it
ends too early.
"""

import contextlib
import subprocess

from harness import build
from harness.wait import PATIENCE_S, eventually

_STOP_PATIENCE_S = 10
_SHOWN_BYTES = 4000


class Daemon(contextlib.ExitStack):
    """A program of .tools/bin, with a folder for what it says."""

    def __init__(self, folder, name, *options, environment=None, wrapper=()):
        super().__init__()
        self.name = name
        self._path = folder / f"{name}.log"
        with contextlib.ExitStack() as starting:
            log = starting.enter_context(open(self._path, "wb"))
            self._process = subprocess.Popen(
                [*wrapper, build.tool(name), *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            starting.callback(self._stop)
            self.push(starting.pop_all())

    def _stop(self):
        self._process.terminate()
        try:
            self._process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def is_running(self):
        return self._process.poll() is None

    @property
    def log(self):
        return self._path.read_text("utf-8", "replace")

    def wait_until(self, is_ready, what, timeout_s=PATIENCE_S):
        """What is_ready() returns, once it is true; it may fail to connect until then."""

        def look():
            if not self.is_running():
                raise AssertionError(f"{self.name} ended:\n{self.log[-_SHOWN_BYTES:]}")
            with contextlib.suppress(OSError):
                return is_ready()
            return False

        return eventually(look, f"{self.name}: {what}", timeout_s)

    def resident_bytes(self):
        with open(f"/proc/{self._process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * 4096
