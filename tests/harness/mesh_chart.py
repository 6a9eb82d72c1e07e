"""The mesh chart as helm renders it."""

import itertools
import subprocess

import yaml

from harness import build

CHART = build.ROOT / "charts/mesh"
NAMESPACE = "demo"
# Helm 3 as a module does not know which cluster it was made for.
CLUSTER = ("--kube-version", "1.35.0")

STEPS = ("ingress", "egress", "prod", "retry", "canary")
APIS = ("istio", "gateway")
DATAPLANES = ("sidecar", "ambient")
COMBINATIONS = tuple(itertools.product(STEPS, APIS, DATAPLANES))


def settings_of(values):
    """{"gateway.namespace": "edge"} becomes what helm takes."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def run(*arguments, program="helm"):
    return subprocess.run(
        [build.tool(program), *arguments], capture_output=True, text=True, check=False
    )


def text(values, chart=CHART, program="helm"):
    """What a cluster would be given."""
    words = ("--namespace", NAMESPACE, *CLUSTER, *settings_of(values))
    ended = run("template", "mesh", chart, *words, program=program)
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout


def objects(values, **how):
    return [found for found in yaml.safe_load_all(text(values, **how)) if found]


def refusal(values, chart=CHART, program="helm"):
    """What helm says when it does not render."""
    ended = run("template", "mesh", chart, *CLUSTER, *settings_of(values), program=program)
    if ended.returncode == 0:
        raise AssertionError(f"{values} were taken")
    return ended.stderr


def notes(values):
    """What the user is told after an installation. Only Helm 4 tells it without a cluster."""
    ended = run(
        "install", "mesh", CHART, "--dry-run=client", "--namespace", NAMESPACE, *settings_of(values)
    )
    if ended.returncode != 0:
        raise AssertionError(ended.stderr)
    return ended.stdout.partition("\nNOTES:\n")[2]


def of_kind(found, kind):
    """By name."""
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def specs(found, kind):
    return {name: one["spec"] for name, one in of_kind(found, kind).items()}
