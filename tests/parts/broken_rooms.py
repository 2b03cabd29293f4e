"""The services of all rooms with defects in them: `BREAK_UNTIL=<file> python -m tests.parts.broken_rooms`.

What a request says decides which exception is raised and where; nothing is broken any more once the file is there.
The router is broken from outside, as `ROOM=router`; the others without a database, and users alone as `ROOM=users`.
"""

import asyncio
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import restate
from pydantic import BaseModel
from restate.exceptions import RetryableError

from runtime.call_tokens import CallClaims
from runtime.checked import RAW, checked
from runtime.errors import TryAgain
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from runtime.serving import serve
from runtime.settings import RestateServiceSettings
from runtime.telemetry.logs import configure_logs
from runtime.telemetry.metrics import serve_metrics
from users.handlers import user_database

WORDS = "words of a customer"


class OfOurOwn(Exception):
    """An exception that nobody knows."""


class Number(BaseModel):
    number: int


def recurse(levels: int) -> int:
    return recurse(levels + 1)


def type_error() -> Any:
    untyped: Any = WORDS
    return untyped + 1


def key_error() -> Any:
    return json.loads("{}")[WORDS]


def value_error() -> Any:
    raise ValueError(WORDS * 10_000)


def own() -> Any:
    raise OfOurOwn(WORDS)


def network() -> Any:
    raise ConnectionResetError(WORDS)


def timeout() -> Any:
    raise TimeoutError(WORDS)


def try_again() -> Any:
    raise TryAgain("the receiver is away")


def database() -> Any:
    raise RetryableError("the database is away: OSError", status_code=503)


DEFECTS = {
    "TypeError": type_error,
    "RecursionError": lambda: recurse(0),
    "KeyError": key_error,
    "ValueError": value_error,
    "OfOurOwn": own,
    "ValidationError": lambda: Number.model_validate({"number": WORDS}),
}
PASSING = {"network": network, "timeout": timeout, "try_again": try_again, "database": database}
FAILURES_OF_WHAT_PASSES = 4

_failed: dict[str, int] = {}


def break_down(kind: str, invocation: str) -> None:
    """Until it is mended; what passes by itself passes after a few failures."""
    if kind in PASSING:
        _failed[invocation] = _failed.get(invocation, 0) + 1
        if _failed[invocation] <= FAILURES_OF_WHAT_PASSES:
            PASSING[kind]()
    elif kind in DEFECTS and not Path(os.environ["BREAK_UNTIL"]).exists():
        DEFECTS[kind]()


class Break(BaseModel):
    kind: str


class Said(BaseModel):
    text: str = ""


def broken(name: str, policy: restate.InvocationRetryPolicy) -> restate.Service:
    service = restate.Service(name, invocation_retry_policy=policy)

    @service.handler(input_serde=RAW)
    @checked
    async def in_a_step(ctx: restate.Context, what: Break) -> Said:
        async def step() -> str:
            break_down(what.kind, ctx.request().id)
            return "done"

        return Said(text=await ctx.run_typed("step", step))

    @service.handler(input_serde=RAW)
    @checked
    async def in_a_step_of_a_thread(ctx: restate.Context, what: Break) -> Said:
        def step() -> str:
            break_down(what.kind, ctx.request().id)
            return "done"

        return Said(text=await ctx.run_typed("step", step))

    @service.handler(input_serde=RAW)
    @checked
    async def between_steps(ctx: restate.Context, what: Break) -> Said:
        await ctx.time()
        break_down(what.kind, ctx.request().id)
        return Said(text="done")

    @service.handler(input_serde=RAW)
    @checked
    async def in_the_result_of_a_step(ctx: restate.Context, what: Break) -> Said:
        async def step() -> Said:
            return Said(text="\ud800")

        return await ctx.run_typed("step", step)

    @service.handler(input_serde=RAW)
    @checked
    async def in_the_result(ctx: restate.Context, what: Break) -> Said:
        await ctx.time()
        return Said(text="\ud800")

    return service


class BrokenStore:
    """Breaks down as the subject says, or the id that is asked for."""

    async def insert(self, caller: str, key: str, new: Any, prompt: str = "", conversation: str = "") -> Any:
        break_down(new.subject, key)
        model: Any = import_module("tickets.model")
        now = "2026-01-01T00:00:00Z"
        ticket = {"ticket_id": "TCK-000001", "subject": new.subject, "category": "bug", "priority": "normal"}
        return model.MadeTicket.model_validate({**ticket, "status": "open", "created_at": now, "sla_due_at": now})

    async def of_caller(self, caller: str, limit: int) -> Any:
        DEFECTS["TypeError"]()


class NothingDue:
    """Of no ticket anything falls due."""

    async def look(self, ticket_id: str, act: str) -> Any:
        return import_module("tickets.changing").Looked()


class Anybody:
    """Believes every call."""

    async def of(self, _: Any) -> str:
        return "user_1"

    async def claims(self, _: Any) -> CallClaims:
        return CallClaims(sub="user_1", run="inv_1", call="call_1_1", aud="", iat=0, exp=0)


async def read_account(*_: Any) -> Any:
    DEFECTS["RecursionError"]()


def break_router() -> None:
    """In a model's turn, between turns, or in the answer, as the question says."""
    agent: Any = import_module("router.agent")
    decision: Any = import_module("router.decision")
    messages, settle, answer = decision.messages, agent.settle, agent.final_answer

    def broken_messages(prompt: str, question: str, *args: Any, **more: Any) -> Any:
        if "in a turn" in question:
            break_down(question.split()[-1], "")
        return messages(prompt, question, *args, **more)

    async def broken_settle(run: Any, *args: Any) -> Any:
        results = await settle(run, *args)
        if "between turns" in run.message:
            break_down(run.message.split()[-1], run.id)
        return results

    def broken_answer(run: Any, *args: Any) -> Any:
        told = answer(run, *args)
        return told.model_copy(update={"text": "\ud800"}) if "in the answer" in run.message else told

    decision.messages, agent.settle, agent.final_answer = broken_messages, broken_settle, broken_answer


async def main() -> None:
    settings = RestateServiceSettings.read()
    configure_logs("users")
    serve_metrics(settings, "users")
    store: Any = BrokenStore()
    users: Any = import_module("users.store")
    users.read_account = read_account
    nothing: Any = None
    anybody: Any = Anybody()
    rooms = [user_database(nothing, anybody)]
    if os.environ.get("ROOM") != "users":  # which tells no metrics of tickets
        reading: Any = import_module("tickets.reading")
        workflow: Any = import_module("tickets.workflow")
        life: Any = import_module("tickets.ticket_life")
        changing: Any = NothingDue()
        rooms += [reading.ticket_tools(store, changing, anybody), *life.ticket_life(changing)]
        rooms += [workflow.ticket_workflow(store, changing, anybody, notify=False)]
    await serve(settings, [broken("Broken", RETRY), broken("Kept", RETRY_UNTIL_DONE), *rooms])


if __name__ == "__main__":
    if os.environ.get("ROOM") == "router":
        break_router()
        import_module("router.service").main()
    else:
        asyncio.run(main())
