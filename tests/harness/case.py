"""The base of every test of running programs."""

import contextlib
import tempfile
import unittest

from harness.programs import CollectorProgram, Hop


class ProgramTest(unittest.TestCase):
    """Starts programs for one test (start) or for all tests of its class (start_shared). They are
    stopped in the reverse order, and each must end cleanly for the test to pass.
    """

    maxDiff = None

    def start(self, context):
        return self.enterContext(context)

    @classmethod
    def start_shared(cls, context):
        return cls.enterClassContext(context)

    def hop(self, role="hop", **settings):
        return self.start(Hop(role, **settings))

    def journal_dir(self):
        """A folder for one journal, gone after the test."""
        return self.start(tempfile.TemporaryDirectory(prefix="tracehop-journal-"))

    def collector(self, relay_to=(), journal_dir=None, **settings):
        return self.start(CollectorProgram(journal_dir or self.journal_dir(), relay_to, **settings))

    @classmethod
    def shared_collector(cls, relay_to=(), **settings):
        folder = cls.start_shared(tempfile.TemporaryDirectory(prefix="tracehop-journal-"))
        return cls.start_shared(CollectorProgram(folder, relay_to, **settings))

    @classmethod
    def shared_hop(cls, role="hop", **settings):
        return cls.start_shared(Hop(role, **settings))


def traced_to(collector, **settings):
    """The settings of a hop that exports every span to `collector`, soon."""
    return {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        **settings,
    }


class Chain(contextlib.ExitStack):
    """frontend -> middleware -> backend -> clock: gRPC between the hops, HTTP to the clock."""

    ROLES = ("frontend", "middleware", "backend")

    def __init__(self, **settings):
        super().__init__()
        with contextlib.ExitStack() as starting:
            self.clock = starting.enter_context(Hop("clock", **settings))
            self.backend = starting.enter_context(
                Hop("backend", upstream=self.clock.time_uri, **settings)
            )
            self.middleware = starting.enter_context(
                Hop("middleware", upstream=self.backend.grpc_uri, **settings)
            )
            self.frontend = starting.enter_context(
                Hop("frontend", upstream=self.middleware.grpc_uri, **settings)
            )
            self.push(starting.pop_all())

    @property
    def hops(self):
        return (self.frontend, self.middleware, self.backend, self.clock)
