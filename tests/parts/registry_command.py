"""A command of the registry that runs once, as in a Job."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ended:
    code: int
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stderr.splitlines()[-1]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of this event."""
        lines = [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]


async def run(*arguments: str, **env: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry", *arguments, env=os.environ | env, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, stderr = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        raise
    return Ended(process.returncode or 0, stderr.decode())
