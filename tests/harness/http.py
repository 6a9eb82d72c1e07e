"""HTTP/1.1 as clients speak it, and as they should not."""

import contextlib
import http.client
import json
import socket
import threading

_TIMEOUT_S = 60


class Answer:
    """What a server answered."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:2000]!r}"


class Client:
    """One connection that is kept. A value may be bytes, a header may be given twice:
    get("/", [("fail", "1"), ("x-dev-user", b"\\xff")]).
    """

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)

    def request(self, method, path, headers=(), body=None):
        pairs = headers.items() if isinstance(headers, dict) else headers
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in pairs:
            self._connection.putheader(name, value)
        if body is not None and not any(name.lower() == "content-length" for name, _ in pairs):
            self._connection.putheader("Content-Length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def get(self, path="/", headers=()):
        return self.request("GET", path, headers)

    def get_json(self, path="/", headers=()):
        """The answer as a tree; its status is checked by the caller."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        return self.get(path, [("Accept", "application/json"), *pairs])

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def get(port, path="/", headers=()):
    with Client(port) as client:
        return client.get(path, headers)


def get_json(port, path="/", headers=()):
    with Client(port) as client:
        return client.get_json(path, headers)


def exchange(port, raw, timeout_s=_TIMEOUT_S):
    """Sends bytes that no decent client would send; returns what comes back until the server hangs
    up, or until the timeout.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        # The server may answer, and hang up, before it has seen all.
        sender = threading.Thread(target=_send, args=(connection, raw))
        sender.start()
        received = b""
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while piece := connection.recv(65536):
                received += piece
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        sender.join()
    return received


def _send(connection, raw):
    with contextlib.suppress(OSError):
        connection.sendall(raw)


def status_of(raw):
    """The status code of a raw answer; 0 when there was none."""
    words = raw.split(b" ", 2)
    return int(words[1]) if len(words) > 2 and words[0].startswith(b"HTTP/1.") else 0
