"""Free and taken TCP ports of the loopback address."""

from __future__ import annotations

import random
import socket

FREE_PORTS = range(20_000, 32_000)
"""Where `free_port` looks: below the range from which the system picks ports for clients."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that nobody listens on now."""
    while True:
        port = random.choice(FREE_PORTS)
        if is_free(port):
            return port
