"""HTTP/1.1 for a client that asks one thing, again and again: connections are kept, and replaced
when they are gone. RFC 9112.
"""

import asyncio
import errno
import os
import socket
import typing
import urllib.parse

_HEAD_BYTES_MAX = 64 << 10
_ANSWER_BYTES_MAX = 8 << 20
_BLANK = b"\r\n\r\n"


class NoAnswer(Exception):
    """Why there is none, in words."""


class _NothingSaid(NoAnswer):
    """The connection went before the first byte of an answer."""


class Malformed(NoAnswer):
    """What came back is no answer."""


class Answer(typing.NamedTuple):
    status: int
    body: bytes
    keeps_connection: bool


class Target(typing.NamedTuple):
    """Where requests go."""

    host: str  # As the Host header has it.
    path: str
    addresses: tuple  # Of (address, port), in the order in which they are tried.


def find_target(url):
    """Resolves the host, once for all requests. Raises ValueError with what is wrong."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise ValueError(f"URL: {url!r}: {error}") from None
    is_clean = url.isascii() and url.isprintable() and " " not in url
    if not is_clean or parts.scheme != "http" or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"URL: {url!r} is not http://HOST[:PORT][/PATH]")
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return Target(parts.netloc, path, _addresses(parts.hostname, port))


def _addresses(host, port):
    if host == "localhost":  # On every system (RFC 6761), known to its resolver or not.
        return (("127.0.0.1", port), ("::1", port))
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ValueError(f"URL: the host {host} is not found: {error.strerror}") from None
    return tuple(dict.fromkeys(address[:2] for *_, address in found))


def parse_answer(raw, is_at_end=False):
    """The answer at the start of `raw`; None when more has to come. Raises Malformed."""
    while True:
        head, blank, rest = raw.partition(_BLANK)
        if not blank:
            if len(raw) > _HEAD_BYTES_MAX:
                raise Malformed("headers without end")
            return None
        version, status, headers = _parse_head(head)
        if status >= 200:
            break
        raw = rest  # An interim answer, 100 or 103: the real one follows.
    framed = _parse_body(status, headers, rest, is_at_end)
    if framed is None:
        return None
    body, surplus = framed
    options = headers.get("connection", "").lower()
    keeps = version == "HTTP/1.1" and "close" not in options and not is_at_end and not surplus
    return Answer(status, bytes(body), keeps)


def _parse_head(head):
    """The version, the status, and the headers: names in lower case, of equal ones the last."""
    first, *lines = bytes(head).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not status.isdecimal() or not 100 <= int(status) <= 599:
        raise Malformed("not HTTP/1.1")
    pairs = (line.partition(":") for line in lines)
    return version, int(status), {name.lower(): value.strip(" \t") for name, _, value in pairs}


def _parse_body(status, headers, rest, is_at_end):
    """The body and what comes after it; None when more has to come."""
    if status in (204, 304):
        return b"", rest
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        return _parse_chunks(rest)
    if "content-length" not in headers:
        return (rest, b"") if is_at_end else None
    length = headers["content-length"]
    if not length.isdecimal() or int(length) > _ANSWER_BYTES_MAX:
        raise Malformed(f"a body of {length[:20]!r} bytes")
    return (rest[: int(length)], rest[int(length) :]) if len(rest) >= int(length) else None


def _parse_chunks(rest):
    body = bytearray()
    at = 0
    while (end := rest.find(b"\r\n", at)) >= 0:
        try:
            size = int(bytes(rest[at:end]).partition(b";")[0], 16)
        except ValueError:
            raise Malformed("a chunk without its size") from None
        at = end + 2
        if size == 0:
            return _skip_trailers(body, rest, at)
        if not 0 < size <= _ANSWER_BYTES_MAX:
            raise Malformed(f"a chunk of {size} bytes")
        if len(rest) < at + size + 2:
            return None
        body += rest[at : at + size]
        at += size + 2
    return None


def _skip_trailers(body, rest, at):
    while (end := rest.find(b"\r\n", at)) >= 0:
        if end == at:
            return body, rest[end + 2 :]
        at = end + 2
    return None


class _Connection(asyncio.Protocol):
    """One request at a time. `forget` is called with it when it is gone."""

    def __init__(self, forget):
        self._forget = forget
        self._received = bytearray()
        self._answered = None
        self._transport = None

    @property
    def is_open(self):
        return not self._transport.is_closing()

    async def ask(self, request):
        self._received.clear()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def close(self):
        self._transport.abort()

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        if not self._is_awaited():
            self.close()  # Something was said that nobody asked for: 408, say.
            return
        self._received += data
        if len(self._received) > _ANSWER_BYTES_MAX:
            self._fail(Malformed(f"more than {_ANSWER_BYTES_MAX} bytes"))
        else:
            self._look(is_at_end=False)

    def eof_received(self):
        self._look(is_at_end=True)

    def connection_lost(self, error):
        self._forget(self)
        why = _in_words(error) if error else "connection closed"
        if self._received:
            self._fail(NoAnswer(f"{why} in the middle of an answer"))
        else:
            self._fail(_NothingSaid(why))

    def _is_awaited(self):
        return self._answered is not None and not self._answered.done()

    def _look(self, is_at_end):
        if not self._is_awaited():
            return
        try:
            answer = parse_answer(self._received, is_at_end)
        except Malformed as malformed:
            self._fail(malformed)
            return
        if answer:
            self._answered.set_result(answer)

    def _fail(self, error):
        if self._is_awaited():
            self._answered.set_exception(error)


def _in_words(error):
    return os.strerror(error.errno).lower() if error.errno in errno.errorcode else str(error)


class Client:
    """Any number of requests at a time, each on a connection of its own."""

    def __init__(self, target, headers, timeout_s):
        self._target = target
        self._timeout_s = timeout_s
        lines = [f"GET {target.path} HTTP/1.1", f"Host: {target.host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self._request = "\r\n".join([*lines, "", ""]).encode()
        self._idle = {}  # An ordered set: the one used last is used next.

    async def get(self):
        """The answer, and whether it was asked for twice: a kept connection may be closed by its
        other end just as a request goes out, which is nobody's failure. Raises NoAnswer.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._get()
        except TimeoutError:
            raise NoAnswer("timed out") from None

    def close(self):
        for connection in list(self._idle):
            connection.close()

    async def _get(self):
        kept = self._take_idle()
        if not kept:
            return await self._ask(await self._connect()), False
        try:
            return await self._ask(kept), False
        except _NothingSaid:
            return await self._ask(await self._connect()), True

    def _take_idle(self):
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_open:
                return connection
        return None

    async def _ask(self, connection):
        keeps = False
        try:
            answer = await connection.ask(self._request)
            keeps = answer.keeps_connection and connection.is_open
        finally:
            if keeps:
                self._idle[connection] = None
            else:
                connection.close()
        return answer

    async def _connect(self):
        loop = asyncio.get_running_loop()
        first_error = None
        for address, port in self._target.addresses:
            try:
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._forget), address, port
                )
                return connection
            except OSError as error:
                first_error = first_error or error
        raise NoAnswer(_in_words(first_error))

    def _forget(self, connection):
        self._idle.pop(connection, None)
