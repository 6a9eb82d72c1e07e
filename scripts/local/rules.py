"""The rules of the mesh: Istio's resources, as its users write them. Of each kind the local mesh
understands what the lesson needs; what it does not, it refuses by name rather than ignore it.
"""

import yaml

from local.settings import DemoError


class RulesError(DemoError):
    """What is wrong with the rules, in words for who wrote them."""


class Named:
    """The shape of an object whose members have names of the user's choice."""

    def __init__(self, shape):
        self.shape = shape


class Needed:
    """The shape of a member that an object cannot do without."""

    def __init__(self, shape):
        self.shape = shape


DESTINATION = {"host": Needed(str), "port": {"number": Needed(int)}, "subset": str}
HTTP_ROUTE = {
    "match": [{"headers": Named({"exact": str, "prefix": str})}],
    "route": Needed([{"destination": Needed(DESTINATION), "weight": int}]),
    "retries": {"attempts": Needed(int), "perTryTimeout": str, "retryOn": str},
    "timeout": str,
}
PORT = {"number": Needed(int), "name": str, "protocol": str}

# By kind. A list holds the shape of its items.
SHAPES = {
    "Gateway": {
        "selector": Named(str),
        "servers": [{"port": PORT, "hosts": [str]}],
    },
    "VirtualService": {
        "hosts": Needed([str]),
        "gateways": [str],
        "http": Needed([HTTP_ROUTE]),
    },
    "Sidecar": {"egress": [{"hosts": [str]}], "outboundTrafficPolicy": {"mode": str}},
    "ServiceEntry": {
        "hosts": Needed([str]),
        "location": str,
        "ports": Needed([PORT]),
        "resolution": str,
        # For a cluster; on one machine the registry knows where everybody is.
        "endpoints": [{"address": Needed(str)}],
    },
    "DestinationRule": {
        "host": Needed(str),
        "subsets": [{"name": Needed(str), "labels": Needed({"version": Needed(str)})}],
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

    def resources(self):
        return [
            {"kind": kind, "metadata": {"name": name}, "spec": spec}
            for (kind, name), spec in self._specs.items()
        ]

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
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
    if isinstance(shape, Needed):
        shape = shape.shape
    wanted = type(shape) if isinstance(shape, (list, dict)) else shape
    if isinstance(shape, Named):
        wanted = dict
    # To Python true is a number.
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise RulesError(f"{where} is {value!r} where a {wanted.__name__} is wanted")
    if isinstance(shape, list):
        for number, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{number}]")
    elif isinstance(shape, Named):
        for name, item in value.items():
            check_shape(item, shape.shape, f"{where}.{name}")
    elif isinstance(shape, dict):
        check_members(value, shape, where)


def check_members(value, shape, where):
    for name, item in value.items():
        if name not in shape:
            raise RulesError(f"{where}.{name} is not known to the local mesh")
        check_shape(item, shape[name], f"{where}.{name}")
    for name, member in shape.items():
        if isinstance(member, Needed) and value.get(name) in (None, "", [], {}):
            raise RulesError(f"{where}.{name} is missing")
