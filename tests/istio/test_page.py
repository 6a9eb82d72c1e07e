"""docs/cluster.md, followed to the letter: the verbs of its steps, and what is seen after each."""

import os
import unittest

from harness import build, console
from harness.case import ProgramTest
from harness.istio_cluster import NAMESPACE, OBSERVERS
from harness.istio_mesh import IstioMesh

# What the page calls differently: it is written for kind, and for nobody's namespace.
_PLACE = ("the cluster tests, namespace demo", "the cluster kind-tracehop, namespace tracehop")


class Page(ProgramTest):
    def setUp(self):
        self.mesh = self.start(IstioMesh())
        folder = self.mesh.cluster.folder
        # No progress of downloads; what fails still says so.
        (folder / ".curlrc").write_text("silent\nshow-error\n", encoding="ascii")
        self.environment = {
            **self.mesh.cluster.environment,
            "PATH": f"{build.tool('helm').parent}:{os.environ['PATH']}",
            "CURL_HOME": str(folder),
            "TARGET": "cluster",
            "NAMESPACE": NAMESPACE,
            "MESH_ARGS": f"--set sidecar.egressHosts={{{OBSERVERS}/*}}",
        }

    def output_of(self, command):
        port = f"{self.mesh.http}"
        output = console.output_of(command.replace("8080", port), self.environment)
        if command.startswith("make "):
            self.mesh.settle()
        return output.replace(port, "8080").replace(*_PLACE)

    def test_each_command_says_what_the_page_says(self):
        commands = list(console.commands("docs/cluster.md", "The steps"))
        self.assertGreater(len(commands), 10)
        for command, expected in commands:
            with self.subTest(command=command):
                self.assertEqual(console.difference(expected, self.output_of(command)), "")


if __name__ == "__main__":
    unittest.main()
