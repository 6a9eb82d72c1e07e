"""The steps of the lesson: files of rules, each of which comes on top of the earlier ones."""

import difflib
import json

import yaml

from local import rules
from local.settings import STATE, STEPS

START = "start"
# What a demo starts with: the chain is whole, and nothing is hidden yet.
FIRST = "egress"

GONE = "gone"


def files():
    """Name of the step and its file, in their order: "4-retry.yaml" is "retry"."""
    return [(path.stem.partition("-")[2], path) for path in sorted(STEPS.glob("*.yaml"))]


def names():
    return [START, *(name for name, _ in files())]


def rules_at(step):
    """All rules that hold once `step` is made."""
    return rules.read([path for _, path in files()[: names().index(step)]])


def current():
    """Of the running demo."""
    return (STATE / "step").read_text(encoding="utf-8")


def current_rules():
    """Of the running demo, whose files may have changed since."""
    return rules.Rules(json.loads((STATE / "rules.json").read_text(encoding="utf-8")))


def remember(step, rules_of_step):
    (STATE / "step").write_text(step, encoding="utf-8")
    (STATE / "rules.json").write_text(json.dumps(rules_of_step.resources()), encoding="utf-8")


def changes(before, after):
    """What has changed between two sets of rules, in lines for people: equal changes are told once,
    and of what is gone only the names.
    """
    old, new = dict(before.items()), dict(after.items())
    told = {}
    for resource in [*new, *(resource for resource in old if resource not in new)]:
        kind, name = resource
        lines = changed_lines(old.get(resource), new.get(resource))
        if lines:
            told.setdefault((kind, lines), []).append(name)
    return [
        line
        for (kind, lines), names_of_kind in told.items()
        for line in told_lines(kind, ", ".join(names_of_kind), lines)
    ]


def changed_lines(old, new):
    if new is None:
        return (GONE,)
    compared = difflib.ndiff(as_lines(old), as_lines(new))
    return tuple(line.rstrip() for line in compared if line[0] in "+-")


def told_lines(kind, names_of_kind, lines):
    if lines == (GONE,):
        return [f"- {kind} {names_of_kind}"]
    return [f"{kind} {names_of_kind}", *lines]


def as_lines(spec):
    """Short: what has no more levels below it stands on one line."""
    if not spec:
        return []
    return yaml.safe_dump(spec, sort_keys=False, default_flow_style=None).splitlines()
