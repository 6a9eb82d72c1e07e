"""What a run of scripts/load is told by its environment."""

import math
import re
import typing

_RATE_MAX = 10_000
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "": 1}

# Name, default, meaning: what --help prints.
TABLE = (
    ("RATE", "20", "Requests per second."),
    ("TIME", "", "How long: 30s, 5m, 1h. Empty: until Ctrl-C."),
    ("FAIL", "", "The header fail of each request: 0.3, backend=0.5:unavailable, ..."),
    ("DELAY", "", "The header delay: middleware=200ms, ..."),
    ("DEV_USER", "", "The header x-dev-user."),
    ("URL", "http://localhost:HTTP_PORT/", "Whom to ask."),
    ("HTTP_PORT", "8080", "The demo's front port."),
    ("TIMEOUT", "15s", "How long a request may take."),
)
_HEADERS = (("FAIL", "fail"), ("DELAY", "delay"), ("DEV_USER", "x-dev-user"))


class Settings(typing.NamedTuple):
    url: str
    rate: float
    time_s: float | None
    headers: tuple  # Of (name, value).
    timeout_s: float


def read_settings(environment):
    """Raises ValueError with what is wrong, in one line."""
    values = {name: environment.get(name) or default for name, default, _ in TABLE}
    port = _read_port(values["HTTP_PORT"])
    return Settings(
        values["URL"].replace("HTTP_PORT", str(port)),
        _read_rate(values["RATE"]),
        _read_duration("TIME", values["TIME"]) if values["TIME"] else None,
        tuple(
            (header, _read_header(name, values[name])) for name, header in _HEADERS if values[name]
        ),
        _read_duration("TIMEOUT", values["TIMEOUT"]),
    )


def _read_port(text):
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(f"HTTP_PORT: {text!r} is not a port")
    return int(text)


def _read_rate(text):
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= _RATE_MAX:
        raise ValueError(f"RATE: {text!r} is not a number above 0, at most {_RATE_MAX:,}")
    return rate


def _read_duration(name, text):
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|)", text)
    seconds = float(match[1]) * _UNITS_S[match[2]] if match else 0
    if seconds <= 0:
        raise ValueError(f"{name}: {text!r} is not a time like 500ms, 30s, 5m or 1h")
    return seconds


def _read_header(name, text):
    if not text.isprintable():
        raise ValueError(f"{name}: {text!r} cannot stand in a header")
    return text
