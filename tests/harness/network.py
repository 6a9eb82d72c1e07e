"""What the network of this machine can do, and which of its ports are free."""

import contextlib
import random
import socket

_BLOCK = 10

# Sockets that listen to nobody: their names say which blocks of ports this process has in mind.
_reservations = contextlib.ExitStack()


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
    Nobody else is given them as long as this process lives.
    """
    firsts = []
    while len(firsts) < count:
        first = random.randrange(20_000, 32_000 - ports, _BLOCK)
        if is_reserved(first, ports) and all(is_free(first + number) for number in range(ports)):
            firsts.append(first)
    return firsts


def is_reserved(first, ports):
    """Whether these ports are now this process's: between the look whether they are free and their
    use, another test may look, too.
    """
    with contextlib.ExitStack() as blocks:
        for block in range(first, first + ports, _BLOCK):
            name = blocks.enter_context(socket.socket(socket.AF_UNIX))
            try:
                name.bind(f"\0tracehop-tests-ports-{block}")
            except OSError:
                return False
        _reservations.enter_context(blocks.pop_all())
    return True


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
