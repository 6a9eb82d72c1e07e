"""The mesh chart as helm renders it."""

import itertools

from harness import charts
from harness.charts import of_kind

NAMESPACE = "demo"

STEPS = ("ingress", "egress", "prod", "retry", "canary")
APIS = ("istio", "gateway")
DATAPLANES = ("sidecar", "ambient")
COMBINATIONS = tuple(itertools.product(STEPS, APIS, DATAPLANES))


def _words(values):
    """{"gateway.namespace": "edge"} becomes what helm takes."""
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return ["--namespace", NAMESPACE, *settings]


def text(values, chart="mesh", **how):
    return charts.text(chart, "mesh", words=_words(values), **how)


def objects(values, chart="mesh", **how):
    return charts.objects(chart, "mesh", words=_words(values), **how)


def refusal(values, chart="mesh", **how):
    return charts.refusal(chart, "mesh", words=_words(values), **how)


def notes(values):
    return charts.notes("mesh", "mesh", words=_words(values))


def specs(found, kind):
    return {name: one["spec"] for name, one in of_kind(found, kind).items()}
