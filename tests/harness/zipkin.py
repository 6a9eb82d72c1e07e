"""Zipkin v2 as its senders speak it: JSON, and protobuf by a schema of our own words.

Rules: zipkin-api's zipkin2-api.yaml and zipkin.proto.
"""

import functools
import json

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import otlp

SPANS = "/api/v2/spans"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TEXT, _BYTES = _FIELD.TYPE_STRING, _FIELD.TYPE_BYTES
_FIXED64, _UINT64, _INT32 = _FIELD.TYPE_FIXED64, _FIELD.TYPE_UINT64, _FIELD.TYPE_INT32
_BOOL, _MESSAGE = _FIELD.TYPE_BOOL, _FIELD.TYPE_MESSAGE

KINDS = {"CLIENT": 1, "SERVER": 2, "PRODUCER": 3, "CONSUMER": 4}


def span(number, name="work", trace=None, kind="SERVER", service="proxy", **members):
    """A span in Zipkin's JSON form; members that are None are left out."""
    made = {
        "traceId": otlp.id_bytes(number if trace is None else trace, 16).hex(),
        "id": otlp.id_bytes(number).hex(),
        "name": name,
        "kind": kind,
        "timestamp": otlp.START_NS // 1000 + number,
        "duration": 1500,
        "localEndpoint": {"serviceName": service, "ipv4": "10.0.0.1", "port": 8080},
        **members,
    }
    return {key: value for key, value in made.items() if value is not None}


def to_json(*spans):
    return json.dumps(spans).encode()


def post(port, body, content_type=otlp.JSON, compressed=False, path=SPANS, headers=()):
    return otlp.post(port, body, content_type, compressed, path, headers)


def _add(kind, name, number, type_, type_name=None, repeated=False):
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    kind.field.add(name=name, number=number, type=type_, label=label, type_name=type_name)


@functools.lru_cache(maxsize=None)
def _list_class():
    """zipkin.proto3.ListOfSpans, with what the tests use of it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="zipkin_for_tests.proto", package="zipkin_for_tests", syntax="proto3"
    )
    span_kind = file.message_type.add(name="Span")
    endpoint = file.message_type.add(name="Endpoint")
    annotation = file.message_type.add(name="Annotation")
    spans = file.message_type.add(name="ListOfSpans")
    entry = span_kind.nested_type.add(name="TagsEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        _add(entry, name, number, _TEXT)
    for number, (name, type_) in enumerate(
        (("trace_id", _BYTES), ("parent_id", _BYTES), ("id", _BYTES), ("kind", _INT32),
         ("name", _TEXT), ("timestamp", _FIXED64), ("duration", _UINT64)), 1,
    ):  # fmt: skip
        _add(span_kind, name, number, type_)
    _add(span_kind, "local_endpoint", 8, _MESSAGE, ".zipkin_for_tests.Endpoint")
    _add(span_kind, "remote_endpoint", 9, _MESSAGE, ".zipkin_for_tests.Endpoint")
    _add(span_kind, "annotations", 10, _MESSAGE, ".zipkin_for_tests.Annotation", repeated=True)
    _add(span_kind, "tags", 11, _MESSAGE, ".zipkin_for_tests.Span.TagsEntry", repeated=True)
    _add(span_kind, "debug", 12, _BOOL)
    _add(span_kind, "shared", 13, _BOOL)
    for number, (name, type_) in enumerate(
        (("service_name", _TEXT), ("ipv4", _BYTES), ("ipv6", _BYTES), ("port", _INT32)), 1
    ):
        _add(endpoint, name, number, type_)
    _add(annotation, "timestamp", 1, _FIXED64)
    _add(annotation, "value", 2, _TEXT)
    _add(spans, "spans", 1, _MESSAGE, ".zipkin_for_tests.Span", repeated=True)

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(
        pool.FindMessageTypeByName("zipkin_for_tests.ListOfSpans")
    )


def to_protobuf(*spans):
    """The same spans as zipkin.proto3.ListOfSpans."""
    made = _list_class()()
    for members in spans:
        one = made.spans.add(
            trace_id=bytes.fromhex(members["traceId"]),
            id=bytes.fromhex(members["id"]),
            parent_id=bytes.fromhex(members.get("parentId", "")),
            kind=KINDS.get(members.get("kind"), 0),
            name=members.get("name", ""),
            timestamp=members.get("timestamp", 0),
            duration=members.get("duration", 0),
            shared=members.get("shared", False),
        )
        one.tags.update(members.get("tags", {}))
        one.local_endpoint.service_name = members["localEndpoint"]["serviceName"]
    return made.SerializeToString()
