"""Free and taken TCP ports of the loopback address."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

import psutil

FREE_PORTS = range(20_000, 32_000)
"""Where `free_port` looks: below the range from which the system picks ports for clients."""

_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def who_listens(port: int) -> str:
    """The program that listens at this port, where the system tells this account; else nothing."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            for held in process.net_connections("tcp"):
                if held.status == psutil.CONN_LISTEN and held.laddr and held.laddr.port == port:
                    return f"{process.name()}, process {process.pid}"
    return ""


def free_port() -> int:
    """A port that nobody listens on now, each time another one: who asked before may not listen yet."""
    if len(_given) > len(FREE_PORTS) // 2:
        _given.clear()
    while True:
        port = random.choice(FREE_PORTS)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
