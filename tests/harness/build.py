"""The build under test: which folder, and how its programs are to be run."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def folder():
    return pathlib.Path(os.environ["TRACEHOP_BUILD"])


def program(name):
    return folder() / name


def tool(name):
    """A foreign program, as scripts/get left it."""
    return ROOT / ".tools/bin" / name


def is_instrumented():
    """Whether sanitizers make everything several times slower."""
    return folder().name in ("asan", "tsan")


def sanitizer_options():
    """What the programs of every build run with; the plain ones ignore it."""
    tests = ROOT / "tests"
    return {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
        "LSAN_OPTIONS": f"suppressions={tests}/lsan.supp:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"suppressions={tests}/tsan.supp:print_suppressions=0:second_deadlock_stack=1",
    }
