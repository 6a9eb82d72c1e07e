"""Eyes on the wire: the HTTP/2 frames of a gRPC answer, as nghttp saw them."""

import re
import subprocess
import tempfile

_EMPTY_MESSAGE = b"\0\0\0\0\0"
_HEADER = re.compile(r"recv \(stream_id=(\d+)(?:, [a-z]+)*\) (:?[^:]+): (.*)$")
_FRAME = re.compile(r"recv ([A-Z_]+) frame <length=(\d+), flags=0x([0-9a-f]+), stream_id=(\d+)>")
_END_STREAM = 0x1


class Frame:
    """A frame of the answer; HEADERS come with their fields."""

    def __init__(self, kind, length, flags, fields):
        self.kind = kind
        self.length = length
        self.ends_stream = bool(flags & _END_STREAM)
        self.fields = fields

    def __repr__(self):
        return f"{self.kind}({self.length}{', END_STREAM' if self.ends_stream else ''}) {self.fields}"


def answer_to(port, path, headers, body_bytes=_EMPTY_MESSAGE):
    """The HEADERS and DATA frames that answer a unary gRPC call, by default with an empty message."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(body_bytes)
        body.flush()
        fields = [("content-type", "application/grpc"), ("te", "trailers"), *headers]
        arguments = [word for name, value in fields for word in ("-H", f"{name}: {value}")]
        seen = subprocess.run(
            ["nghttp", "-v", "-n", "-t", "30", "-d", body.name, *arguments,
             f"http://127.0.0.1:{port}{path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        ).stdout.decode("utf-8", "replace")
    return _parse(seen)


def _parse(seen):
    fields, frames = [], []
    for line in seen.splitlines():
        if header := _HEADER.search(line):
            fields.append((header[2], header[3]))
        elif frame := _FRAME.search(line):
            if frame[1] in ("HEADERS", "DATA"):
                own = fields if frame[1] == "HEADERS" else []
                frames.append(Frame(frame[1], int(frame[2]), int(frame[3], 16), dict(own)))
                fields = []
    return frames
