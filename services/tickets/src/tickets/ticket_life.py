"""`TicketLife`: looks after what falls due of one ticket, by delayed sends of Restate.

Each look reads the row again, so a time that was moved never comes to anything at its old moment. A look that another
one has overtaken does nothing.
"""

from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import ObjectContext, RunOptions

from runtime.checked import RAW, checked
from runtime.retries import RETRY_UNTIL_DONE
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live
from runtime.telemetry.tracing import trace_of, untraced
from tickets.changing import MOMENT, Changing, Done, LeftAlone, Looked
from tickets.notifier import send
from tickets.signals import TABLE

LIFE, KEEPER = "TicketLife", "TicketKeeper"
PLANNED = "planned"
KEPT_FOR = timedelta(minutes=10)
FURTHEST = timedelta(days=30)
"""A look further ahead is planned in steps, so that no timer outlives what it was planned by."""
AT_ONCE = 200

LOOK, FIND = "look", "find tickets that nobody looks after"

log = get_logger(__name__)

_fired = TABLE.counter("switchboard_ticket_timers_total")
_late = TABLE.histogram("switchboard_ticket_timer_lateness_seconds")
for _kind in ("remind_reply", "remind_solve", "escalate_reply", "escalate_solve", "close"):
    _fired.labels(_kind)


class Look(BaseModel):
    """`planned`: the moment that this look was planned for; empty for one that somebody's change asks for."""

    planned: str = ""


class Find(BaseModel):
    """Nothing more is to be said."""


def look_after(ctx: restate.Context | restate.WorkflowContext | ObjectContext, ticket_id: str) -> None:
    """Have the next look at a ticket planned anew."""
    ctx.generic_send(LIFE, "look", Look().model_dump_json().encode(), key=ticket_id)


def find_left_alone(ctx: restate.Context | ObjectContext, moment: str) -> None:
    """All that notice it in one moment have it found once, when that moment is over."""
    body = Find().model_dump_json().encode()
    ctx.generic_send(KEEPER, "find", body, key="all", idempotency_key=moment, send_delay=MOMENT)


def tell(ctx: restate.Context | restate.WorkflowContext | ObjectContext, done: Done) -> None:
    """Hand what receivers are told to the notifier, and have the tickets looked after."""
    traceparent = trace_of(ctx).traceparent()
    for event in done.events:
        send(ctx, event, traceparent)
    for ticket_id in done.looks:
        look_after(ctx, ticket_id)


def ticket_life(changing: Changing) -> list[restate.VirtualObject]:
    life = _private(LIFE, "Looks after what falls due of one ticket")
    keeper = _private(KEEPER, "Finds tickets that nobody looks after")

    async def looked(ticket_id: str, act: str) -> Looked:
        with untraced():
            return await changing.look(ticket_id, act)

    async def found() -> LeftAlone:
        with untraced():
            return await changing.left_alone(AT_ONCE)

    @life.handler("look", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def look(ctx: ObjectContext, asked: Look) -> None:  # pyright: ignore[reportUnusedFunction]
        """Do what is due of the ticket, and plan the next look."""
        planned = await ctx.get(PLANNED, type_hint=str) or ""
        if asked.planned not in ("", planned):
            return
        act = f"look/{ctx.uuid().hex}"
        done = await ctx.run_typed(LOOK, looked, RunOptions(), ctx.key(), act)
        _count(ctx.key(), done)
        for event in done.events:
            send(ctx, event, "")
        if done.left_alone:
            find_left_alone(ctx, done.left_alone)
        if not done.next_at:
            ctx.clear(PLANNED)
        elif done.next_at != planned or asked.planned:
            ctx.set(PLANNED, done.next_at)
            body = Look(planned=done.next_at).model_dump_json().encode()
            delay = min(max(timedelta(seconds=done.seconds), timedelta()), FURTHEST)
            ctx.generic_send(LIFE, "look", body, key=ctx.key(), send_delay=delay)

    @keeper.handler("find", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def find(ctx: ObjectContext, asked: Find) -> None:  # pyright: ignore[reportUnusedFunction]
        """Have all looked after that nobody looks after."""
        left = await ctx.run_typed(FIND, found, RunOptions())
        for ticket_id in left.ticket_ids:
            look_after(ctx, ticket_id)
        if left.ticket_ids:
            log.info("tickets_looked_after", extra={"tickets": len(left.ticket_ids)})
        if len(left.ticket_ids) == AT_ONCE:
            find_left_alone(ctx, left.moment)

    return [life, keeper]


def _private(name: str, description: str) -> restate.VirtualObject:
    return restate.VirtualObject(
        name,
        description=description,
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
        journal_retention=KEPT_FOR,
        idempotency_retention=KEPT_FOR,
    )


def _count(ticket_id: str, done: Looked) -> None:
    if not is_live():
        return
    for action in done.actions:
        _fired.labels(action).inc()
        log.info("ticket_timer", extra={"ticket_id": ticket_id, "action": action})
    if done.late is not None:
        _late.observe(max(0.0, done.late))
