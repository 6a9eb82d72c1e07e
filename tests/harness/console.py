"""The console blocks of a page: commands with what they print. "..." stands for any lines."""

import re
import subprocess

from harness import build

_ANYTHING = "..."
_PATIENCE_S = 120

# What differs from run to run; all else must be the same.
_VARYING = (
    (r"\d+\\\.\d+secs", r"\\d+\\.\\d+secs"),
    (r'"time":".*?"', r'"time":".*?"'),
    (r'"milliseconds_since_epoch":\d+', r'"milliseconds_since_epoch":\\d+'),
    (r'"date":".*?"', r'"date":".*?"'),
    (r"after\\ \d+\\ ms", r"after\\ \\d+\\ ms"),
)

# Shares that are drawn: so far may they be from what the page says.
_TOLERANCE = 0.3


def commands(page, section):
    """Those of a section of a page, each with the lines that it is to print."""
    text = (build.ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```console\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    for command, *expected in map(str.splitlines, parts):
        yield command, expected


def output_of(command, environment):
    """What it prints, run where the page is."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=build.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    return done.stdout


def difference(expected, output):
    """What is wrong with it, or nothing."""
    wanted = _shares(expected)
    if wanted and len(wanted) > 1:
        found = _shares(output.splitlines()) or {}
        is_as_told = set(found) <= set(wanted) and all(
            abs(found.get(what, 0) - share) <= _TOLERANCE for what, share in wanted.items()
        )
    else:
        is_as_told = re.fullmatch(_pattern_of(expected), output)
    return "" if is_as_told else "\n".join(["this came:", output, "and not:", *expected])


def _pattern(line):
    escaped = re.escape(line)
    for varying, anything in _VARYING:
        escaped = re.sub(varying, anything, escaped)
    return escaped


def _pattern_of(lines):
    parts = [r"(?:.*\n)*?" if line == _ANYTHING else _pattern(line) + r"\n" for line in lines]
    return "".join(parts)


def _shares(lines):
    """{what: its share} of an output of uniq -c; None when it is none."""
    counts = [re.fullmatch(r" *(\d+) (\S+)", line) for line in lines]
    if not counts or not all(counts):
        return None
    total = sum(int(count[1]) for count in counts)
    return {count[2]: int(count[1]) / total for count in counts}
