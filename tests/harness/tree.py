"""The answer of a chain as tracehop.v1.CallReply, whatever form it came in."""

from google.protobuf import json_format

from harness.messages import message

# What the JSON answer has besides the members of CallReply.
_EXTRA = ("failure", "warning")


def from_json(answer):
    """The tree of a JSON answer. Fails when it is not the proto's JSON mapping."""
    members = {name: value for name, value in answer.items() if name not in _EXTRA}
    return json_format.ParseDict(members, message("tracehop.v1.CallReply")())


def path(reply):
    """The names of the hops down the first upstreams: ["frontend-prod", ...]."""
    names = [reply.name]
    while reply.upstreams and reply.upstreams[0].HasField("hop"):
        reply = reply.upstreams[0].hop
        names.append(reply.name)
    return names


def last_hop(reply):
    while reply.upstreams and reply.upstreams[0].HasField("hop"):
        reply = reply.upstreams[0].hop
    return reply
