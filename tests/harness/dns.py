"""A name server for tests: it knows a few names, all of them this machine's (RFC 1035)."""

import os
import socket
import threading

_A, _IN = 1, 1
_ANSWER, _NO_SUCH_NAME = 0x8180, 0x8183
_ADDRESS = socket.inet_aton("127.0.0.1")


class NameServer:
    """Answers at port 53 of a loopback address of its own, which wants root."""

    def __init__(self, *names):
        self._names = {name.lower() for name in names}
        self.asked = set()
        # resolv.conf names no ports, so an address that no other test has takes the port's place.
        self.address = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query):
        name, end = _read_name(query, 12)
        kind = int.from_bytes(query[end : end + 2], "big")
        question = query[12 : end + 4]
        self.asked.add(name)
        flags = _ANSWER if name in self._names else _NO_SUCH_NAME
        records = b""
        if name in self._names and kind == _A:
            # The name is where the question has it; a minute to live.
            records = b"\xc0\x0c" + _numbers(_A, _IN, 0, 60, len(_ADDRESS)) + _ADDRESS
        count = 1 if records else 0
        return query[:2] + _numbers(flags, 1, count, 0, 0) + question + records

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as goodbye:
            goodbye.sendto(b"", (self.address, 53))
        self._thread.join()
        self._socket.close()


def _numbers(*values):
    return b"".join(value.to_bytes(2, "big") for value in values)


def _read_name(query, start):
    """The name at `start`, and where it ends."""
    labels = []
    while length := query[start]:
        labels.append(query[start + 1 : start + 1 + length].decode("latin-1").lower())
        start += 1 + length
    return ".".join(labels), start + 1
