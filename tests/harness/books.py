"""The collector's books: what /status says of each destination, and the identity that holds
whatever happens: received = delivered + queued + rejected + expired + lost.
"""

from harness import http, metrics
from harness.wait import PATIENCE_S, eventually


class Books:
    """Of one destination, in spans."""

    def __init__(self, members):
        self.name = members["name"]
        self.received = members["received"]
        self.delivered = members["delivered"]
        self.queued = members["queued"]
        self.rejected = members["rejected"]
        self.expired = members["expired"]
        self.lost = members["lost"]
        self.members = members

    @property
    def left(self):
        """All that is not queued any more."""
        groups = (self.rejected, self.expired, self.lost)
        return self.delivered + sum(sum(group.values()) for group in groups)

    def check(self):
        assert self.received == self.queued + self.left, f"the books do not balance: {self}"
        return self

    def __repr__(self):
        return repr(self.members)


def status(collector):
    answer = http.get(collector.admin_port, "/status")
    assert answer.status == 200, answer
    return answer.json


def read(collector):
    """The books of every destination, in the order of RELAY_TO; each is checked."""
    return [Books(members).check() for members in status(collector)["destinations"]]


def read_one(collector):
    (books,) = read(collector)
    return books


def wait_until_settled(collector, timeout_s=PATIENCE_S):
    """The books, once nothing is queued for any destination."""
    eventually(
        lambda: all(books.queued == 0 for books in read(collector)),
        "nothing is queued any more",
        timeout_s,
    )
    return read(collector)


def refused(collector, **labels):
    """How many requests were refused, by the labels of the counter."""
    return metrics.read(collector).total("tracehop_collector_refused_requests_total", **labels)
