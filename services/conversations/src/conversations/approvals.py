"""`Approvals`: what staff ask of the calls that wait for a person, and how such a call is proposed.

A decision is a durable invocation: a crash between what it wrote and waking the call is mended by its next attempt.
"""

import json
from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import Context, RunOptions

from contracts import (
    ApprovalPage,
    ApprovalQuery,
    ApprovalShown,
    ApprovalsQuery,
    ApprovalState,
    ApprovalWanted,
    ByStaff,
    Decide,
    Edited,
    Fitted,
    Proposal,
    Ruling,
)
from conversations.acting import Parts, until_done, wake
from conversations.approvals_store import ApprovalStore
from conversations.counts import count_decision
from conversations.following import Noted
from conversations.people import proven
from runtime.checked import RAW, checked, checked_own
from runtime.errors import Refused
from runtime.proof import Staff
from runtime.retries import RETRY
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.logs import get_logger

log = get_logger(__name__)


class Made(BaseModel):
    """The arguments of an edited call; None where a call is not edited."""

    arguments: str | None = None


def forgotten_after(proposed: Proposal, retention: timedelta) -> timedelta:
    """When the approval of a single question is removed: not while somebody may decide it."""
    return max(retention, timedelta(seconds=proposed.expires_in)) + timedelta(minutes=1)


def approvals(parts: Parts) -> restate.Service:
    service = restate.Service(
        "Approvals",
        description="The calls that a person decides before they are made",
        abort_timeout=ABORT_TIMEOUT,
        journal_retention=timedelta(hours=1),
        invocation_retry_policy=RETRY,
    )
    accepted = until_done(service)
    store = ApprovalStore(parts.store.pool)

    async def who(ctx: Context, asked: ByStaff) -> Staff:
        return await ctx.run_typed("who asks", proven, RunOptions(), ctx.request().id, asked.staff_token, parts)

    async def remove(approval_id: str) -> Noted:
        await store.forget(approval_id)
        return Noted()

    async def edited(ctx: Context, wanted: Decide) -> Made:
        """Raises: `Refused` 422 for arguments that the tool would not take, or that nobody may edit."""
        if wanted.arguments is None:
            return Made()
        await who(ctx, wanted)
        shown = await ctx.run_typed("read", store.shown, RunOptions(), wanted.approval_id)
        edit = Edited(
            arguments=wanted.arguments,
            parameters=json.dumps(shown.parameters),
            fixed={name: shown.arguments[name] for name in shown.fixed if name in shown.arguments},
        )
        told = edit.model_dump_json().encode()
        reply = await ctx.generic_call("ApprovedCall", "fits", told, key=wanted.approval_id)
        fitted = Fitted.model_validate_json(reply)
        if fitted.complaint:
            raise Refused(422, "arguments_do_not_fit", fitted.complaint, "arguments")
        return Made(arguments=fitted.arguments)

    async def ruled(invocation: str, wanted: Decide, made: Made) -> Ruling:
        """Decide, in one step with the proof of who does."""
        by = await proven(invocation, wanted.staff_token, parts)
        return await store.decide(wanted, made.arguments, by)

    @service.handler("list", input_serde=RAW)
    @checked
    async def show_list(ctx: Context, asked: ApprovalsQuery) -> ApprovalPage:  # pyright: ignore[reportUnusedFunction]
        """The approvals that wait for a decision, or the latest that do not."""
        await who(ctx, asked)
        return await ctx.run_typed("list", store.listed, RunOptions(), asked)

    @service.handler("show", input_serde=RAW)
    @checked
    async def show(ctx: Context, asked: ApprovalQuery) -> ApprovalShown:  # pyright: ignore[reportUnusedFunction]
        """One approval, with all that is decided about."""
        await who(ctx, asked)
        return await ctx.run_typed("show", store.shown, RunOptions(), asked.approval_id)

    @service.handler("decide", input_serde=RAW)
    @checked
    async def decide(ctx: Context, wanted: Decide) -> Ruling:  # pyright: ignore[reportUnusedFunction]
        """Approve a call, deny it, or let it be made with other arguments."""
        made = await edited(ctx, wanted)
        ruling = await ctx.run_typed("decide", ruled, RunOptions(), ctx.request().id, wanted, made)
        wake(ctx, wanted.approval_id)
        count_decision(ruling.status)
        log.info("approval_decided", extra={"status": ruling.status})
        return ruling

    @accepted("propose")
    @checked_own
    async def propose(ctx: Context, proposed: Proposal) -> ApprovalState:  # pyright: ignore[reportUnusedFunction]
        """Write down a call that waits for a person."""
        state = await ctx.run_typed("propose", store.propose, RunOptions(), proposed)
        if proposed.conversation is None:
            later = forgotten_after(proposed, timedelta(days=parts.settings.retention_days))
            body = ApprovalWanted(approval_id=proposed.approval_id).model_dump_json().encode()
            ctx.generic_send("Approvals", "forget", body, send_delay=later)
        return state

    @accepted("state")
    @checked
    async def state(ctx: Context, wanted: ApprovalWanted) -> ApprovalState:  # pyright: ignore[reportUnusedFunction]
        """How an approval stands, for the call that waits for it."""
        return await ctx.run_typed("look", store.state, RunOptions(), wanted.approval_id)

    @accepted("forget")
    @checked
    async def forget(ctx: Context, wanted: ApprovalWanted) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Remove an approval of a single question."""
        return await ctx.run_typed("forget", remove, RunOptions(), wanted.approval_id)

    return service
