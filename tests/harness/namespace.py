"""One namespace of a cluster, and the releases in it."""

import itertools
import json

from harness.charts import CHARTS
from harness.wait import eventually

# All is ready within a second or two, unless something is wrong.
_WAIT = ("--wait", "--timeout", "60s")
_numbers = itertools.count(1)


class Namespace:
    def __init__(self, cluster, name=None, labels=None):
        self.cluster = cluster
        self.name = name or f"test-{next(_numbers)}"
        metadata = {"name": self.name, "labels": labels or {}}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def _helm(self, verb, *words, values=None, program="helm"):
        """The values come after those of the words."""
        words = [verb, *words, "--namespace", self.name]
        text = json.dumps(values or {})
        if values is not None:
            words += ["--values", "-"]
        return self.cluster.run(program, *words, text_in=text, check=False)

    def helm(self, verb, *words, **how):
        """What it says."""
        ended = self._helm(verb, *words, **how)
        if ended.returncode != 0:
            raise AssertionError(f"helm {verb} {words}: {ended.stderr}")
        return ended.stdout

    def refusal(self, verb, *words, **how):
        """What it says when it fails, as it has to."""
        ended = self._helm(verb, *words, **how)
        if ended.returncode == 0:
            raise AssertionError(f"helm {verb} {words} succeeded")
        return ended.stderr

    def install(self, release, chart="hop", *flags, program="helm", **values):
        """A chart is a name in charts/, or a folder. Returns when all is ready."""
        words = (release, CHARTS / chart, *_WAIT, *flags)
        return self.helm("install", *words, values=values, program=program)

    def upgrade(self, release, chart="hop", *flags, program="helm", **values):
        """The values are all that the release has from now on, besides the chart's own."""
        words = (release, CHARTS / chart, *_WAIT, *flags)
        return self.helm("upgrade", *words, values=values, program=program)

    def uninstall(self, release, program="helm"):
        return self.helm("uninstall", release, *_WAIT, program=program)

    def get(self, *words):
        """What kubectl gets, as a tree; None when it is not there."""
        return self.cluster.get("--namespace", self.name, "--ignore-not-found", *words)

    def list(self, *words):
        """The objects that kubectl gets."""
        found = self.get(*words)
        return found["items"] if found else []

    def all(self, kind, **labels):
        """Objects that have these labels, by name."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return {one["metadata"]["name"]: one for one in self.list(kind, "--selector", selector)}

    def pods(self, **labels):
        """Pods that are there to stay, by name."""
        found = self.all("pods", **labels)
        return {
            name: pod for name, pod in found.items() if "deletionTimestamp" not in pod["metadata"]
        }

    def addresses(self, **labels):
        return {pod["status"]["podIP"] for pod in self.pods(**labels).values()}

    def endpoints(self, service):
        """Who gets what is sent to it: addresses of pods that are ready."""
        slices = self.all("endpointslices", **{"kubernetes.io/service-name": service})
        return {
            address
            for one in slices.values()
            for endpoint in one["endpoints"] or ()
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        }

    def wait_for_endpoints(self, service, addresses):
        """The controllers are as fast as they are."""
        eventually(
            lambda: self.endpoints(service) == addresses, f"{service} has the endpoints {addresses}"
        )

    def replicas(self, deployment):
        return self.get("deployment", deployment)["spec"]["replicas"]

    def scale(self, deployment, replicas):
        """As somebody does by hand."""
        name = f"deployment/{deployment}"
        self.cluster.kubectl("scale", "--namespace", self.name, name, f"--replicas={replicas}")
