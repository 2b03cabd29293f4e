"""Tools whose effects can be undone: `python -m tests.parts.undo_tools` serves them as a team of its own would."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Literal

import restate
from pydantic import BaseModel, Field

from runtime.checked import RAW, checked
from runtime.errors import Refused, TryAgain
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings

TIMES_LATER = 3
CANARY = "canary of a refusal"

marks = restate.VirtualObject("Marks", ingress_private=True, invocation_retry_policy=RETRY)
_tried: Counter[str] = Counter()


class Mark(BaseModel):
    name: str = Field(description="What to mark.")
    seconds: float = Field(default=0, ge=0, le=60)
    undo: Literal["", "refuse", "later"] = ""


class Marked(BaseModel):
    name: str
    state: str


class Standing(BaseModel):
    """What became of one mark; `times` says how often it was made and undone."""

    name: str
    state: Literal["made", "undone"]
    made: int = 0
    undone: int = 0
    undone_at: float = 0


TOOL = {"mcp.type": "tool", "tool.key": "run", "tool.compensate": "unmark", "tool.timeout": "2"}


@marks.handler(metadata=TOOL, input_serde=RAW)
@checked
async def mark(ctx: restate.ObjectContext, wanted: Mark) -> Marked:
    """Mark something."""
    return await _made(ctx, wanted)


@marks.handler(metadata=TOOL | {"tool.approval": "required"}, input_serde=RAW)
@checked
async def mark_if_approved(ctx: restate.ObjectContext, wanted: Mark) -> Marked:
    """Mark something of which a person decides."""
    return await _made(ctx, wanted)


async def _made(ctx: restate.ObjectContext, wanted: Mark) -> Marked:
    standing = await ctx.get("standing", type_hint=Standing)
    if standing:
        raise Refused(422, "known", "this mark was made or undone before")
    if wanted.seconds:
        await ctx.sleep(timedelta(seconds=wanted.seconds))
    ctx.set("standing", Standing(name=wanted.name, state="made", made=1))
    return Marked(name=wanted.name, state="made")


@marks.handler(input_serde=RAW)
@checked
async def unmark(ctx: restate.ObjectContext, wanted: Mark) -> Marked:
    """Take a mark away, or see to it that it is never made."""
    if wanted.undo == "refuse":
        raise Refused(422, "too_late", CANARY)
    _tried[ctx.key()] += 1
    if wanted.undo == "later" and _tried[ctx.key()] <= TIMES_LATER:
        raise TryAgain("not yet")
    standing = await ctx.get("standing", type_hint=Standing) or Standing(name=wanted.name, state="undone")
    standing.state, standing.undone, standing.undone_at = "undone", standing.undone + 1, await ctx.time()
    ctx.set("standing", standing)
    return Marked(name=wanted.name, state="undone")


async def main() -> None:
    await serve(RestateServiceSettings.read(), [marks])


if __name__ == "__main__":
    asyncio.run(main())
