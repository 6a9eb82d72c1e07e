"""JSON schemas of what a cluster takes, made from what Kubernetes, Istio, the Gateway API and the
Prometheus operator publish, for kubeconform. They are strict: a field nobody knows is an error.
"""

import functools
import json

import yaml

from harness import build

SOURCES = build.ROOT / ".tools/sources"  # as scripts/get left them
CRDS = (
    "istio/manifests/charts/base/files/crd-all.gen.yaml",
    "gateway-api/config/crd/standard/*.yaml",
    "prometheus-operator/example/prometheus-operator-crd/*_servicemonitors.yaml",
)

# How kubeconform finds the files that write_schemas makes.
LOCATION = "{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"

_OBJECT_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def strict(node):
    """The same schema, which takes no other members of an object than it names; and what JSON schema
    has no word for in its own words.
    """
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    made = {name: strict(member) for name, member in node.items()}
    is_open = node.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(node.get("properties"), dict) and not is_open:
        made.setdefault("additionalProperties", False)
    return made


@functools.cache
def _published():
    """Of Kubernetes itself: the definitions, and (group, version, kind) -> the name of one."""
    text = (SOURCES / "kubernetes/api/openapi-spec/swagger.json").read_text(encoding="utf-8")
    definitions = strict(json.loads(text)["definitions"])
    # A number is as good as a text here, and YAML makes one of "1".
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    kinds = {
        (kind["group"], kind["version"], kind["kind"]): name
        for name, definition in definitions.items()
        for kind in definition.get("x-kubernetes-group-version-kind", ())
    }
    return definitions, kinds


@functools.cache
def _custom():
    """(group, version, kind) -> the schema of a custom resource."""
    found = {}
    for pattern in CRDS:
        for path in sorted(SOURCES.glob(pattern)):
            for crd in yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
                if crd and crd["kind"] == "CustomResourceDefinition":
                    found |= _versions(crd["spec"])
    return found


def _versions(spec):
    group, kind = spec["group"], spec["names"]["kind"]
    return {
        (group, version["name"], kind): version["schema"]["openAPIV3Schema"]
        for version in spec["versions"]
    }


def _schema(kind):
    definitions, kinds = _published()
    if kind in kinds:
        return {"$ref": f"#/definitions/{kinds[kind]}"}
    made = strict(_custom()[kind])
    made["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": _OBJECT_META},
    }
    return made


def _referred(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix("#/definitions/")
        node = list(node.values())
    if isinstance(node, list):
        for member in node:
            yield from _referred(member)


def _with_definitions(schema):
    """The schema, complete: with the definitions that it refers to, and those that they do."""
    published, _ = _published()
    needed, waiting = {}, list(_referred(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = published[name]
            waiting += _referred(published[name])
    return {**schema, "definitions": needed}


def kind_of(found):
    group, _, version = found["apiVersion"].rpartition("/")
    return group, version, found["kind"]


def write_schemas(folder, kinds):
    """Into files as kubeconform looks for them. A kind that nobody publishes is a KeyError."""
    for group, version, kind in kinds:
        text = json.dumps(_with_definitions(_schema((group, version, kind))))
        # What kubeconform calls the group of "v1" is "v1".
        name = f"{group or version}_{kind.lower()}_{version}.json"
        (folder / name).write_text(text, encoding="utf-8")
