"""Waiting for what another process will do: by looking again, with a deadline."""

import time

PATIENCE_S = 30
_LOOK_AGAIN_S = 0.01


def eventually(look, what, timeout_s=PATIENCE_S):
    """Returns the first true value of look(), or fails saying what did not happen."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}; last seen: {seen!r}")
        time.sleep(_LOOK_AGAIN_S)
