"""The README's lesson, followed to the letter: what stands there is run, and must say what it says
there.
"""

import re
import subprocess
import unittest

from harness import build
from harness.case import ProgramTest
from harness.demo import Demo

_ANYTHING = "..."

# What differs from run to run; all else must be the same.
_VARYING = (
    (r"\d+\\\.\d+secs", r"\\d+\\.\\d+secs"),
    (r'"time":".*?"', r'"time":".*?"'),
    (r'"milliseconds_since_epoch":\d+', r'"milliseconds_since_epoch":\\d+'),
    (r'"date":".*?"', r'"date":".*?"'),
    (r"after\\ \d+\\ ms", r"after\\ \\d+\\ ms"),
)

# Shares that are drawn: so far may they be from what the README says.
_TOLERANCE = 0.3


def lesson():
    """Its title and commands, each with the lines that it is to print, block by block."""
    text = (build.ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## The lesson\n(.*?)^##", text, re.MULTILINE | re.DOTALL).group(1)
    return re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def commands(block):
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        yield command, expected


def pattern(line):
    escaped = re.escape(line)
    for varying, anything in _VARYING:
        escaped = re.sub(varying, anything, escaped)
    return escaped


def pattern_of(lines):
    """Of a whole output; "..." stands for any lines."""
    parts = [r"(?:.*\n)*?" if line == _ANYTHING else pattern(line) + r"\n" for line in lines]
    return "".join(parts)


def shares(lines):
    """{what: its share} of an output of uniq -c; None when it is none."""
    counts = [re.fullmatch(r" *(\d+) (\S+)", line) for line in lines]
    if not counts or not all(counts):
        return None
    total = sum(int(count[1]) for count in counts)
    return {count[2]: int(count[1]) / total for count in counts}


class Lesson(ProgramTest):
    def setUp(self):
        self.demo = self.start(Demo(MESH="envoy"))
        self.demo.must("start")
        # No progress of downloads; what fails still says so.
        (self.demo.folder / ".curlrc").write_text("silent\nshow-error\n", encoding="ascii")
        self.environment = {
            name: value
            for name, value in self.demo.environment.items()
            if not name.startswith("MAKE")
        }
        self.environment["CURL_HOME"] = str(self.demo.folder)

    def output_of(self, command):
        done = subprocess.run(
            ["bash", "-c", command.replace("localhost:8080", f"localhost:{self.demo.http}")],
            cwd=build.ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout.replace(str(self.demo.http), "8080")

    def assert_says(self, command, expected):
        output = self.output_of(command)
        wanted = shares(expected)
        if wanted and len(wanted) > 1:
            found = shares(output.splitlines()) or {}
            for what, share in wanted.items():
                self.assertAlmostEqual(found.get(what, 0), share, delta=_TOLERANCE, msg=output)
            self.assertLessEqual(set(found), set(wanted), output)
        elif not re.fullmatch(pattern_of(expected), output):
            self.fail(f"{command}\nsaid\n{output}\nand not\n" + "\n".join(expected))

    def test_each_command_says_what_the_readme_says(self):
        blocks = lesson()
        self.assertGreater(len(blocks), 5)
        for block in blocks:
            for command, expected in commands(block):
                with self.subTest(command=command):
                    self.assert_says(command, expected)


if __name__ == "__main__":
    unittest.main()
