"""What stands behind a hop in a test: recorders that tell what arrived, and peers that fail."""

import concurrent.futures
import contextlib
import socket
import threading

import grpc

from harness import rpc
from harness.messages import message
from harness.wait import PATIENCE_S, eventually

_LOCALHOST = ("127.0.0.1", 0)


class Arrivals:
    """Requests as they arrived, in order, whatever thread saw them."""

    def __init__(self):
        self._all = []
        self._lock = threading.Lock()

    def add(self, arrival):
        with self._lock:
            self._all.append(arrival)

    def take(self, count, timeout_s=PATIENCE_S):
        """The next `count` arrivals, once they are there; takes them away."""
        eventually(lambda: self.count() >= count, f"{count} requests arrive", timeout_s)
        with self._lock:
            taken, self._all = self._all[:count], self._all[count:]
        return taken

    def count(self):
        with self._lock:
            return len(self._all)

    def forget(self):
        """Forgets what a test before this one left behind."""
        with self._lock:
            self._all = []


class Arrival:
    """A request: its headers as (name, value) in bytes, names in lower case."""

    def __init__(self, protocol, headers, path="", authority=""):
        self.protocol = protocol
        self.headers = headers
        self.path = path
        self.authority = authority

    def all(self, name):
        return [value for own, value in self.headers if own == name.encode()]

    def one(self, name):
        """The only value of a header, as text; None when there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} arrived {len(values)} times: {values}"
        return values[0].decode("latin-1") if values else None

    def names(self):
        return {name.decode() for name, _ in self.headers}


class _TcpServer:
    """Runs serve(connection) on a thread per connection, on a port that the system picks."""

    def __init__(self):
        self._listener = socket.create_server(_LOCALHOST)
        self.port = self._listener.getsockname()[1]
        self._connections = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            self.serve(connection)

    def serve(self, connection):
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class HttpUpstream(_TcpServer):
    """Answers every request alike, byte for byte, and records what arrived."""

    def __init__(self, status="200 OK", body=b"fine", headers=()):
        self.arrivals = Arrivals()
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self._answer = "\r\n".join(lines).encode() + body
        super().__init__()

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}/"

    def serve(self, connection):
        pending = b""
        while True:
            while b"\r\n\r\n" not in pending:
                piece = connection.recv(65536)
                if not piece:
                    return
                pending += piece
            head, pending = pending.split(b"\r\n\r\n", 1)
            request, *lines = head.split(b"\r\n")
            headers = [tuple(line.split(b":", 1)) for line in lines]
            self.arrivals.add(
                Arrival(
                    "http",
                    [(name.lower(), value.strip(b" \t")) for name, value in headers],
                    request.split(b" ")[1].decode("latin-1"),
                )
            )
            connection.sendall(self._answer)


class RefusingUpstream:
    """A port where nobody listens; it is held, so that nobody else will."""

    def __enter__(self):
        self._socket = socket.socket()
        self._socket.bind(_LOCALHOST)
        self.port = self._socket.getsockname()[1]
        return self

    def __exit__(self, *exception):
        self._socket.close()


class SilentUpstream(_TcpServer):
    """Accepts, reads, and never answers."""

    def __init__(self):
        self._requests = threading.Semaphore(0)
        self._hang_ups = threading.Semaphore(0)
        super().__init__()

    def serve(self, connection):
        while connection.recv(65536):
            self._requests.release()
        self._hang_ups.release()

    def wait_for_a_request(self, timeout_s):
        return self._requests.acquire(timeout=timeout_s)

    def wait_for_a_hang_up(self, timeout_s):
        return self._hang_ups.acquire(timeout=timeout_s)


class DyingUpstream(_TcpServer):
    """Hangs up, with a reset, as soon as a request has begun."""

    def serve(self, connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


class BabblingUpstream(_TcpServer):
    """Answers with what is no HTTP of any version."""

    def serve(self, connection):
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x01 this is no answer \r\n\r\n" * 8)


class GrpcUpstream:
    """A tracehop.v1.Hop that records what arrived, and answers what `behave` says: a CallReply, or
    nothing after context.abort. Its threads are as many as calls may wait in `behave` at once.
    """

    def __init__(self, behave=None, threads=16):
        self.arrivals = Arrivals()
        self._behave = behave or self._reply
        self._executor = concurrent.futures.ThreadPoolExecutor(threads)
        self._server = grpc.server(
            self._executor,
            handlers=[_CallHandler(self._serve)],
            options=[("grpc.max_metadata_size", 1 << 20), ("grpc.so_reuseport", 0)],
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def uri(self):
        return f"grpc://127.0.0.1:{self.port}"

    def _serve(self, _request, context):
        self.arrivals.add(Arrival("grpc", _raw_metadata(context), authority=_authority(context)))
        return self._behave(context).SerializeToString()

    @staticmethod
    def _reply(_context):
        return message("tracehop.v1.CallReply")(role="recorder", version="prod", name="recorder")

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *exception):
        self._server.stop(grace=None).wait()
        self._executor.shutdown()


class _CallHandler(grpc.GenericRpcHandler):
    def __init__(self, serve):
        self._method = grpc.unary_unary_rpc_method_handler(serve)

    def service(self, details):
        return self._method if details.method == rpc.CALL else None


def _authority(context):
    """What the caller put into :authority. The library knows it, and has no public name for it."""
    return context._rpc_event.call_details.host.decode()


def _raw_metadata(context):
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in context.invocation_metadata()
    ]


class RetryingProxy:
    """Passes calls on and retries the failed ones, as a mesh does: every try carries the same
    metadata, which `rewrite` may change: it is given (name, value) pairs and returns them.
    """

    def __init__(self, target_port, tries, rewrite=list):
        self.codes = []
        self._rewrite = rewrite
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{target_port}", [("grpc.enable_retries", 0)]
        )
        self._onward = self._channel.unary_unary(rpc.CALL)
        self._tries = tries
        self._executor = concurrent.futures.ThreadPoolExecutor(8)
        self._server = grpc.server(
            self._executor,
            handlers=[_CallHandler(self._serve)],
            options=[("grpc.so_reuseport", 0)],
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def uri(self):
        return f"grpc://127.0.0.1:{self.port}"

    def _serve(self, request, context):
        metadata = self._rewrite(
            (name, value) for name, value in context.invocation_metadata() if name != "user-agent"
        )
        for _ in range(self._tries):
            pending = self._onward.future(request, metadata=metadata, timeout=30)
            self.codes.append(pending.code().name)
            if pending.code() == grpc.StatusCode.OK:
                return pending.result()
        context.set_trailing_metadata(pending.trailing_metadata())
        context.abort(pending.code(), pending.details())

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *exception):
        self._server.stop(grace=None).wait()
        self._executor.shutdown()
        self._channel.close()
