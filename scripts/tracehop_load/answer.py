"""What an answer says: pure. The tree is that of proto/tracehop/v1/hop.proto, in JSON."""

import enum
import json
import typing

_TEXT_MAX = 72
_WORDS_OF_PROXY_MAX = 44


class Outcome(enum.Enum):
    """Of one request; each has exactly one."""

    OK = "ok"
    HOP_FAILED = "a hop failed"
    PROXY_ANSWERED = "a proxy answered in a hop's place"
    NO_ANSWER = "no answer"
    NOT_STARTED = "not started"
    ABANDONED = "still waiting at the end"


class Reading(typing.NamedTuple):
    outcome: Outcome
    status: int = 0  # Of HTTP; 0: there was no answer.
    failure: str = ""  # "backend-prod INTERNAL", "503 from a proxy: ...", "no answer: ..."
    versions: tuple = ()  # Those of its tree that are not prod, else prod; empty: it had no tree.
    is_retried: bool = False  # Whether a hop saw a call again.
    calls: int = 0  # What the request cost; 0: unknown.
    note: str = ""  # What is not well though the request was answered.


def read_answer(status, body):
    tree = _parse_tree(body)
    if tree is None:
        return _read_foreign(status, body)
    hops = list(_walk(tree))
    is_ok = status < 400 and "failure" not in tree
    return Reading(
        Outcome.OK if is_ok else Outcome.HOP_FAILED,
        status,
        "" if is_ok else _failure_of(tree, hops, status),
        _versions_of(hops),
        any(_number(hop, "attempt") > 1 for hop in hops),
        _number(tree, "calls"),
        _note_of(tree, hops) if is_ok else "",
    )


def no_answer(why):
    return Reading(Outcome.NO_ANSWER, failure=printable(f"no answer: {why}"))


def printable(text, length_max=_TEXT_MAX):
    """What others wrote, fit for a terminal."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text.strip())
    return clean if len(clean) <= length_max else f"{clean[: length_max - 3]}..."


def _parse_tree(body):
    """The tree; None when this is none."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) and _text(tree, "name") else None


def _read_foreign(status, body):
    if status < 400:
        return Reading(Outcome.OK, status)
    words = printable(body.decode("utf-8", "replace").partition("\n")[0], _WORDS_OF_PROXY_MAX)
    failure = f"{status} from a proxy: {words}" if words else f"{status} from a proxy"
    return Reading(Outcome.PROXY_ANSWERED, status, failure)


def _walk(tree):
    """Every hop of the tree, each before those below it."""
    waiting = [tree]
    while waiting:
        hop = waiting.pop()
        yield hop
        for upstream in _upstreams(hop):
            below = _object(upstream, "hop") or _object(_object(upstream, "failure"), "partial")
            if below:
                waiting.append(below)


def _failure_of(tree, hops, status):
    failure = _object(tree, "failure")
    what = _text(failure, "status") or str(status)
    failed = _text(failure, "hop")
    if failed:
        return printable(f"{failed} {what}")
    # No hop answered: the last one that was heard of had called into the void.
    return printable(f"behind {_text(hops[-1], 'name')} {what}")


def _versions_of(hops):
    versions = {_text(hop, "version") for hop in hops} - {"", "prod"}
    return tuple(sorted(printable(version) for version in versions)) or ("prod",)


def _note_of(tree, hops):
    for upstream in (upstream for hop in hops for upstream in _upstreams(hop)):
        status = _number(_object(upstream, "http"), "status")
        if status >= 400:
            return printable(f"{status} of {_text(upstream, 'uri')}")
        failure = _object(upstream, "failure")
        if failure:
            return printable(f"{_text(failure, 'hop')} {_text(failure, 'status')}")
    warning = _text(tree, "warning")
    return printable(f"warning: {warning}") if warning else ""


def _upstreams(hop):
    members = hop.get("upstreams")
    return [each for each in members if isinstance(each, dict)] if isinstance(members, list) else []


def _object(parent, name):
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _text(parent, name):
    value = parent.get(name)
    return value if isinstance(value, str) else ""


def _number(parent, name):
    value = parent.get(name)
    return value if isinstance(value, int) else 0
