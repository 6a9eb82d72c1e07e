"""The mesh chart as helm renders it."""

import itertools

import yaml

from harness import build, charts
from harness.charts import KUBERNETES, of_kind

CHART = build.ROOT / "charts/mesh"
NAMESPACE = "demo"

STEPS = ("ingress", "egress", "prod", "retry", "canary")
APIS = ("istio", "gateway")
DATAPLANES = ("sidecar", "ambient")
COMBINATIONS = tuple(itertools.product(STEPS, APIS, DATAPLANES))


def settings_of(values):
    """{"gateway.namespace": "edge"} becomes what helm takes."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def _template(values, chart, program):
    words = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES, *settings_of(values))
    return charts.run("template", "mesh", chart, *words, program=program)


def text(values, chart=CHART, program="helm"):
    """What a cluster would be given."""
    ended = _template(values, chart, program)
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout


def objects(values, **how):
    return [found for found in yaml.safe_load_all(text(values, **how)) if found]


def refusal(values, chart=CHART, program="helm"):
    """What helm says when it does not render."""
    ended = _template(values, chart, program)
    if ended.returncode == 0:
        raise AssertionError(f"{values} were taken")
    return ended.stderr


def notes(values):
    """What the user is told after an installation. Only Helm 4 tells it without a cluster."""
    words = ("--dry-run=client", "--namespace", NAMESPACE, *settings_of(values))
    ended = charts.run("install", "mesh", CHART, *words)
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout.partition("\nNOTES:\n")[2]


def specs(found, kind):
    return {name: one["spec"] for name, one in of_kind(found, kind).items()}
