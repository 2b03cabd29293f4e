"""CPU time of processes: what a process and its living and ended children have used."""

import os

import psutil

Pids = dict[str, int]
"""Process ids by the name under which they are reported."""


def used(pids: Pids) -> dict[str, float]:
    """Seconds of CPU by name, and this process itself as `load`."""
    return {name: _seconds(pid) for name, pid in (pids | {"load": os.getpid()}).items()}


def _seconds(pid: int) -> float:
    root = psutil.Process(pid)
    total = _own(root)
    if pid != os.getpid():
        for child in root.children(recursive=True):
            try:
                total += _own(child)
            except psutil.NoSuchProcess:
                continue
    return total


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system
