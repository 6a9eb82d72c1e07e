"""What the network of this machine can do, and which of its ports are free."""

import contextlib
import random
import socket

# Of ports that are reserved together.
_BLOCK = 10
_reserved = contextlib.ExitStack()


def localhost_has_two_addresses():
    """Whether there is an IPv6 loopback, and localhost is known at all."""
    try:
        socket.getaddrinfo("localhost", 0)
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def free_ranges(count, ports):
    """The first ports of that many ranges of free ports, where the system picks none for others.
    Other tests, in whatever process, get other ranges as long as this process lives.
    """
    firsts = []
    while len(firsts) < count:
        first = random.randrange(20_000, 32_000, _BLOCK)
        is_ours = _reserve(range(first, first + ports, _BLOCK))
        if is_ours and all(is_free(first + number) for number in range(ports)):
            firsts.append(first)
    return firsts


def _reserve(blocks):
    """Whether nobody had reserved one of them. The names of these sockets are this machine's."""
    with contextlib.ExitStack() as marks:
        for first in blocks:
            mark = marks.enter_context(socket.socket(socket.AF_UNIX))
            try:
                mark.bind(f"\0tracehop-ports-{first}")
            except OSError:
                return False
        _reserved.push(marks.pop_all())
        return True


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
