"""Tools for the router's tests: `python -m tests.parts.example_tools` serves them as a team of its own would."""

import asyncio
from datetime import timedelta
from typing import Any

import restate
from pydantic import BaseModel, Field
from restate.serde import BytesSerde

from runtime.caller import prompt_of
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings

TOOL = {"mcp.type": "tool"}


class Say(BaseModel):
    text: str = Field(description="What to say.", max_length=100)


class Bound(BaseModel):
    user_id: str
    text: str = ""


class Note(BaseModel):
    page: str
    word: str
    seconds: float = Field(default=0, ge=0, le=60)


PAGES: dict[str, list[str]] = {}


class Wait(BaseModel):
    seconds: float = Field(description="How long to take.", ge=0, le=60)


class Size(BaseModel):
    size: int = Field(description="How many bytes to return.", ge=0)


class Known(BaseModel):
    known: bool


class Named(BaseModel):
    name: str = Field(description="Which counter.")


class Echo(BaseModel):
    said: Any
    user_id: str = ""
    key: str = ""
    ticket_id: Any = None
    prompt: str = ""


examples = restate.Service("Examples", ingress_private=True, invocation_retry_policy=RETRY)
counters = restate.VirtualObject("Counters", ingress_private=True, invocation_retry_policy=RETRY)
jobs = restate.Workflow("Jobs", ingress_private=True, invocation_retry_policy=RETRY)


@examples.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def echo(ctx: restate.Context, say: Say) -> Echo:
    """Repeats a text."""
    return Echo(said=say.text)


@examples.handler(metadata=TOOL | {"tool.bind": "user_id=caller.user_id"}, input_serde=RAW)
@checked
async def who(ctx: restate.Context, bound: Bound) -> Echo:
    """Says who the caller is, and which prompt made the model ask."""
    return Echo(said=bound.text, user_id=bound.user_id, prompt=prompt_of(ctx))


@examples.handler(input_serde=RAW)
@checked
async def no_customer(ctx: restate.Context, bound: Bound) -> Known:
    """Knows nobody; no tool."""
    return Known(known=False)


@examples.handler(input_serde=RAW)
@checked
async def slow_to_know(ctx: restate.Context, bound: Bound) -> Known:
    """Says nothing for an hour; no tool."""
    await ctx.sleep(timedelta(hours=1))
    return Known(known=True)


@examples.handler(metadata=TOOL | {"tool.readonly": "true", "tool.timeout": "1"}, input_serde=RAW)
@checked
async def slow_read(ctx: restate.Context, wait: Wait) -> Echo:
    """Reads slowly."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    return Echo(said="read")


@examples.handler(metadata=TOOL | {"tool.timeout": "1"}, input_serde=RAW)
@checked
async def slow_effect(ctx: restate.Context, wait: Wait) -> Echo:
    """Does something slowly."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    return Echo(said="done")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def long_effect(ctx: restate.Context, wait: Wait) -> Echo:
    """Does something that takes long."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    return Echo(said="done")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def write_down(ctx: restate.Context, note: Note) -> Echo:
    """Writes a word down, after a while."""
    return await noted(ctx, note)


@examples.handler(metadata=TOOL | {"tool.concurrent": "true"}, input_serde=RAW)
@checked
async def write_down_anyhow(ctx: restate.Context, note: Note) -> Echo:
    """Writes a word down, after a while, whatever else is under way."""
    return await noted(ctx, note)


async def noted(ctx: restate.Context, note: Note) -> Echo:
    await ctx.sleep(timedelta(seconds=note.seconds))
    await ctx.run_typed("write", write, page=note.page, word=note.word)
    return Echo(said="done")


def write(page: str, word: str) -> str:
    PAGES.setdefault(page, []).append(word)
    return word


@examples.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def read_page(ctx: restate.Context, say: Say) -> Echo:
    """Reads what was written down, in order."""
    return Echo(said=PAGES.get(say.text, []))


@examples.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def long_read(ctx: restate.Context, wait: Wait) -> Echo:
    """Reads something that takes long."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    return Echo(said="read")


@examples.handler(metadata=TOOL | {"tool.timeout": "1"}, input_serde=RAW)
@checked
async def slow_refusal(ctx: restate.Context, wait: Wait) -> Echo:
    """Refuses, after a while."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    raise Refused(409, "conflict", "that text is taken", "text")


@examples.handler(metadata=TOOL | {"tool.readonly": "true", "tool.timeout": "1"}, input_serde=RAW)
@checked
async def failing_read(ctx: restate.Context, say: Say) -> Echo:
    """Fails on and on, before its first step."""
    raise ConnectionError("nobody is there")


@examples.handler(metadata=TOOL | {"tool.mode": "send"}, input_serde=RAW)
@checked
async def start_export(ctx: restate.Context, wait: Wait) -> Echo:
    """Starts an export that takes a while."""
    await ctx.sleep(timedelta(seconds=wait.seconds))
    return Echo(said="exported")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def refuse(ctx: restate.Context, say: Say) -> Echo:
    """Refuses."""
    raise Refused(409, "conflict", "that text is taken", "text")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def refuse_at_length(ctx: restate.Context, size: Size) -> Echo:
    """Refuses with a lot of words."""
    raise Refused(422, "refused", "x" * size.size)


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def break_down(ctx: restate.Context, say: Say) -> Echo:
    """Breaks down with a message that nobody outside should read."""
    raise restate.TerminalError("secret: /srv/app.py line 3", status_code=500)


@examples.handler(metadata=TOOL | {"tool.max_result_bytes": "1000", "tool.ticket": "true"}, input_serde=RAW)
@checked
async def large(ctx: restate.Context, size: Size) -> Echo:
    """Returns a lot."""
    return Echo(said="x" * size.size, ticket_id="TCK-2")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def own_id(ctx: restate.Context, say: Say) -> Echo:
    """Says its invocation's id, in a result or in a refusal."""
    if say.text == "refuse":
        raise Refused(422, "refused", f"see {ctx.request().id}")
    return Echo(said=f"see {ctx.request().id}.")


@examples.handler(metadata=TOOL, input_serde=RAW)
@checked
async def claim_ticket(ctx: restate.Context, say: Say) -> Echo:
    """Says a ticket that it did not make."""
    return Echo(said=say.text, ticket_id="TCK-777777")


@examples.handler(metadata=TOOL | {"tool.ticket": "true"}, input_serde=RAW)
@checked
async def odd_ticket(ctx: restate.Context, say: Say) -> Echo:
    """Makes a ticket, and says an id of whatever form."""
    return Echo(said="made", ticket_id=say.text)


HOSTILE_RESULTS = {
    "lone_surrogate": b'{"ticket_id": "\\ud800", "said": "canary"}',
    "nul": b'{"said": "canary \\u0000"}',
    "deep": b'{"said": ' + b"[" * 40 + b"]" * 40 + b"}",
    "very_deep": b'{"said": ' + b"[" * 1500 + b"]" * 1500 + b"}",
    "half": b'{"said": "canary',
    "no_utf8": b'{"said": "\xff"}',
}


@examples.handler(metadata=TOOL, input_serde=RAW, output_serde=BytesSerde())
@checked
async def hostile_result(ctx: restate.Context, say: Say) -> bytes:
    """Does something, and returns what nobody can use."""
    return HOSTILE_RESULTS[say.text]


@examples.handler(metadata=TOOL | {"tool.roles": "staff"}, input_serde=RAW)
@checked
async def staff_only(ctx: restate.Context, say: Say) -> Echo:
    """For staff."""
    return Echo(said=say.text)


@counters.handler(metadata=TOOL | {"tool.key": "argument:name"}, input_serde=RAW)
@checked
async def count(ctx: restate.ObjectContext, named: Named) -> Echo:
    """Counts how often a name was counted."""
    number = (await ctx.get("n", type_hint=int) or 0) + 1
    ctx.set("n", number)
    return Echo(said=number, key=ctx.key())


@counters.handler(metadata=TOOL | {"tool.key": "caller.user_id"}, input_serde=RAW)
@checked
async def count_mine(ctx: restate.ObjectContext, say: Say) -> Echo:
    """Counts for the caller."""
    return Echo(said=say.text, key=ctx.key())


@jobs.main(metadata=TOOL | {"tool.name": "run_job", "tool.ticket": "true"}, input_serde=RAW)
@checked
async def run(ctx: restate.WorkflowContext, say: Say) -> Echo:
    """Runs a job."""
    return Echo(said=say.text, key=ctx.key(), ticket_id="TCK-1")


async def main() -> None:
    await serve(RestateServiceSettings.read(), [examples, counters, jobs])


if __name__ == "__main__":
    asyncio.run(main())
