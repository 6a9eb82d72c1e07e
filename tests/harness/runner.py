"""Runs folders of test files: each file in a process of its own, several at once, reported in
the order of their names.

    python3 -m harness.runner FILE      runs one file, for the processes of run_files
"""

import collections
import concurrent.futures
import importlib.util
import os
import subprocess
import sys
import time
import unittest

from harness import build

_FILE_TIMEOUT_S = 400
_PASSED, _FAILED, _SKIPPED = "passed  ", "FAILED  ", "not run "

Count = collections.namedtuple("Count", "passed failed")


class _Report(unittest.TestResult):
    """One line per test; what went wrong below it."""

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._complaints = []
        self._reason_to_skip = None

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self._started
        if self._reason_to_skip and not self._complaints:
            print(f"{_SKIPPED}{_name(test)}: {self._reason_to_skip}")
            return
        verdict = _FAILED if self._complaints else _PASSED
        print(f"{verdict}{_name(test)} ({seconds:.1f} s)", *self._complaints, sep="\n")

    def _complain(self, test, error):
        complaint = self._exc_info_to_string(error, test)
        if hasattr(self, "_complaints") and isinstance(test, unittest.TestCase):
            self._complaints.append(complaint)
        else:  # What a whole class shares could not be started, or did not end cleanly.
            print(f"{_FAILED}{test}", complaint, sep="\n")

    def addError(self, test, error):
        super().addError(test, error)
        self._complain(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._complain(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._reason_to_skip = reason

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self._complaints.append(f"{subtest._subDescription()}:\n")
            self._complain(test, error)


def _name(test):
    """A test that a class has from another is told with the class: others may have it, too."""
    kind, method = type(test), test._testMethodName
    parts = [kind.__module__, method.removeprefix("test_")]
    if method not in vars(kind):
        parts.insert(1, kind.__name__)
    return ".".join(parts)


def _run_one(path):
    name = os.path.basename(path).removesuffix(".py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    suite.run(_Report())


def _start_one(path, build_folder, wrapper):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(build.ROOT / part) for part in ("tests", "scripts")),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TRACEHOP_BUILD": str(build_folder),
    }
    try:
        ended = subprocess.run(
            [*wrapper, sys.executable, "-m", "harness.runner", str(path)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_FILE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode("utf-8", "replace")
        return f"{output}{_FAILED}{path.stem}: not done within {_FILE_TIMEOUT_S} s\n"
    output = ended.stdout.decode("utf-8", "replace")
    if ended.returncode != 0 or not _count(output).passed + _count(output).failed:
        output += f"{_FAILED}{path.stem}: ended with status {ended.returncode}\n"
    return output


def _count(output):
    lines = output.splitlines()
    return Count(
        sum(line.startswith(_PASSED) for line in lines),
        sum(line.startswith(_FAILED) for line in lines),
    )


def run_files(folder, build_folder, pattern="", processes=None, wrapper=()):
    """Runs folder/test_*.py whose name contains `pattern`; prints, and returns the Count. The words of
    `wrapper` come before the command of each file's process.
    """
    paths = sorted(path for path in folder.glob("test_*.py") if pattern in path.stem)
    total = Count(0, 0)

    def start(path):
        return _start_one(path, build_folder.resolve(), wrapper)

    with concurrent.futures.ThreadPoolExecutor(processes or os.cpu_count()) as pool:
        for output in pool.map(start, paths):
            print(output, end="", flush=True)
            own = _count(output)
            total = Count(total.passed + own.passed, total.failed + own.failed)
    return total


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    _run_one(sys.argv[1])
