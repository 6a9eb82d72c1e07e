"""The demo with its mesh of real Envoys: what each of them and each hop has counted."""

import collections
import concurrent.futures
import pathlib
import re
import shutil
import types

import yaml

from harness import build, http, metrics
from harness.demo import Demo
from harness.istio import at_the_gateway, to, virtual_service

HOPS = ("frontend-prod", "middleware-prod", "middleware-canary", "backend-prod", "clock")
IN_MESH = HOPS[:-1]
PROXIES = ("gateway", *(f"{name}-sidecar" for name in IN_MESH))

_STATISTIC = re.compile(r"(?m)^(\S+): (\d+)$")
_OWN_STEP = "own"


class Mesh(Demo):
    """Starts with the context, at a step. The hops work quickly unless told otherwise."""

    def __init__(self, step, **environment):
        super().__init__(
            **{
                "MESH": "envoy",
                "STEP": step,
                "WORK_SLEEP_MAX": "0s",
                "WORK_FIBONACCI_MAX": "10",
                **environment,
            }
        )
        self._steps = self.folder / "steps"
        self._own_step = self._steps / f"9-{_OWN_STEP}.yaml"
        shutil.copytree(build.ROOT / "charts/mesh/steps", self._steps)
        self.environment["DEMO_STEPS"] = str(self._steps)

    def __enter__(self):
        try:
            self.must("start")
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        complaints = self.complaints()
        super().__exit__(*exception)
        assert not complaints, f"the proxies complain: {complaints}"

    def complaints(self):
        """What the proxies have logged, which is errors only."""
        logs = [log for name in PROXIES for log in self.state.glob(f"{name}.log")]
        said = {log.stem: log.read_text("utf-8", "replace") for log in logs}
        return {name: text for name, text in said.items() if text}

    def hop(self, name):
        return types.SimpleNamespace(admin_port=self.admin + HOPS.index(name))

    def proxy_port(self, name):
        """Of the admin interface of the gateway, or of a hop's sidecar."""
        number = PROXIES.index(name)
        return self.mesh + 10 * number

    def get(self, headers=()):
        return http.get_json(self.http, headers=headers)

    def calls(self):
        """How many requests each hop has answered, or seen given up."""
        read = {name: metrics.read(self.hop(name)) for name in HOPS}
        return collections.Counter(
            {name: int(samples.total("tracehop_requests_total")) for name, samples in read.items()}
        )

    def cost(self, headers):
        """One request's answer, and how many calls of each hop were made for it."""
        before = self.calls()
        answer = self.get(headers)
        return answer, dict(self.calls() - before)

    def statistics(self, proxy, name):
        """The sum of what a proxy has counted under all names that the pattern `name` matches."""
        told = http.get(self.proxy_port(proxy), "/stats?type=Counters&usedonly").text
        return sum(int(value) for key, value in _STATISTIC.findall(told) if re.fullmatch(name, key))

    def change_rules(self, *resources):
        """A step of the test's own, after all others; what its command says."""
        self.write_own_step(*resources)
        return self.must(_OWN_STEP)

    def try_to_change_rules(self, *resources):
        """The same for what is not to succeed: the completed process."""
        self.write_own_step(*resources)
        return self.run(_OWN_STEP)

    def write_own_step(self, *resources):
        self._own_step.write_text(yaml.safe_dump_all(resources), encoding="utf-8")

    def remove_own_step(self):
        self._own_step.unlink(missing_ok=True)

    def set_retries(self, **rules):
        """Each service that is named gets these members for its only route; of the others nothing
        is retried.
        """

        def rule(host):
            return {"route": [to(host, "prod")], "retries": {"attempts": 0}, **rules.get(host, {})}

        self.change_rules(
            at_the_gateway(rule("frontend")),
            *(virtual_service(host, rule(host)) for host in ("middleware", "backend")),
        )

    def pids(self):
        """Of all processes of the demo: {pid: its command}."""
        # They have its folder in their environment.
        mark = f"DEMO_STATE={self.state}\0".encode()
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    command = (process / "cmdline").read_bytes().decode().split("\0")
                    found[int(process.name)] = " ".join(command).strip()
            except OSError:
                continue  # Not ours, or gone.
        return found

    def pids_of_proxy(self, name):
        return [pid for pid, command in self.pids().items() if f"/{name}/" in command]


def attempts(retry_on=None, **retries):
    """The member of a route for Mesh.set_retries."""
    if retry_on is not None:
        retries["retryOn"] = retry_on
    return {"retries": retries}


def ask_at_once(port, requests, workers=12):
    """Makes all requests, given by their headers, over a few connections that are kept: the answers
    in the same order.
    """
    waiting = collections.deque(enumerate(requests))
    answers = [None] * len(waiting)

    def work():
        with http.Client(port) as client:
            while True:
                try:
                    number, headers = waiting.popleft()
                except IndexError:
                    return
                answers[number] = client.get_json(headers=headers)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    return answers
