"""`TicketDesk`: what staff do with tickets, through Restate's ingress, each by a token of their own."""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import restate
from pydantic import BaseModel
from restate import Context, RunOptions

from contracts import (
    AuditPage,
    AuditQuery,
    ByStaff,
    ChangingTicket,
    NotificationsDecided,
    NotificationsDrop,
    NotificationsResend,
    TicketAssign,
    TicketChange,
    TicketCounts,
    TicketLine,
    TicketMerge,
    TicketNote,
    TicketPage,
    TicketQuery,
    TicketReply,
    TicketsChanged,
    TicketsChangedQuery,
    TicketShown,
    TicketsQuery,
)
from runtime.acceptance import Acceptance
from runtime.checked import RAW, checked
from runtime.proof import Staff, must_be, prove_staff
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.metrics import is_live
from tickets.changing import Act, Changing, Done
from tickets.deciding import Deciding
from tickets.looking import Looking, unknown_ticket
from tickets.resender import look_soon
from tickets.settings import TicketSettings
from tickets.signals import TABLE
from tickets.ticket_life import find_left_alone, tell

Asked = TypeVar("Asked", bound=ChangingTicket)

_acts = TABLE.counter("switchboard_ticket_acts_total")
for _action in (
    "reply",
    "note",
    "assign",
    "release",
    "priority",
    "category",
    "open",
    "wait",
    "solve",
    "close",
    "reopen",
    "merge",
    "resend",
    "drop",
):
    _acts.labels(_action)


class Listed(BaseModel):
    """A page, and the moment of which `LeftAlone` tells."""

    page: TicketPage
    left_alone: str


@dataclass(frozen=True)
class Parts:
    """What the desk works with."""

    settings: TicketSettings
    acceptance: Acceptance
    looking: Looking
    changing: Changing
    deciding: Deciding


def ticket_desk(parts: Parts) -> restate.Service:
    service = restate.Service(
        "TicketDesk",
        description="The staff's view of the tickets",
        abort_timeout=ABORT_TIMEOUT,
        journal_retention=timedelta(hours=1),
        invocation_retry_policy=RETRY,
    )
    changes = partial(
        service.handler,
        input_serde=RAW,
        invocation_retry_policy=RETRY_UNTIL_DONE,
        metadata={"switchboard.deadline": "none"},
    )  # what is written must be told

    async def find(asked: TicketsQuery, name: str) -> Listed:
        left = await parts.changing.left_alone(1)
        return Listed(page=await parts.looking.listed(asked, name), left_alone=left.moment)

    async def act(ctx: Context, asked: Asked, change: Callable[[Asked, Act], Coroutine[Any, Any, Done]]) -> TicketLine:
        name = await who(ctx, asked, parts)
        own = f"desk/{name}/{asked.act_id}" if asked.act_id else f"desk/{ctx.uuid().hex}"
        by = Act(own, name, "staff", digest_of(asked))
        done = await ctx.run_typed("change", change, RunOptions(type_hint=Done), asked, by)
        tell(ctx, done)
        for action in done.actions:
            count(action)
        if done.line is None:
            raise unknown_ticket()
        return done.line

    @service.handler("list", input_serde=RAW)
    @checked
    async def show_list(ctx: Context, asked: TicketsQuery) -> TicketPage:  # pyright: ignore[reportUnusedFunction]
        """The tickets that are wanted, what is due first at the top."""
        name = await who(ctx, asked, parts)
        listed = await ctx.run_typed("list", find, RunOptions(), asked, name)
        if listed.left_alone:
            find_left_alone(ctx, listed.left_alone)
        return listed.page

    @service.handler("counts", input_serde=RAW)
    @checked
    async def show_counts(ctx: Context, asked: ByStaff) -> TicketCounts:  # pyright: ignore[reportUnusedFunction]
        """How many unfinished tickets there are."""
        name = await who(ctx, asked, parts)
        return await ctx.run_typed("count", parts.looking.counts, RunOptions(), name)

    @service.handler("changed", input_serde=RAW, journal_retention=timedelta(0))
    @checked
    async def show_changed(ctx: Context, asked: TicketsChangedQuery) -> TicketsChanged:  # pyright: ignore[reportUnusedFunction]
        """Which tickets have changed since the last answer, so that a desk fetches them anew."""
        name = await who(ctx, asked, parts)
        return await ctx.run_typed("changed", parts.looking.changed, RunOptions(), asked.seen, name)

    @service.handler("show", input_serde=RAW)
    @checked
    async def show(ctx: Context, asked: TicketQuery) -> TicketShown:  # pyright: ignore[reportUnusedFunction]
        """One ticket: what was said, what is due, and who changed what."""
        name = await who(ctx, asked, parts)
        return await ctx.run_typed("show", parts.looking.shown, RunOptions(), asked.ticket_id, name)

    @service.handler("audit", input_serde=RAW)
    @checked
    async def show_audit(ctx: Context, asked: AuditQuery) -> AuditPage:  # pyright: ignore[reportUnusedFunction]
        """Who did what to tickets, for an admin."""
        staff = await asker(ctx, asked, parts)
        must_be("admin", staff)
        return await ctx.run_typed("read audit", parts.looking.audited, RunOptions(), asked, staff.name)

    @changes("reply")
    @checked
    async def reply(ctx: Context, asked: TicketReply) -> TicketLine:  # pyright: ignore[reportUnusedFunction]
        """Write to the customer, and say how the ticket stands then."""
        return await act(ctx, asked, parts.changing.reply)

    @changes("note")
    @checked
    async def note(ctx: Context, asked: TicketNote) -> TicketLine:  # pyright: ignore[reportUnusedFunction]
        """Write what staff alone read."""
        return await act(ctx, asked, parts.changing.note)

    @changes("assign")
    @checked
    async def assign(ctx: Context, asked: TicketAssign) -> TicketLine:  # pyright: ignore[reportUnusedFunction]
        """Give a ticket to a member of staff, or back to all."""
        return await act(ctx, asked, parts.changing.assign)

    @changes("change")
    @checked
    async def change(ctx: Context, asked: TicketChange) -> TicketLine:  # pyright: ignore[reportUnusedFunction]
        """Change the priority, the category or the state of a ticket."""
        return await act(ctx, asked, parts.changing.change)

    @changes("merge")
    @checked
    async def merge(ctx: Context, asked: TicketMerge) -> TicketLine:  # pyright: ignore[reportUnusedFunction]
        """Close a duplicate; what was said of it stands in the other ticket."""
        return await act(ctx, asked, parts.changing.merge)

    @changes("resend")
    @checked
    async def resend(ctx: Context, asked: NotificationsResend) -> NotificationsDecided:  # pyright: ignore[reportUnusedFunction]
        """Have what the receiver of a ticket's webhooks refused sent again, or all of it; it counts once there."""
        name = await who(ctx, asked, parts)
        by = Act(f"desk/{ctx.uuid().hex}", name, "staff", f"resend {asked.ticket_id or 'all'}")
        told = (asked.ticket_id, asked.again, name)
        tickets = await ctx.run_typed("read what was refused", parts.deciding.to_send_again, RunOptions(), *told)
        if tickets:
            await ctx.run_typed("resend", parts.deciding.send_again, RunOptions(), tickets, asked.again, by)
            look_soon(ctx)
            count("resend")
        return NotificationsDecided(tickets=tickets)

    @changes("drop")
    @checked
    async def drop(ctx: Context, asked: NotificationsDrop) -> NotificationsDecided:  # pyright: ignore[reportUnusedFunction]
        """Give up what the receiver of a ticket's webhooks refused."""
        name = await who(ctx, asked, parts)
        by = Act(f"desk/{ctx.uuid().hex}", name, "staff", f"drop {asked.ticket_id} {asked.note}")
        tickets = await ctx.run_typed(
            "read what was refused", parts.deciding.to_drop, RunOptions(), asked.ticket_id, name
        )
        await ctx.run_typed("drop", parts.deciding.drop, RunOptions(), asked.ticket_id, asked.note, by)
        count("drop")
        return NotificationsDecided(tickets=tickets)

    return service


def digest_of(asked: ChangingTicket) -> str:
    """What makes a change the same again."""
    return f"{type(asked).__name__} {asked.model_dump_json(exclude={'staff_token', 'act_id', 'seen'})}"


def count(action: str) -> None:
    if is_live():
        _acts.labels(action).inc()


async def who(ctx: Context, asked: ByStaff, parts: Parts) -> str:
    """The name of the member of staff who asks. Raises: `Refused` 401 when that is none."""
    return (await asker(ctx, asked, parts)).name


async def asker(ctx: Context, asked: ByStaff, parts: Parts) -> Staff:
    return await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)


async def proven(invocation: str, token: str, parts: Parts) -> Staff:
    return await prove_staff(token, parts.settings, time.time(), partial(parts.acceptance.of, invocation))
