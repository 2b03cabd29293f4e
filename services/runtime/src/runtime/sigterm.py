"""SIGTERM before a service is ready for it.

The kernel drops signals to the first process of a container that have no handler, and importing takes a second.
"""

import os
import signal


def end_on_sigterm() -> None:
    """From here on SIGTERM ends the process at once; `serve` takes over where something can be in flight."""
    signal.signal(signal.SIGTERM, _end)


def _end(signum: int, _: object) -> None:
    os._exit(128 + signum)
