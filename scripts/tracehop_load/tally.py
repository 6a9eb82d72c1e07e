"""The arithmetic of many requests: pure, and of bounded size however many they are."""

import collections
import math

from .answer import Outcome

_DISTINCT_TEXTS_MAX = 100


class Tally:
    """Sums up records: those of a second, or of a whole run."""

    def __init__(self, records=()):
        self.ended = 0  # Those that were started and not abandoned.
        self.ok = 0
        self.with_tree = 0
        self.versions = collections.Counter()  # Of those with a tree.
        self.retried = 0  # The same.
        self.calls = 0
        self.with_calls = 0
        self.failures = collections.Counter()
        self.notes = collections.Counter()
        self.latencies = collections.Counter()  # Of answers, by rounded seconds.
        self.not_started = collections.Counter()  # By reason.
        self.abandoned = 0
        self.started = 0
        self.first_start_s = math.inf
        self.last_start_s = -math.inf
        self.late_max_s = 0.0
        for record in records:
            self.add(record)

    @property
    def failed(self):
        return self.ended - self.ok

    @property
    def rate(self):
        """With which they were started; None of less than two."""
        between_s = self.last_start_s - self.first_start_s
        return (self.started - 1) / between_s if self.started > 1 and between_s > 0 else None

    @property
    def calls_per_request(self):
        """None: unknown."""
        return self.calls / self.with_calls if self.with_calls else None

    def latency(self, share):
        """The latency that this share of the answers did not exceed; None without answers."""
        return percentile(self.latencies, share)

    def add(self, record):
        if record.outcome is Outcome.NOT_STARTED:
            self.not_started[record.failure] += 1
            return
        self._add_start(record)
        if record.outcome is Outcome.ABANDONED:
            self.abandoned += 1
            return
        self.ended += 1
        if record.outcome is Outcome.OK:
            self.ok += 1
        else:
            _count(self.failures, record.failure)
        if record.note:
            _count(self.notes, record.note)
        if record.status:
            self.latencies[round_latency(record.end_s - record.start_s)] += 1
        self._add_tree(record)

    def _add_start(self, record):
        self.started += 1
        self.first_start_s = min(self.first_start_s, record.start_s)
        self.last_start_s = max(self.last_start_s, record.start_s)
        self.late_max_s = max(self.late_max_s, record.start_s - record.due_s)

    def _add_tree(self, record):
        if not record.versions:
            return
        self.with_tree += 1
        self.retried += record.is_retried
        for version in record.versions:
            _count(self.versions, version)
        if record.calls:
            self.with_calls += 1
            self.calls += record.calls


def _count(counter, text):
    """Others choose the text: of too many, the rest is one."""
    if text not in counter and len(counter) >= _DISTINCT_TEXTS_MAX:
        text = "others"
    counter[text] += 1


def round_latency(seconds):
    """To three digits, so that there are not too many different ones."""
    if seconds < 1e-6:
        return 0.0
    return round(seconds, 2 - math.floor(math.log10(seconds)))


def percentile(counts, share):
    """The smallest value that `share` of all values do not exceed (nearest rank); None of none."""
    rank = math.ceil(share * counts.total())
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None
