"""Charts as helm renders them."""

import json
import subprocess

import yaml

from harness import build

CHARTS = build.ROOT / "charts"

HELMS = ("helm", "helm3")
# Helm 4 and 3 each assume a version of their own when there is no cluster.
KUBERNETES = "1.36.0"


def run(*arguments, program="helm", values=None):
    """The values, nested as in values.yaml, come after those of the arguments."""
    words = [build.tool(program), *arguments]
    if values is not None:
        words += ["--values", "-"]
    return subprocess.run(
        words,
        input=None if values is None else json.dumps(values),
        stdin=subprocess.DEVNULL if values is None else None,
        capture_output=True,
        text=True,
        check=False,
    )


def _template(
    chart, release="release", values=None, words=(), program="helm", kubernetes=KUBERNETES
):
    path = chart if hasattr(chart, "joinpath") else CHARTS / chart
    arguments = ("template", release, path, "--kube-version", kubernetes, *words)
    return run(*arguments, program=program, values=values or {})


def text(chart, *what, **how):
    """What a cluster would be given. A chart is a name in charts/, or a folder; then come the name
    of the release, values, more words for helm, which helm, and the version of Kubernetes.
    """
    ended = _template(chart, *what, **how)
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout


def objects(chart, *what, **how):
    return [one for one in yaml.safe_load_all(text(chart, *what, **how)) if one]


def refusal(chart, *what, **how):
    """What helm says when it does not render."""
    ended = _template(chart, *what, **how)
    if ended.returncode == 0:
        raise AssertionError(f"{chart} with {what} {how} was taken")
    return ended.stderr


def notes(chart, release, values=None, words=()):
    """What the user is told after an installation. Only Helm 4 tells it without a cluster."""
    ended = run("install", release, CHARTS / chart, "--dry-run=client", *words, values=values or {})
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout.partition("\nNOTES:\n")[2]


def ci_values(chart):
    """The files of values that this chart is checked with, by what they are called."""
    paths = sorted((CHARTS / chart / "ci").glob("*-values.yaml"))
    return {path.name.removesuffix("-values.yaml"): load(path) for path in paths}


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def of_kind(found, kind):
    """By name, in the order of the render."""
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def the(found, kind):
    """The only one of its kind."""
    (one,) = of_kind(found, kind).values()
    return one


def workload(found):
    (one,) = (one for one in found if one["kind"] in ("Deployment", "StatefulSet"))
    return one


def test_pods(found):
    return list(of_kind(found, "Pod").values())


def pod_specs(found):
    """Of the workload and of helm test."""
    return [workload(found)["spec"]["template"]["spec"], *(pod["spec"] for pod in test_pods(found))]


def container(found):
    (one,) = workload(found)["spec"]["template"]["spec"]["containers"]
    return one


def selects(selector, labels):
    """Whether a Service's selector, or matchLabels, finds what has these labels."""
    return selector.items() <= labels.items()
