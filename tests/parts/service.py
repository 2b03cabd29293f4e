"""One of our services as a process of its own."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from standalone.ports import free_port
from standalone.process import Process, Program
from standalone.restate import answers
from tests.parts.nursery import NURSERY
from tests.parts.signed import KEYS

QUIET = {"OPENAI_CHECK_AT_START": "false"}
"""A router asks its model nothing at start, unless a test is about that: tests count what a model is asked."""


class Service(Process):
    """`python -m <module>` on a port of its own; `start` again after `stop` or `kill` keeps port and environment."""

    forks = True
    """Where it matters what a process has imported, such as whose metrics it tells, each has to be a new one."""

    def __init__(
        self,
        module: str,
        data_dir: Path,
        env: Mapping[str, str],
        *,
        name: str = "",
        port: int = 0,
        arguments: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.url = self.address + (f"/rev/{env['REVISION']}" if env.get("REVISION") else "")
        program = Program(
            name=name or f"{module}-{self.port}",
            command=[sys.executable, "-m", module, *arguments],
            env={"PORT": str(self.port), "PYTHONUNBUFFERED": "1", **QUIET, **KEYS, **env},
            ready=self._healthy,
        )
        super().__init__(program, data_dir)

    async def start(self) -> None:
        await super().start()
        await self.wait_ready()

    async def _spawn(self, env: Mapping[str, str]) -> asyncio.subprocess.Process:
        if not self.forks:
            return await super()._spawn(env)
        _, _, module, *arguments = self.program.command
        forked = await NURSERY.fork(module, arguments, env, self.log)
        return cast(asyncio.subprocess.Process, forked)

    async def _healthy(self) -> bool:
        return await answers(f"{self.address}/health")
