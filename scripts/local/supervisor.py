"""Starts all processes of the demo, passes on what they say, and ends all of them together."""

import os
import queue
import signal
import subprocess
import threading
import time
import urllib.request

from local.settings import DemoError

READY_TIMEOUT_S = 20
STOP_TIMEOUT_S = 15


def is_ready(process):
    try:
        with urllib.request.urlopen(process.ready_url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


class Supervisor:
    def __init__(self, processes, log_of):
        self._processes = processes
        self._log_of = log_of
        self._running = {}
        self._events = queue.Queue()

    def run(self, when_ready):
        """Returns 0 when it was told to stop; what ends by itself ends the demo."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._events.put(None))
        try:
            for process in reversed(self._processes):
                self._start(process)
                if not self._wait_until_ready(process):
                    return 0
            when_ready()
            ended = self._events.get()
            if ended:
                raise DemoError(f"{ended.name} ended by itself")
            return 0
        finally:
            self._stop()

    def _start(self, process):
        # The kernel ends one whose supervisor was killed; its own session keeps Ctrl-C for us.
        running = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *process.command],
            env={**os.environ, **process.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        follower = threading.Thread(target=self._follow, args=(process, running), daemon=True)
        follower.start()
        self._running[process] = running, follower

    def _follow(self, process, running):
        write = self._log_of(process)
        for line in running.stderr:
            write(line.decode("utf-8", "backslashreplace").rstrip("\n"))
        running.wait()
        self._events.put(process)

    def _wait_until_ready(self, process):
        """Whether it is ready; not when the demo was told to stop before that."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_ready(process):
            try:
                ended = self._events.get(timeout=0.02)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise DemoError(
                        f"{process.name} is not ready after {READY_TIMEOUT_S} s"
                    ) from None
                continue
            if ended is None:
                return False
            raise DemoError(f"{ended.name} ended while the demo was starting")
        return True

    def _stop(self):
        for process in self._processes:
            running, follower = self._running.get(process, (None, None))
            if running and running.poll() is None:
                running.terminate()
                try:
                    running.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    running.kill()
            if follower:
                follower.join()
