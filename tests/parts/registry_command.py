"""A command of the registry that runs once, as in a Job."""

import json
from dataclasses import dataclass
from typing import Any

from tests.parts import nursery


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
    code, _, stderr = await nursery.run("registry", *arguments, env=env)
    return Ended(code, stderr)
