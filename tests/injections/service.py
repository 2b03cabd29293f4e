"""`python -m tests.injections.service`: the bank as a team of its own would serve it, with a book of what was done."""

from typing import Any

import restate
from pydantic import BaseModel, create_model

from contracts import Tool
from runtime.serving import serve
from runtime.settings import RestateServiceSettings
from tests.injections.bank import TOOLS, Books
from tests.injections.table import Injection

PLANTED: dict[str, Any] = {}
DONE: list[dict[str, Any]] = []
BOOKS = Books(PLANTED)


class Answered(BaseModel):
    answer: Any


class Plant(BaseModel):
    """What a tool answers from now on."""

    tool: str
    answer: Any


bank = restate.Service("Bank")
desk = restate.Service("BankDesk")


def _serve(tool: Tool) -> None:
    properties: dict[str, Any] = dict.fromkeys(tool.parameters["properties"], (Any, None))
    wanted = create_model(f"Wanted_{tool.name}", **properties)

    async def handle(_ctx: restate.Context, arguments: BaseModel) -> Answered:
        given = arguments.model_dump(exclude_none=True)
        if not tool.readonly:
            DONE.append({"tool": tool.name, "arguments": given})
        return Answered(answer=BOOKS.answer(tool.name, given))

    handle.__annotations__["arguments"] = wanted
    handle.__doc__ = tool.description
    bank.handler(name=tool.name, metadata=_said(tool), ingress_private=True)(handle)


def _said(tool: Tool) -> dict[str, str]:
    said = {"mcp.type": "tool", "tool.approval": tool.approval}
    if tool.destinations:
        said["tool.destinations"] = ",".join(tool.destinations)
    return said | {f"tool.{flag}": "true" for flag in ("readonly", "trusted") if getattr(tool, flag)}


for each in TOOLS:
    _serve(each)


@desk.handler("plant")
async def plant(_ctx: restate.Context, asked: Plant) -> None:
    """Let a tool answer this."""
    PLANTED[asked.tool] = asked.answer
    DONE.clear()


@desk.handler("done")
async def done(_ctx: restate.Context) -> Answered:
    """The effects since then."""
    return Answered(answer=DONE)


def planted(injection: Injection) -> dict[str, Any]:
    """The body for `plant`."""
    return {"tool": injection.task.read[0], "answer": injection.result or {"text": injection.text}}


if __name__ == "__main__":
    import asyncio

    asyncio.run(serve(RestateServiceSettings.read(), [bank, desk]))
