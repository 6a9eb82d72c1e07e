"""What the network of this machine can do, and which of its ports are free."""

import random
import socket


def localhost_has_two_addresses():
    """Whether there is an IPv6 loopback, and localhost is known at all."""
    try:
        socket.getaddrinfo("localhost", 0)
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def free_ranges(count, ports):
    """The first ports of that many ranges of free ports, where the system picks none for others."""
    firsts = []
    while len(firsts) < count:
        first = random.randrange(20_000, 32_000, ports)
        if first not in firsts and all(is_free(first + number) for number in range(ports)):
            firsts.append(first)
    return firsts


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
