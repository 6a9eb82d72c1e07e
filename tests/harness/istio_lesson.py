"""What tests of the lesson's steps ask of a mesh with Istio."""

from harness import http
from harness.case import ProgramTest
from harness.istio_cluster import STEPS
from harness.istio_mesh import IstioMesh
from harness.load import Load, Outcome, failed

SECRET = {"x-dev-user": "super-secret"}
PROD, CANARY = "middleware-prod", "middleware-canary"
# Of requests per second that come in while steps are made.
_RATE = 20


class IstioLessonTest(ProgramTest):
    mesh_options = {}

    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.start_shared(IstioMesh(**cls.mesh_options))

    def ask(self, headers=()):
        return http.get(self.mesh.http, "/?detail", headers)

    def lines(self, headers=(), status=200):
        answer = self.ask(headers)
        self.assertEqual(answer.status, status, answer)
        return answer.text.splitlines()

    def versions_met(self, headers=(), requests=40):
        return {self.lines(headers)[1].split()[2] for _ in range(requests)}

    def assert_calls(self, lines, count):
        self.assertIn(f"{count} calls for one request", lines)

    def assert_that_no_request_fails_while_steps_are_made_and_unmade(self):
        first, *others = STEPS[1:]
        self.mesh.go(first)
        with Load(f"http://127.0.0.1:{self.mesh.http}/", rate=_RATE) as load:
            for step in (*others, *reversed(others[:-1]), first):
                self.mesh.go(step)
        started = [one for one in load.records if one.outcome is not Outcome.NOT_STARTED]
        self.assertGreater(len(started), _RATE / 2)
        self.assertEqual(failed(started), [])
