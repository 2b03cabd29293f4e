"""`ApprovedCall`: one call that a person decides, from its proposal to its result.

The row comes first; then it waits, suspended. Whatever wakes it reads the row, and what that says is what is done: that
it was woken proves nothing, so that nobody gains anything by waking it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import restate
from pydantic import BaseModel
from restate import Context, RunOptions, TerminalError, WorkflowContext, WorkflowSharedContext
from restate.context import DurablePromise
from restate.exceptions import RetryableError

from contracts import ApprovalState, ApprovalStatus, ApprovalWanted, ConversationRun, Edited, Fitted
from router.alarm import Alarm
from router.approval.asking import Asked, approval_id, fitted, may_be_made, proposal
from router.approval.settled import Settled, Stands
from router.approval.telling import for_model, outcome
from router.calls import KINDS
from router.calls.call import Call, LocalTools
from router.calls.effect import EffectCall
from router.catalogue import NoCatalogue, Offers
from router.run import call_headers
from router.seen.approvals import ApprovalSpans, trace_of_made
from router.signing import Signed, sign_now
from router.transcript import as_error
from router.turn import CallKind, Plan, Result, RunFacts
from runtime.call_tokens import CallSigner
from runtime.checked import RAW, checked, checked_own
from runtime.retries import RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT, RETENTION
from runtime.telemetry.logs import get_logger
from runtime.telemetry.tracing import TRACEPARENT, Trace, spans_sent

MADE_BY: dict[CallKind, type[Call]] = {**KINDS, "started": EffectCall}
"""What is started and goes on by itself is waited for here: the workflow is the task."""

Value = TypeVar("Value")

AFTER_EXPIRY = timedelta(milliseconds=100)
"""So much later it is asked whether it has expired: by then the database says so."""

CATALOGUE_SECONDS = 10
SWITCHED_OFF = "a person said yes, but the tool was switched off meanwhile, so it was not done; do not repeat the call"

log = get_logger(__name__)


def refused(plan: Plan) -> Result:
    """What becomes of a call whose tool is switched off."""
    told = as_error(SWITCHED_OFF)
    return Result(call_id=plan.call_id, tool=plan.tool, status="denied", content=told, fault="forbidden")


class Woken(BaseModel):
    """Whether anything waits there."""


@dataclass
class Made:
    """The run that an approved call belongs to, as the classes of calls know it."""

    ctx: Context
    asked: Asked
    facts: RunFacts
    known_at: float
    waited: float = 0
    conversation: ConversationRun | None = None

    def __post_init__(self) -> None:
        self.id, self.message, self.prompt = self.asked.run, self.asked.message, self.asked.prompt
        self.of, self.alarm = self.asked.of, Alarm(self.ctx)

    @property
    def trace(self) -> Trace | None:
        return trace_of_made(self.asked)

    def headers(self, token: str, call_id: str = "") -> dict[str, str]:
        """What the call does hangs below its own span, not below that of the run's, which may have ended."""
        told = call_headers(self.id, None, self.prompt, token, call_id)
        return told | {TRACEPARENT: self.trace.traceparent()} if self.trace else told


def approved_call(local: LocalTools, signer: CallSigner, spans: ApprovalSpans, offers: Offers) -> restate.Workflow:
    """Private: nobody outside can begin it, wake it, or read what it does."""
    workflow = restate.Workflow(
        "ApprovedCall",
        description="Makes a call when a person has said yes to it; keyed by the id of the approval",
        inactivity_timeout=timedelta(seconds=1),  # while it waits it holds no slot
        abort_timeout=ABORT_TIMEOUT,
        journal_retention=RETENTION,
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )

    async def signed_now(asked: Asked) -> Signed:
        """Its token, and whether it may still be made: it may have waited for a day. Raises: `RetryableError`."""
        plan, facts = asked.plan, asked.facts
        try:
            switched_off = await offers.forbid(plan.tool, CATALOGUE_SECONDS)
        except NoCatalogue:
            raise RetryableError("there is no catalogue of tools yet") from None
        signed = await sign_now(signer, plan.service, plan.call_id, asked.run, facts.caller, facts.conversation)
        return signed.model_copy(update={"switched_off": switched_off})

    async def make(ctx: WorkflowContext, asked: Asked, status: ApprovalStatus, arguments: str) -> Result:
        """The call as it was planned, with these arguments, unless its tool has been switched off."""
        signed = await ctx.run_typed("sign", signed_now, RunOptions(type_hint=Signed), asked)
        spans.waited(asked, status, signed.at)
        if signed.switched_off:
            return refused(asked.plan)
        plan = asked.plan.model_copy(update={"body": arguments, "token": signed.token, "approval": None})
        facts = asked.facts.model_copy(deep=True)
        facts.started_at, facts.limits.seconds = signed.at, max(plan.timeout, 1)
        call = MADE_BY[plan.kind](plan, Made(ctx, asked, facts, signed.at), local)
        call.start()
        await call.follow()
        if plan.kind == "read":
            done, _ = await call.run.alarm.wait([call.future], call.deadline, signed.at)
            await (call.take() if done else call.leave())
        else:
            await call.take()
        if call.settled is None:
            raise LookupError("a call has ended without a result")
        if asked.is_traced:
            spans.made(asked, plan, call.settled, signed.at, await ctx.time())
        return call.settled

    @workflow.main(name="run", input_serde=RAW, metadata={"switchboard.deadline": "none"}, workflow_retention=RETENTION)
    @checked_own
    async def run(ctx: WorkflowContext, asked: Asked) -> Settled:  # pyright: ignore[reportUnusedFunction]
        """Ask, wait, and make the call or leave it."""
        told = proposal(asked, ctx.request().id).model_dump_json().encode()
        reply = await ctx.generic_call("Approvals", "propose", told)
        state = await decided(ctx, asked, ApprovalState.model_validate_json(reply))
        status: ApprovalStatus = state.status
        result: Result | None = None
        if may_be_made(asked, state):
            result = await make(ctx, asked, status, state.arguments)
        else:
            status = not_made(asked, status)
            if asked.is_traced:
                spans.waited(asked, status, await ctx.time())
        settled = Settled(approval=status, result=for_model(asked.plan, status, state, result))
        left = await was_left(ctx)
        if not left:  # the run may leave at this very moment: it sees this, or is seen to have left
            await ctx.promise("settled", type_hint=Settled).resolve(settled)
            left = await was_left(ctx)
        if asked.facts.conversation:
            told = outcome(asked, settled, state, left=left).model_dump_json().encode()
            ctx.generic_send("Conversation", "outcome", told, key=asked.facts.conversation)
        await spans_sent()
        return settled

    @workflow.handler("wake", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def wake(ctx: WorkflowSharedContext, wanted: ApprovalWanted) -> Woken:  # pyright: ignore[reportUnusedFunction]
        """Read the row, and let the workflow go on with what it says, if that is a decision."""
        state = await read_state(ctx, wanted.approval_id)
        if state.status != "pending":
            await resolved(ctx.promise("read", type_hint=ApprovalState), state)
        return Woken()

    @workflow.handler("leave", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def leave(ctx: WorkflowSharedContext, _: ApprovalWanted) -> Stands:  # pyright: ignore[reportUnusedFunction]
        """The run waits no longer: unless it is settled by now, the conversation is told when it is."""
        known = await standing(ctx)
        if known.settled is None:
            await resolved(ctx.promise("left", type_hint=bool), True)
            known = await standing(ctx)
        return known

    @workflow.handler("stands", input_serde=RAW)
    @checked
    async def stands(ctx: WorkflowSharedContext, _: ApprovalWanted) -> Stands:  # pyright: ignore[reportUnusedFunction]
        """How it stands, for whoever asks after the task."""
        return await standing(ctx)

    @workflow.handler("fits", input_serde=RAW)
    @checked_own
    async def fits(_: WorkflowSharedContext, edited: Edited) -> Fitted:  # pyright: ignore[reportUnusedFunction]
        """Whether the tool would take what a person wrote."""
        return fitted(edited)

    return workflow


def not_made(asked: Asked, status: ApprovalStatus) -> ApprovalStatus:
    """What is told of a call that is not made. A yes to other arguments than the planned ones is none."""
    if status not in ("approved", "edited"):
        return status
    log.error("approval_of_another_call", extra={"tool": asked.plan.tool})
    return "withdrawn"


async def decided(ctx: WorkflowContext, asked: Asked, state: ApprovalState) -> ApprovalState:
    """How the approval stands when it waits for nobody any more. What `wake` has read of it is not read again."""
    read = ctx.promise("read", type_hint=ApprovalState).value()
    while state.status == "pending":
        expires = ctx.sleep(timedelta(seconds=max(state.seconds_left, 0)) + AFTER_EXPIRY, "until it expires")
        done, _ = await restate.wait_completed(read, expires)
        state = await read if read in done else await read_state(ctx, approval_id(asked))
    return state


async def read_state(ctx: WorkflowContext | WorkflowSharedContext, approval_id: str) -> ApprovalState:
    wanted = ApprovalWanted(approval_id=approval_id).model_dump_json().encode()
    return ApprovalState.model_validate_json(await ctx.generic_call("Approvals", "state", wanted))


async def standing(ctx: WorkflowSharedContext) -> Stands:
    if (settled := await ctx.promise("settled", type_hint=Settled).peek()) is not None:
        return Stands(approved=True, settled=settled)
    read = await ctx.promise("read", type_hint=ApprovalState).peek()
    return Stands(approved=read is not None and read.status in ("approved", "edited"))


async def was_left(ctx: WorkflowContext) -> bool:
    """Whether the run waits for this call no longer."""
    return bool(await ctx.promise("left", type_hint=bool).peek())


async def resolved(promise: DurablePromise[Value], value: Value) -> None:
    """Resolve it, unless another has just done so."""
    try:
        await promise.resolve(value)
    except TerminalError:
        if await promise.peek() is None:
            raise
