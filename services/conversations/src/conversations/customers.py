"""The handlers of `Conversation` by which its customer opens and removes it, which Restate's ingress lets in."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import ObjectContext, RunOptions

from contracts import Caller, OfCustomer
from conversations.acting import STATE, Parts, caller_of, check_key, check_owner, expire_after
from conversations.control import Control
from conversations.erasing import look_after
from conversations.following import Noted
from conversations.store import Quiet, unknown_conversation
from runtime.checked import RAW, checked
from runtime.steps import Attempts

Forget = Callable[[ObjectContext, Control, Caller], Awaitable[None]]
"""Removes a conversation: rows, state, journals."""


class Opened(BaseModel):
    """Whose conversation it is, as the journal has it, and when to look whether it is old."""

    caller: Caller
    look_seconds: float


class Standing(BaseModel):
    """The conversation is open. `repeated`: it was before."""

    repeated: bool


def add_customers(service: restate.VirtualObject, parts: Parts, attempts: Attempts, forget: Forget) -> None:
    """A caller token opens these handlers, as it opens `input`."""

    async def write(ctx: ObjectContext, before: Control, asked: OfCustomer) -> Opened:
        caller = await caller_of(ctx, asked, parts, attempts)
        check_owner(before, caller)
        await parts.store.open(ctx.key(), caller)
        look = look_after(Quiet(seconds=0), timedelta(days=parts.settings.retention_days))
        return Opened(caller=caller, look_seconds=look.total_seconds())

    async def check(ctx: ObjectContext, before: Control, asked: OfCustomer) -> Noted:
        caller = await caller_of(ctx, asked, parts, attempts)
        check_owner(before, caller)
        if before.owner is None:
            raise unknown_conversation()
        return Noted()

    @service.handler("open", input_serde=RAW)
    @checked
    async def open_it(ctx: ObjectContext, asked: OfCustomer) -> Standing:  # pyright: ignore[reportUnusedFunction]
        """Open a conversation in which nothing is said yet; one that is there stays as it is."""
        check_key(ctx.key())
        before = await ctx.get(STATE, type_hint=Control) or Control()
        opened = await ctx.run_typed("open", write, RunOptions(), ctx, before, asked)
        if before.owner is None:
            ctx.set(STATE, Control(owner=opened.caller, believed=asked.caller_token is None))
            expire_after(ctx, opened.look_seconds)
        return Standing(repeated=before.owner is not None)

    @service.handler("remove", input_serde=RAW)
    @checked
    async def remove(ctx: ObjectContext, asked: OfCustomer) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Remove a conversation: what was said, events, live text, state, and the journals of its runs."""
        check_key(ctx.key())
        before = await ctx.get(STATE, type_hint=Control) or Control()
        await ctx.run_typed("who asks", check, RunOptions(), ctx, before, asked)
        if before.owner is not None:
            await forget(ctx, before, before.owner)
        return Noted()
