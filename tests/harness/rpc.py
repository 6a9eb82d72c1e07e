"""gRPC as an independent client speaks it."""

import contextlib

import grpc

from harness.messages import message

CALL = "/tracehop.v1.Hop/Call"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"

# What a client's connection begins with: the preface and SETTINGS that set nothing.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"

# Names of the gRPC codes by number, and what an HTTP front answers for each.
CODES = (
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
)
FAILURES = tuple((number, name, http) for number, (name, http) in enumerate(CODES) if number)


class Outcome:
    """How a call ended."""

    def __init__(self, code, message_text, reply, initial, trailing):
        self.code = code
        self.message = message_text
        self.reply = reply
        self.initial = initial
        self.trailing = trailing

    @property
    def details(self):
        """google.rpc.Status, or None."""
        raw = self.trailing.get("grpc-status-details-bin")
        return raw and message("google.rpc.Status").FromString(raw)

    def __repr__(self):
        return f"{self.code} {self.message!r} {self.reply} {self.trailing}"


@contextlib.contextmanager
def connect(port, host="127.0.0.1"):
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"{host}:{port}", options) as channel:
        yield channel


def unary(channel, path, request, reply_class):
    """The multicallable of a unary method."""
    return channel.unary_unary(
        path,
        request_serializer=type(request).SerializeToString,
        response_deserializer=reply_class.FromString,
    )


def start_call(channel, metadata=(), timeout_s=60):
    """A tracehop.v1.Hop/Call that is on its way. Whoever drops it cancels it."""
    request = message("tracehop.v1.CallRequest")()
    method = unary(channel, CALL, request, message("tracehop.v1.CallReply"))
    return method.future(request, metadata=tuple(metadata), timeout=timeout_s)


def call_on(channel, metadata=(), timeout_s=60):
    """The Outcome of tracehop.v1.Hop/Call."""
    pending = start_call(channel, metadata, timeout_s)
    code = pending.code()
    reply = pending.result() if code == grpc.StatusCode.OK else None
    return Outcome(
        code.name,
        pending.details(),
        reply,
        dict(pending.initial_metadata() or ()),
        dict(pending.trailing_metadata() or ()),
    )


def call(port, metadata=(), timeout_s=60):
    with connect(port) as channel:
        return call_on(channel, metadata, timeout_s)


def check(port, service="", timeout_s=60):
    """The name of a service's state, or of the code of the refusal."""
    request = message("grpc.health.v1.HealthCheckRequest")(service=service)
    reply_class = message("grpc.health.v1.HealthCheckResponse")
    with connect(port) as channel:
        try:
            reply = unary(channel, CHECK, request, reply_class)(request, timeout=timeout_s)
        except grpc.RpcError as error:
            return error.code().name
    return health_name(reply)


def health_name(reply):
    return reply.ServingStatus.Name(reply.status)


def watch_on(channel, service="", timeout_s=60):
    """The stream of a service's states."""
    request = message("grpc.health.v1.HealthCheckRequest")(service=service)
    method = channel.unary_stream(
        WATCH,
        request_serializer=type(request).SerializeToString,
        response_deserializer=message("grpc.health.v1.HealthCheckResponse").FromString,
    )
    return method(request, timeout=timeout_s)
