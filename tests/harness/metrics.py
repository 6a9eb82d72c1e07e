"""What /metrics says."""

import re

from harness import http

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Samples:
    """One reading of the page: {(name, labels): value}."""

    def __init__(self, text):
        self._values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = _SAMPLE.match(line).groups()
                self._values[name, frozenset(_LABEL.findall(labels or ""))] = float(value)

    def total(self, name, **labels):
        """The sum over all series of this name that have these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (series, own), value in self._values.items()
            if series == name and wanted <= own
        )

    def names(self):
        return {name for name, _ in self._values}

    def __repr__(self):
        return repr(self._values)


def read(hop):
    return Samples(http.get(hop.admin_port, "/metrics").text)
