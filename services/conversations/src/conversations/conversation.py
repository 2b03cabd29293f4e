"""The virtual object `Conversation`: short handlers that decide in one place who speaks and what comes next.

Each reads its state, decides (`control.py`), writes what was decided in one transaction (`store.py`), and sends.
"""

from datetime import timedelta
from functools import partial
from itertools import product
from typing import get_args

import restate
from pydantic import BaseModel
from restate import ObjectContext, ObjectSharedContext, RunOptions

from contracts import (
    ApprovalOutcome,
    Caller,
    ConversationRun,
    Decided,
    Disposition,
    History,
    HistoryQuery,
    Input,
    RunReport,
    Summary,
)
from conversations.acting import (
    STATE,
    Launch,
    Parts,
    act,
    caller_of,
    check_key,
    check_owner,
    expire_after,
    until_done,
    wake,
)
from conversations.approvals_store import ApprovalStore
from conversations.control import Control, Decision, Message, Stop, launch, take_message, take_stop
from conversations.customers import add_customers
from conversations.erasing import look_after
from conversations.following import Noted
from conversations.people import add_people, nobody_comes_after
from conversations.signals import TABLE
from conversations.stopping import add_stopping
from conversations.store import Export, Outside, Quiet, Settled, TakenIn, unknown_conversation
from conversations.undoing import add_undoing, undo_effects
from runtime.checked import RAW, checked, checked_own
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import ABORT_TIMEOUT
from runtime.steps import Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live

SHORT_LINE = 40
"""Characters up to which a line may be followed by more of the same question."""
RUNS_STILL_SECONDS = 60.0
"""When to look again at an old conversation with a run at work."""

_STOP_WORDS = frozenset({"stop", "cancel"})
_inputs = TABLE.counter("switchboard_inputs_total")
for _type, _disposition in product(("message", "stop"), get_args(Decided)):
    _inputs.labels(_type, _disposition)

log = get_logger(__name__)


class Due(BaseModel):
    """When to look again; 0: it is time."""

    seconds: float


class Wanted(BaseModel):
    """Nothing more is to be said about it."""


def conversation(parts: Parts) -> restate.VirtualObject:
    """Restate's ingress lets in what customers and staff may call, each with a token: the others are private."""
    service = restate.VirtualObject(
        "Conversation",
        description="Holds a conversation: who speaks, what runs, what waits",
        abort_timeout=ABORT_TIMEOUT,
        journal_retention=timedelta(hours=1),
        invocation_retry_policy=RETRY,
    )
    accepted = until_done(service)
    attempts = Attempts()

    async def take_in(ctx: ObjectContext, before: Control, came: Input, run: str) -> TakenIn:
        caller = await caller_of(ctx, came, parts, attempts)
        check_owner(before, caller)
        if not came.opens and before.owner is None:
            raise unknown_conversation()
        settings, decided = parts.settings, partial(decide, before, came, run)
        taken = await parts.store.take_in(ctx.key(), caller, ctx.request().id, came, decided, settings.coalesce_ms)
        taken.look_seconds = look_after(Quiet(seconds=0), timedelta(days=settings.retention_days)).total_seconds()
        return taken

    async def settle(ctx: ObjectContext, control: Control, owner: Caller, report: RunReport, run: str) -> Settled:
        return await parts.store.settle(ctx.key(), owner, control, report, run)

    async def begin_run(ctx: ObjectContext, owner: Caller, decision: Decision) -> ConversationRun:
        given = await parts.store.launch(ctx.key(), owner, decision)
        if given is None:
            raise LookupError("no run begins")
        return given

    async def keep(ctx: ObjectContext, owner: Caller, summary: Summary) -> Noted:
        await parts.store.keep_summary(ctx.key(), owner, summary)
        return Noted()

    async def read_outside(ctx: ObjectContext, control: Control, owner: Caller) -> Outside:
        return await parts.store.outside(ctx.key(), owner, control.active.invocation if control.active else "")

    async def remove(ctx: ObjectContext, control: Control, owner: Caller) -> Outside:
        return await parts.store.erase(ctx.key(), owner, control.active.invocation if control.active else "")

    async def tell_outcome(ctx: ObjectContext, owner: Caller, outcome: ApprovalOutcome) -> Noted:
        await ApprovalStore(parts.store.pool).tell_outcome(ctx.key(), owner, outcome)
        return Noted()

    async def write_out(ctx: ObjectSharedContext, owner: Caller) -> Export:
        return await parts.store.export(ctx.key(), owner)

    async def purge(invocation: str) -> Noted:
        await parts.journals.remove(invocation)
        return Noted()

    async def look(ctx: ObjectContext, owner: Caller) -> Due:
        quiet = await parts.store.quiet(ctx.key(), owner)
        return Due(seconds=look_after(quiet, timedelta(days=parts.settings.retention_days)).total_seconds())

    async def forget(ctx: ObjectContext, control: Control, owner: Caller) -> None:
        if control.active and control.active.invocation:
            ctx.cancel_invocation(control.active.invocation)
        known = await ctx.run_typed("read what is outside", read_outside, RunOptions(), ctx, control, owner)
        left = known | await ctx.run_typed("erase", remove, RunOptions(), ctx, control, owner)
        for approval in left.approvals:
            wake(ctx, approval)
        for invocation in left.invocations:
            await ctx.run_typed("remove journal", purge, RunOptions(), invocation)
        ctx.clear_all()

    async def read(ctx: ObjectSharedContext, control: Control, wanted: HistoryQuery) -> History:
        caller = await caller_of(ctx, wanted, parts, attempts)
        check_owner(control, caller)
        return await parts.store.history(ctx.key(), caller, wanted.after, wanted.limit)

    @service.handler("input", input_serde=RAW)
    @checked
    async def take(ctx: ObjectContext, came: Input) -> Disposition:  # pyright: ignore[reportUnusedFunction]
        """Take a message or a stop; says at once what becomes of it."""
        check_key(ctx.key())
        before = await ctx.get(STATE, type_hint=Control) or Control()
        came = read_words(came)
        run = f"run_{ctx.uuid().hex}"
        taken = await ctx.run_typed("take in", take_in, RunOptions(), ctx, before, came, run)
        if taken.is_new:
            coalesce_ms = taken.written.coalesce_ms
            decision = decide(before, came, run, coalesce_ms)
            decision.control.owner, decision.control.believed = taken.caller, came.caller_token is None
            await act(ctx, decision, taken.given, coalesce_ms)
            for approval in taken.withdrawn:
                wake(ctx, approval)
            if before.owner is None:
                expire_after(ctx, taken.look_seconds)
        return _answer(came, taken)

    @accepted("begin")
    @checked
    async def begin(ctx: ObjectContext, due: Launch) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Begin the run that waited for more lines."""
        before = await ctx.get(STATE, type_hint=Control) or Control()
        decision = launch(before, due.epoch)
        if decision.effects and before.owner:
            given = await ctx.run_typed("begin run", begin_run, RunOptions(), ctx, before.owner, decision)
            await act(ctx, decision, given)
        return Noted()

    @accepted("finished")
    @checked_own
    async def finished(ctx: ObjectContext, report: RunReport) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Take a run's report; what waits is begun."""
        before = await ctx.get(STATE, type_hint=Control) or Control()
        if before.owner is None:  # erased meanwhile
            return Noted()
        told = (ctx, before, before.owner, report, f"run_{ctx.uuid().hex}")
        settled = await ctx.run_typed("settle", settle, RunOptions(), *told)
        await act(ctx, Decision(settled.control), settled.given)
        if settled.undo:
            undo_effects(ctx, settled.undo)
        person = settled.control.person
        if person and person.run == told[-1]:
            nobody_comes_after(ctx, person.run, parts.settings)
        return Noted()

    @accepted("summarised")
    @checked_own
    async def summarised(ctx: ObjectContext, summary: Summary) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Keep a summary of the older part: from now on runs read it instead."""
        control = await ctx.get(STATE, type_hint=Control)
        if control and control.owner:
            await ctx.run_typed("keep summary", keep, RunOptions(), ctx, control.owner, summary)
        return Noted()

    @accepted("outcome")
    @checked
    async def outcome(ctx: ObjectContext, came: ApprovalOutcome) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Tell what became of a call that a person had to decide, unless its run is at work and tells it."""
        control = await ctx.get(STATE, type_hint=Control)
        if control and control.owner and (came.left or control.active is None or control.active.run != came.run):
            await ctx.run_typed("tell outcome", tell_outcome, RunOptions(), ctx, control.owner, came)
        return Noted()

    @accepted("erase")
    @checked
    async def erase(ctx: ObjectContext, _: Wanted) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Remove a conversation: what was said, events, live text, state, and the journals of its runs."""
        control = await ctx.get(STATE, type_hint=Control)
        if control and control.owner:
            await forget(ctx, control, control.owner)
        return Noted()

    @accepted("expire")
    @checked
    async def expire(ctx: ObjectContext, _: Wanted) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Remove a conversation in which nothing was said for `RETENTION_DAYS`, or look again later."""
        control = await ctx.get(STATE, type_hint=Control)
        if control is None or control.owner is None:
            return Noted()
        due = await ctx.run_typed("look at its age", look, RunOptions(), ctx, control.owner)
        if due.seconds > 0 or control.active:
            expire_after(ctx, due.seconds or RUNS_STILL_SECONDS)
        else:
            await forget(ctx, control, control.owner)
        return Noted()

    @service.handler("export", kind="shared", input_serde=RAW, ingress_private=True, journal_retention=timedelta(0))
    @checked
    async def export(ctx: ObjectSharedContext, _: Wanted) -> Export:  # pyright: ignore[reportUnusedFunction]
        """All that is kept of a conversation, as JSON, for whoever has a right to it. Nothing of it stays behind."""
        control = await ctx.get(STATE, type_hint=Control)
        if control is None or control.owner is None:
            raise unknown_conversation()
        return await ctx.run_typed("export", write_out, RunOptions(), ctx, control.owner)

    @service.handler("history", kind="shared", input_serde=RAW, ingress_private=True)
    @checked
    async def history(ctx: ObjectSharedContext, wanted: HistoryQuery) -> History:  # pyright: ignore[reportUnusedFunction]
        """A page of the transcript, as its customer may see it."""
        check_key(ctx.key())
        control = await ctx.get(STATE, type_hint=Control) or Control()
        return await ctx.run_typed("read history", read, RunOptions(), ctx, control, wanted)

    add_people(service, parts)
    add_customers(service, parts, attempts, forget)
    add_undoing(service, parts)
    add_stopping(service, parts)
    return service


def read_words(came: Input) -> Input:
    """A message that is nothing but "stop" or "cancel" is a stop."""
    is_stop = came.type == "message" and came.text.strip(" \t\r\n.!").lower() in _STOP_WORDS
    return came.model_copy(update={"type": "stop", "text": ""}) if is_stop else came


def decide(before: Control, came: Input, run: str, coalesce_ms: int) -> Decision:
    """What becomes of an input, were it new."""
    if came.type == "stop":
        return take_stop(before, Stop(came.expected_run))
    short = coalesce_ms > 0 and len(came.text) <= SHORT_LINE
    return take_message(before, Message(came.input_id, came.when_busy, run, short, came.expected_run))


_WHY = {
    "busy": (409, "a run is at work"),
    "run_changed": (409, "another run is at work than the one that was expected, or none"),
    "queue_full": (429, "too many messages wait in this conversation"),
}


def _answer(came: Input, taken: TakenIn) -> Disposition:
    """Raises: `Refused`, with the active run in its metadata, for an input that was rejected; a repeat is, too."""
    repeated = came.tells_repeats and not taken.is_new
    answer, why = taken.written.answer.model_copy(update={"repeated": repeated}), taken.written.why
    if is_live():
        _inputs.labels(came.type, answer.disposition).inc()
    log.info("input_taken", extra={"disposition": answer.disposition})
    if answer.disposition != "rejected":
        return answer
    status, message = _WHY[why]
    refused = Refused(status, why, message)
    refused.metadata = {"code": why, "run": answer.run} if answer.run else {"code": why}
    raise refused
