"""Requests that start on schedule, whatever their answers do."""

import asyncio
import contextlib
import itertools
import threading
import time
import typing

from .answer import Outcome, Reading, no_answer, read_answer
from .http1 import Client, NoAnswer, find_target

# A request that would start later than this is not started: after a standstill (of this process, of
# the machine) what was missed is not sent in one burst.
_LATE_MAX_S = 1.0

_NO_ROOM = "too many were waiting for their answers"
_TOO_LATE = "this machine was too busy"


class Record(typing.NamedTuple):
    """One request of the schedule. Times are those of time.monotonic()."""

    number: int
    due_s: float
    start_s: float
    end_s: float
    is_resent: bool  # Its first connection was closed by the other end before it said anything.
    # As in Reading:
    outcome: Outcome
    status: int
    failure: str
    versions: tuple
    is_retried: bool
    calls: int
    note: str


class Load:
    """GET `url`, `rate` times a second, on a thread of its own: from start() until stop(), or for
    `time_s`. For each request due there is one Record, given to `take` on that thread when the
    request has ended; without `take` they gather in `records`, in the order of their ends.
    Raises ValueError for a bad url.
    """

    def __init__(
        self,
        url,
        rate=20,
        time_s=None,
        headers=(),
        timeout_s=15,
        waiting_max=500,
        take=None,
        when_over=lambda: None,
    ):
        pairs = headers.items() if isinstance(headers, dict) else headers
        accept = ("Accept", "application/json")
        self._client = Client(find_target(url), (accept, *pairs), timeout_s)
        self._rate = rate
        self._time_s = time_s
        self._waiting_max = waiting_max
        self.records = []
        self._take = take or self.records.append
        self._when_over = when_over
        self.started = 0
        self._waiting = set()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._is_scheduling = threading.Event()
        self._error = None

    @property
    def waiting(self):
        """How many requests wait for their answers."""
        return len(self._waiting)

    def start(self):
        self._thread.start()
        self._is_scheduling.wait()

    def stop(self, patience_s=None):
        """Starts no more requests, and returns when all have ended: those that have not within
        `patience_s` are abandoned, by default each has its time.
        """
        with contextlib.suppress(RuntimeError):  # It is over: its loop is closed.
            self._loop.call_soon_threadsafe(self._end, patience_s)
        self.wait()

    def wait(self):
        """Returns when time is over and all requests have ended."""
        self._thread.join()
        if self._error:
            raise self._error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def _run(self):
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # To be raised in the thread that waits for this one.
            self._error = error
        finally:
            self._is_scheduling.set()
            self._when_over()

    async def _serve(self):
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._schedule = tasks.create_task(self._follow_schedule(tasks))
                self._is_scheduling.set()
        finally:
            self._client.close()

    def _end(self, patience_s):
        self._schedule.cancel()
        if patience_s is not None:
            self._loop.call_later(patience_s, self._abandon)

    def _abandon(self):
        for task in self._waiting:
            task.cancel()

    async def _follow_schedule(self, tasks):
        first_s = time.monotonic()
        for number in itertools.count():
            due_s = first_s + number / self._rate  # From the first: nothing adds up.
            if self._time_s is not None and due_s >= first_s + self._time_s:
                return
            late_s = time.monotonic() - due_s
            if late_s > _LATE_MAX_S:
                self._skip(number, due_s, _TOO_LATE)
                continue
            await asyncio.sleep(max(-late_s, 0))  # Even for no time, so that answers are read.
            if len(self._waiting) >= self._waiting_max:
                self._skip(number, due_s, _NO_ROOM)
                continue
            task = tasks.create_task(self._request(number, due_s))
            self.started += 1
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    def _skip(self, number, due_s, why):
        now_s = time.monotonic()
        reading = Reading(Outcome.NOT_STARTED, failure=why)
        self._take(Record(number, due_s, now_s, now_s, False, *reading))

    async def _request(self, number, due_s):
        start_s = time.monotonic()
        is_resent = False
        try:
            answer, is_resent = await self._client.get()
            end_s = time.monotonic()
            reading = read_answer(answer.status, answer.body)
        except NoAnswer as silence:
            end_s = time.monotonic()
            reading = no_answer(silence)
        except asyncio.CancelledError:
            end_s = time.monotonic()
            reading = Reading(Outcome.ABANDONED)
        self._take(Record(number, due_s, start_s, end_s, is_resent, *reading))
