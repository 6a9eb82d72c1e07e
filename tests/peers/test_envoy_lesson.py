"""The README's lesson, followed to the letter: what stands there is run, and must say what it says
there.
"""

import unittest

from harness import console
from harness.case import ProgramTest
from harness.demo import Demo


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
        own_command = command.replace("localhost:8080", f"localhost:{self.demo.http}")
        return console.output_of(own_command, self.environment).replace(str(self.demo.http), "8080")

    def test_each_command_says_what_the_readme_says(self):
        commands = list(console.commands("README.md", "The lesson"))
        self.assertGreater(len(commands), 10)
        for command, expected in commands:
            with self.subTest(command=command):
                self.assertEqual(console.difference(expected, self.output_of(command)), "")


if __name__ == "__main__":
    unittest.main()
