"""Services that are forked from a process which has imported them already: a start without its second of imports.

Behind a fork the module runs as `python -m <module>` would run it, with the environment, the log and the session of its
own that `Process` gives a child; only what an import would read from the environment is not read anew. The nursery ends
with the tests' process, and all its children with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

PRELOADED = (
    "router.service",
    "conversations.service",
    "registry.service",
    "tickets.service",
    "users.service",
    "gateway.service",
    "console.service",
    "demo_model.server",
)
POLL_SECONDS = 0.02


class Forked:
    """A child of the nursery, as `asyncio.subprocess.Process` would show one of ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)


class Nursery:
    """Started at the first fork; one for a process of tests."""

    def __init__(self) -> None:
        self._children: dict[int, Forked] = {}
        self._born: asyncio.Queue[Forked] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def fork(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], out: Path, err: Path | None = None
    ) -> Forked:
        """Its output goes to the ends of these files; of one, if there is no other."""
        order = {"module": module, "arguments": arguments, "env": dict(env), "out": str(out), "err": str(err or out)}
        async with self._turn:
            writer = self._writer or await self._open()
            writer.write(json.dumps(order).encode() + b"\n")
            return await asyncio.wait_for(self._born.get(), 120)

    async def _open(self) -> asyncio.StreamWriter:
        ours, theirs = socket.socketpair()
        with theirs:
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.parts.nursery", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._reading = asyncio.create_task(self._read(reader))
        return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            told = json.loads(line)
            if "status" not in told:
                self._children[told["pid"]] = child = Forked(told["pid"])
                self._born.put_nowait(child)
            elif child := self._children.pop(told["pid"], None):
                child.ended.set_result(told["status"])


NURSERY = Nursery()


async def run(module: str, *arguments: str, env: Mapping[str, str], seconds: float = 60) -> tuple[int, str, str]:
    """Exit code, output and error output of `python -m <module> <arguments>`, begun with the tests' environment too."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        child = await NURSERY.fork(module, arguments, os.environ | env, out, err)
        try:
            code = await asyncio.wait_for(child.wait(), seconds)
        except BaseException:
            child.send_signal(signal.SIGKILL)
            raise
        return code, out.read_text(), err.read_text()


def serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork a child for each line that comes in; tell its pid and, later, how it ended. Returns the order in a child."""
    for module in PRELOADED:
        import_module(module)
    gc.freeze()  # a child's collections leave the pages alone that it shares
    assert threading.active_count() == 1, "a fork takes one thread along"
    children: set[int] = set()
    try:
        return _fork_for(connection, children)
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _fork_for(connection: socket.socket, children: set[int]) -> dict[str, Any] | None:
    buffer = b""
    while True:
        if select.select([connection], [], [], POLL_SECONDS)[0]:
            if not (more := connection.recv(1 << 20)):
                return None
            *orders, buffer = (buffer + more).split(b"\n")
            for order in orders:
                if not (pid := os.fork()):
                    children.clear()
                    connection.close()
                    return json.loads(order)
                children.add(pid)
                _tell(connection, pid=pid)
        while children and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            children.discard(ended[0])
            _tell(connection, pid=ended[0], status=os.waitstatus_to_exitcode(ended[1]))


def _tell(connection: socket.socket, **told: int) -> None:
    connection.sendall(json.dumps(told).encode() + b"\n")


def become(order: dict[str, Any]) -> None:
    """Be `python -m <module> <arguments>` in a session of its own."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for place, name in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), place)
    for stream in (sys.stdout, sys.stderr):
        cast(io.TextIOWrapper, stream).reconfigure(write_through=True)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    mine = serve(socket.socket(fileno=int(sys.argv[1])))
    if mine is not None:
        become(mine)
