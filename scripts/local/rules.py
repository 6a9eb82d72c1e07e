"""The rules of the mesh: Istio's resources, as its users write them. Of each kind the local mesh
understands what the lesson needs; what it does not, it refuses by name rather than ignore it.
"""

import yaml


class RulesError(Exception):
    """What is wrong with the rules, in words for who wrote them."""


class Named:
    """The shape of an object whose members have names of the user's choice."""

    def __init__(self, shape):
        self.shape = shape


DESTINATION = {"host": str, "port": {"number": int}, "subset": str}
HTTP_ROUTE = {
    "match": [{"headers": Named({"exact": str, "prefix": str})}],
    "route": [{"destination": DESTINATION, "weight": int}],
    "retries": {"attempts": int, "perTryTimeout": str, "retryOn": str},
    "timeout": str,
}
PORT = {"number": int, "name": str, "protocol": str}

# By kind. A list holds the shape of its items.
SHAPES = {
    "Gateway": {
        "selector": Named(str),
        "servers": [{"port": PORT, "hosts": [str]}],
    },
    "VirtualService": {"hosts": [str], "gateways": [str], "http": [HTTP_ROUTE]},
    "Sidecar": {"egress": [{"hosts": [str]}], "outboundTrafficPolicy": {"mode": str}},
    "ServiceEntry": {"hosts": [str], "location": str, "ports": [PORT], "resolution": str},
    "DestinationRule": {
        "host": str,
        "subsets": [{"name": str, "labels": {"version": str}}],
    },
}


class Rules:
    """Resources by kind and name. A later one replaces the earlier of its name, as when they are
    applied one after the other.
    """

    def __init__(self, resources=()):
        self._specs = {}
        for resource in resources:
            kind, name = resource["kind"], resource["metadata"]["name"]
            self._specs[kind, name] = resource["spec"]

    def items(self):
        """((kind, name), spec) of each, in the order of their first appearance."""
        return self._specs.items()

    def of_kind(self, wanted):
        return {name: spec for (kind, name), spec in self._specs.items() if kind == wanted}


def read(paths):
    """The rules of all files together."""
    resources = []
    for path in paths:
        try:
            documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError) as error:
            raise RulesError(f"cannot read {path}: {error}") from error
        resources += [checked(document, path.name) for document in documents if document]
    return Rules(resources)


def checked(document, where):
    try:
        kind, name, spec = document["kind"], document["metadata"]["name"], document["spec"]
    except (TypeError, KeyError):
        raise RulesError(f"{where}: a resource needs kind, metadata.name and spec") from None
    if kind not in SHAPES:
        raise RulesError(f"{where}: the local mesh does not know resources of kind {kind}")
    check_shape(spec, SHAPES[kind], f"{where}: {kind} {name}: spec")
    return document


def check_shape(value, shape, where):
    wanted = type(shape) if isinstance(shape, (list, dict)) else shape
    if isinstance(shape, Named):
        wanted = dict
    if not isinstance(value, wanted):
        raise RulesError(f"{where} is {value!r} where a {wanted.__name__} is wanted")
    if isinstance(shape, list):
        for number, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, Named):
        for name, item in value.items():
            check_shape(item, shape.shape, f"{where}.{name}")
    elif isinstance(shape, dict):
        for name, item in value.items():
            if name not in shape:
                raise RulesError(f"{where}.{name} is not known to the local mesh")
            check_shape(item, shape[name], f"{where}.{name}")
