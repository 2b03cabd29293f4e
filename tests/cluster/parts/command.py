"""Programs: kubectl, helm, docker."""

import asyncio
from dataclasses import dataclass

from tests.cluster.parts.settings import ROOT, TOOL_ENVIRONMENT


class CommandFailed(Exception):
    """A program ended with another status than 0; the message holds all that it said."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def attempt(*command: str, stdin: str = "", seconds: float = 120) -> Done:
    """Runs a program to its end, whatever its status."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *command, env=TOOL_ENVIRONMENT, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(stdin.encode()), seconds)
    except BaseException:
        if child.returncode is None:
            child.kill()
        await child.communicate()
        raise
    return Done(child.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


async def run(*command: str, stdin: str = "", seconds: float = 120) -> str:
    """What a program printed; raises CommandFailed when it failed."""
    done = await attempt(*command, stdin=stdin, seconds=seconds)
    if done.code:
        raise CommandFailed(f"{' '.join(command)}\n{done.err}{done.out}")
    return done.out
