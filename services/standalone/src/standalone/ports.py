"""Free and taken TCP ports of the loopback address."""

from __future__ import annotations

import random
import socket


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
    """A port that nobody listens on now; below the range from which the system picks ports for clients."""
    while True:
        port = random.randrange(20_000, 32_000)
        if is_free(port):
            return port
