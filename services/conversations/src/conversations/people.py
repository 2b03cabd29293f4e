"""Members of staff in a conversation: they take it, speak in it, pass it on and give it back.

Each handler checks the token of whoever asks, decides (`control.py`), and writes what was decided in one transaction.
"""

import time
from datetime import timedelta
from functools import partial

import restate
from pydantic import BaseModel
from restate import ObjectContext, ObjectSharedContext, RunOptions

from contracts import (
    Assign,
    AuditPage,
    AuditQuery,
    ByStaff,
    Caller,
    Held,
    RunsPage,
    RunsQuery,
    RunSteps,
    Said,
    Say,
    StaffHistory,
    StaffHistoryQuery,
    StandingPage,
    StepsQuery,
    TicketMade,
    TicketWanted,
    WaitingQuery,
)
from conversations.acting import STATE, Parts, act, check_key, until_done
from conversations.audit_store import AuditStore
from conversations.control import Control, Decision, assign, may_say, nobody_came, take
from conversations.following import Noted
from conversations.people_store import Packet
from conversations.runs_store import RunsStore
from conversations.settings import ConversationSettings
from conversations.signals import TABLE
from conversations.store import unknown_conversation
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.proof import Staff, must_be, prove_staff
from runtime.retries import RETRY
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live

_nobody_came = TABLE.counter("switchboard_nobody_came_total")

log = get_logger(__name__)

NOBODY_CAME = "Nobody of the support staff is free right now. This conversation is kept for them, and they answer here."


class Waited(BaseModel):
    """Nobody may have come in this stretch."""

    run: str


def add_people(service: restate.VirtualObject, parts: Parts) -> None:
    """The handlers for members of staff, whom Restate's ingress lets in: a staff token opens them, and nothing else."""
    accepted = until_done(service)

    async def hand(ctx: ObjectContext, owner: Caller, decision: Decision, change: str, by: str) -> Held:
        if decision.effects:
            await ctx.run_typed("hand over", parts.store.hand, RunOptions(), ctx.key(), owner, decision, change, by)
            await act(ctx, decision, None)
        return held(decision.control)

    @service.handler("take", input_serde=RAW)
    @checked
    async def take_it(ctx: ObjectContext, asked: ByStaff) -> Held:  # pyright: ignore[reportUnusedFunction]
        """Take the conversation: the agent is silent from now on."""
        before, owner, name = await opened(ctx, asked, parts)
        change = ctx.uuid().hex
        decision = take(before, name, f"run_{change}")
        if decision.why:
            raise Refused(409, decision.why, f"{before.person.name if before.person else name} has this conversation")
        return await hand(ctx, owner, decision, change, name)

    @service.handler("assign", input_serde=RAW)
    @checked
    async def assign_it(ctx: ObjectContext, asked: Assign) -> Held:  # pyright: ignore[reportUnusedFunction]
        """Give the conversation to a member of staff, whoever has it now."""
        before, owner, name = await opened(ctx, asked, parts)
        change = ctx.uuid().hex
        return await hand(ctx, owner, assign(before, asked.to, f"run_{change}"), change, name)

    @service.handler("say", input_serde=RAW)
    @checked
    async def say(ctx: ObjectContext, asked: Say) -> Said:  # pyright: ignore[reportUnusedFunction]
        """Say something to the customer, as whoever has the conversation."""
        before, owner, name = await opened(ctx, asked, parts)
        if before.person is None or not may_say(before, name):
            raise Refused(409, "not_yours", "take the conversation first: somebody else speaks in it")
        told = (ctx.key(), owner, before.person.run, before.person.epoch, asked, name)
        return await ctx.run_typed("say", parts.store.say, RunOptions(), *told)

    @service.handler("return", input_serde=RAW)
    @checked
    async def give_it_back(ctx: ObjectContext, asked: ByStaff) -> Held:  # pyright: ignore[reportUnusedFunction]
        """Let the agent speak again; it is asked what nobody has answered."""
        before, owner, name = await opened(ctx, asked, parts)
        told = (ctx.key(), owner, before, ctx.uuid().hex, name)
        handed = await ctx.run_typed("give back", parts.store.give_back, RunOptions(), *told)
        await act(ctx, Decision(handed.control), handed.given)
        return held(handed.control)

    @service.handler("show", kind="shared", input_serde=RAW)
    @checked
    async def show(ctx: ObjectSharedContext, asked: StaffHistoryQuery) -> StaffHistory:  # pyright: ignore[reportUnusedFunction]
        """A page of the transcript, with what only staff may see."""
        control, owner, _ = await opened(ctx, asked, parts)
        told = (ctx.key(), owner, asked)
        page = await ctx.run_typed("read transcript", parts.store.staff_history, RunOptions(), *told)
        page.held = held(control)
        return page

    @service.handler("steps", kind="shared", input_serde=RAW)
    @checked
    async def steps(ctx: ObjectSharedContext, asked: StepsQuery) -> RunSteps:  # pyright: ignore[reportUnusedFunction]
        """What a run did, step by step: the turns of the model, and each call with its arguments and result."""
        control, owner, _ = await opened(ctx, asked, parts)
        told = (ctx.key(), owner, asked.run, asked.after, asked.limit)
        did = await ctx.run_typed("read steps", parts.store.steps, RunOptions(), *told)
        active = control.active  # its row learns the invocation at its end
        return did.model_copy(update={"invocation": active.invocation}) if active and active.run == did.run else did

    @accepted("nobody_came")
    @checked
    async def tell(ctx: ObjectContext, waited: Waited) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Tell the customer, once, that no person has come yet."""
        before = await ctx.get(STATE, type_hint=Control) or Control()
        after = nobody_came(before, waited.run)
        if after is None or after.owner is None or after.person is None:
            return Noted()
        told = (ctx.key(), after.owner, waited.run, after.person.epoch, NOBODY_CAME)
        packet = await ctx.run_typed("tell the customer", parts.store.tell_customer, RunOptions(), *told)
        ctx.set(STATE, after)
        ctx.generic_send("TicketForPeople", "make", ticket_for(ctx.key(), waited.run, after.owner, packet))
        if is_live():
            _nobody_came.inc()
        log.warning("nobody_came", extra={"conversation": ctx.key()})
        return Noted()

    @accepted("ticketed")
    @checked
    async def keep_ticket(ctx: ObjectContext, made: TicketMade) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Keep the ticket of a conversation to which nobody came."""
        control = await ctx.get(STATE, type_hint=Control) or Control()
        if control.owner:
            told = (ctx.key(), control.owner, made.run, control.epoch, made.ticket_id)
            await ctx.run_typed("keep ticket", parts.store.keep_ticket, RunOptions(), *told)
        return Noted()


def ticket_for(conversation: str, run: str, caller: Caller, packet: Packet) -> bytes:
    """What a ticket says of a conversation to which nobody came."""
    asked = "\n".join(packet.asked)
    wanted = TicketWanted(
        conversation=conversation,
        run=run,
        caller=caller,
        subject="A customer waits for a person",
        description=f"{packet.reason}\n\nConversation {conversation}:\n{asked}"[:4000],
    )
    return wanted.model_dump_json().encode()


def desk(parts: Parts) -> restate.Service:
    """What staff ask that is not about one conversation."""
    service = restate.Service(
        "ConversationDesk",
        description="The staff's view of the conversations",
        abort_timeout=ABORT_TIMEOUT,
        invocation_retry_policy=RETRY,
    )

    audit, runs = AuditStore(parts.store.pool), RunsStore(parts.store.pool)

    @service.handler("list", input_serde=RAW)
    @checked
    async def show_list(ctx: restate.Context, asked: WaitingQuery) -> StandingPage:  # pyright: ignore[reportUnusedFunction]
        """The conversations that wait for a person, or that one has; with words, all in which they were said."""
        who = await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)
        patience = timedelta(minutes=parts.settings.person_minutes)
        return await ctx.run_typed("list", parts.store.standing, RunOptions(), asked, who.name, patience)

    @service.handler("audit", input_serde=RAW)
    @checked
    async def show_audit(ctx: restate.Context, asked: AuditQuery) -> AuditPage:  # pyright: ignore[reportUnusedFunction]
        """Who did what to approvals, and who had the word in conversations, for an admin."""
        who = await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)
        must_be("admin", who)
        return await ctx.run_typed("read audit", audit.audited, RunOptions(), asked)

    @service.handler("runs", input_serde=RAW, journal_retention=timedelta(0))
    @checked
    async def show_runs(ctx: restate.Context, asked: RunsQuery) -> RunsPage:  # pyright: ignore[reportUnusedFunction]
        """The agent's runs of all conversations, the latest first."""
        await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)
        return await ctx.run_typed("read runs", runs.listed, RunOptions(), asked)

    return service


async def opened(
    ctx: ObjectContext | ObjectSharedContext, asked: ByStaff, parts: Parts, roles: frozenset[str] = frozenset()
) -> tuple[Control, Caller, str]:
    """The state of the conversation, whose it is, and who of the staff asks. Raises: `Refused` 403 for somebody without
    one of these roles, if any are named."""
    check_key(ctx.key())
    who = await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)
    if roles and not roles & set(who.roles):
        raise Refused(403, "staff_role", f"this is for staff with a role of {', '.join(sorted(roles))}", "staff_token")
    control = await ctx.get(STATE, type_hint=Control)
    if control is None or control.owner is None:
        raise unknown_conversation()
    return control, control.owner, who.name


async def proven(invocation: str, token: str, parts: Parts) -> Staff:
    """Raises: `Refused` 401 when that is no member of staff."""
    return await prove_staff(token, parts.settings, time.time(), partial(parts.acceptance.of, invocation))


def held(control: Control) -> Held:
    person = control.person
    return Held() if person is None else Held(person=person.name, waiting=not person.name)


def nobody_comes_after(ctx: ObjectContext, run: str, settings: ConversationSettings) -> None:
    """Look later whether anybody has come."""
    waited = Waited(run=run).model_dump_json().encode()
    delay = timedelta(minutes=settings.person_minutes)
    ctx.generic_send("Conversation", "nobody_came", waited, key=ctx.key(), send_delay=delay)
