"""The wire between a program and its backend, where a test can cut it."""

import contextlib
import socket
import threading

from harness.network import free_ranges

_PIECE_BYTES = 65536
_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds


class Wire:
    """Passes bytes both ways between whoever connects to `port` and `target_port`.

    cut()        resets every connection, and refuses new ones
    mend()       takes connections again
    deafen()     lets requests through and keeps the answers back
    """

    def __init__(self, target_port):
        self._target_port = target_port
        # A port that the system gives to nobody else while the wire is cut.
        (self.port,) = free_ranges(1, 1)
        self._lock = threading.Lock()
        self._connections = set()
        self._is_deaf = False
        self._listener = None

    @property
    def grpc_uri(self):
        return f"grpc://127.0.0.1:{self.port}"

    @property
    def http_uri(self):
        return f"http://127.0.0.1:{self.port}"

    def mend(self):
        with self._lock:
            self._is_deaf = False
            if self._listener:
                return
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def deafen(self):
        with self._lock:
            self._is_deaf = True

    def cut(self):
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, set()
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(listener, near), daemon=True).start()

    def _connect(self, listener, near):
        try:
            far = socket.create_connection(("127.0.0.1", self._target_port))
        except OSError:
            near.close()
            return
        with self._lock:
            if self._listener is not listener:
                near.close()
                far.close()
                return
            self._connections |= {near, far}
        onward = threading.Thread(target=self._pass, args=(near, far, False), daemon=True)
        onward.start()
        self._pass(far, near, True)
        onward.join()
        with self._lock:
            self._connections -= {near, far}
        near.close()
        far.close()

    def _pass(self, source, sink, is_answer):
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if not (is_answer and self._is_deaf):
                    sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        self.mend()
        return self

    def __exit__(self, *exception):
        self.cut()
