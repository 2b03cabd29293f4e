"""A child process in a session of its own, with a log file, a readiness check and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "SWITCHBOARD_DATA_DIR"
"""Every child carries this variable, so that a later start recognises what a killed supervisor left behind."""

NOT_INHERITED = {
    "DATABASE_URL",
    "DATABASE_PASSWORD",
    "STAFF_DATABASE_PASSWORD",
    "OPENAI_API_KEY",
    "OPENAI_FALLBACKS",
    "OPENAI_EXTRA_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "RESTATE_ADMIN_TOKEN",
    "RESTATE_INGRESS_TOKEN",
    "STAFF_TOKEN",
    "WEBHOOK_SECRET",
}
"""Secrets that only the program which needs them gets, by its own `env`."""


class StartError(Exception):
    """A part of the system cannot start; the message is one line that a user can act on."""


@dataclass(frozen=True)
class Program:
    """What to run: a command, what it adds to the environment, and how to tell that it is ready."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    stop_signal: signal.Signals = signal.SIGTERM


LINE_CHARACTERS = 400

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def inherited() -> dict[str, str]:
    """What children get of the user's environment: PATH, proxies, certificates, and settings of their own.

    They reach one another without a proxy, whichever is set.
    """
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}  # noqa: TID251
    direct = ",".join(filter(None, [kept.get("no_proxy") or kept.get("NO_PROXY"), *LOOPBACK]))
    return kept | {"NO_PROXY": direct, "no_proxy": direct}


_FULL = ("no space left on device", "disk quota exceeded")


def is_full(error: OSError) -> bool:
    """Whether there is no room on the disk, or none that this account may take."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def cause(output: str, complaint: re.Pattern[str] | None = None) -> str:
    """Why a program has ended, by what it wrote: a full disk, else its first complaint, else its last line."""
    lines = [line.strip()[:LINE_CHARACTERS] for line in output.splitlines() if line.strip()]
    if full := next((line for line in lines if any(words in line.lower() for words in _FULL)), None):
        return f"the disk is full: {full}"
    complaints = [line for line in lines if complaint and complaint.search(line)]
    return (complaints or lines[-1:] or ["it wrote no log"])[0]


class Process:
    """One program that runs now, or ran, or will run again."""

    def __init__(self, program: Program, data_dir: Path) -> None:
        self.program = program
        self.log = data_dir / "logs" / f"{program.name}.log"
        self._data_dir = data_dir
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self.running else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    async def start(self) -> None:
        """Starts the program; its output goes to the end of its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._child = await self._spawn({**inherited(), MARK: str(self._data_dir.resolve()), **self.program.env})

    async def _spawn(self, env: Mapping[str, str]) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.program.command,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def wait_ready(self, seconds: float = 30) -> None:
        """Returns once the program says that it is ready; raises when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not await self.program.ready():
            if not self.running:
                raise StartError(f"{self.program.name} ended at once: {self.last_line()} (see {self.log})")
            if time.monotonic() > deadline:
                raise StartError(f"{self.program.name} is not ready after {seconds:.0f} s (see {self.log})")
            await asyncio.sleep(0.05)

    async def wait(self) -> int:
        """Waits until the program has ended and returns its exit code."""
        return await self._child.wait() if self._child else 0

    async def stop(self, seconds: float = 5, with_signal: signal.Signals | None = None) -> None:
        """Asks the program to end, and ends it when it does not within the time given."""
        self.send(with_signal or self.program.stop_signal)
        try:
            await asyncio.wait_for(self.wait(), seconds)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.send(signal.SIGKILL)
        await self.wait()

    def send(self, sig: signal.Signals) -> None:
        if self._child and self.running:
            self._child.send_signal(sig)

    def tail(self, lines: int = 40) -> str:
        """The end of the log, for a message about a failure."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def last_line(self) -> str:
        return cause(self.tail())


def end_leftovers(data_dir: Path) -> int:
    """Ends what a killed supervisor of this data folder left running, and nothing else; returns how many."""
    folder = data_dir.resolve()
    left = [process for process in psutil.process_iter() if _is_marked(process, folder)]
    return _end(left, signal.SIGTERM) + end_postgres(folder / "postgres")


def end_postgres(folder: Path) -> int:
    """Ends every process of the PostgreSQL in this folder. It overwrites its environment, but works in its folder."""
    left = [process for process in psutil.process_iter() if _works_in(process, folder)]
    # Backends would only drop their query on SIGINT, and wait on SIGTERM; after SIGQUIT the next start recovers.
    return _end(left, signal.SIGQUIT)


def _end(processes: list[psutil.Process], sig: signal.Signals, seconds: float = 3) -> int:
    for process in processes:
        _signal(process, sig)
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=seconds)
    return len(processes)


def _is_marked(process: psutil.Process, data_dir: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK) == str(data_dir)
    return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return process.name() == "postgres" and process.cwd() == str(folder)
    return False


def _signal(process: psutil.Process, sig: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(sig)
