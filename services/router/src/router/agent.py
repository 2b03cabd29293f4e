"""The agent: one question, told as a loop of durable model turns and tool calls.

After `begin` the loop reads only what is journaled, so that a replay decides exactly as before.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import restate
from restate import Context, TerminalError

from contracts import Answer, Question
from router.caller import prove
from router.calls import LocalTool, settle
from router.catalogue import Offers, for_model
from router.customers import Customers, is_customer
from router.journal import journaled
from router.metrics import count_model_retry, label
from router.model import ContextTooLong, Model, ModelFault, Reply
from router.plan import Offer, Turn, make_plan
from router.run import Begun, Closed, Limits, Run, answer
from router.settings import RouterSettings
from router.spans import RunSpans
from router.telling import tell_refusal, told
from router.transcript import Chat, compact, messages
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.serving import ABORT_TIMEOUT, RETENTION, RETRY
from runtime.steps import Attempt, Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.tracing import first_traceparent, is_tracing

TURN_SECONDS = 75

log = get_logger(__name__)


@dataclass(frozen=True)
class Desk:
    """What the agent works with."""

    settings: RouterSettings
    model: Model
    offers: Offers
    local: Mapping[str, LocalTool]
    customers: Customers
    spans: RunSpans
    attempts: Attempts = field(default_factory=Attempts)


def tool_router(desk: Desk) -> restate.Service:
    """The service `ToolRouter`, the only one that Restate's ingress lets in."""
    service = restate.Service(
        "ToolRouter",
        description="Answers a customer's question with the tools on offer",
        abort_timeout=ABORT_TIMEOUT,
        idempotency_retention=RETENTION,
        journal_retention=RETENTION,
        invocation_retry_policy=RETRY,
    )

    @service.handler("route", input_serde=RAW)
    @checked
    async def handle(ctx: Context, question: Question) -> Answer:
        """Answer one question: a model decides which tools and workflows to use; every step is durable."""
        return await route(ctx, question, desk)

    return service


async def route(ctx: Context, question: Question, desk: Desk) -> Answer:
    run = await begin(ctx, question, desk)
    async with told(ctx, run, desk.spans):
        while (ended := run.over_budget()) is None:
            turn = await decide(ctx, run, desk)
            run.add(turn, await settle(ctx, turn, run, desk.local))
            if turn.is_last:
                break
        else:
            run.closed = await close(ctx, run, "budget used up")
        run.answer = answer(run, ended)
    return run.answer


async def begin(ctx: Context, question: Question, desk: Desk) -> Run:
    """Settle who asks, the budgets and the time, once."""
    traceparent = first_traceparent(ctx) if is_tracing() else None
    begun = await ctx.run_typed("begin", _begin, journaled(Begun), question, desk, traceparent)
    run = Run(ctx.request().id, question.message, begun)
    if begun.check_customer and not await is_customer(ctx, run, desk.customers):
        refused = Refused(404, "unknown_customer", "there is no customer with this user_id", "user_id")
        await tell_refusal(run, desk.spans, refused.code, await ctx.time())
        raise refused
    return run


async def _begin(question: Question, desk: Desk, traceparent: str | None) -> Begun:
    settings, caller = desk.settings, prove(question, desk.settings)
    return Begun(
        caller=caller,
        limits=Limits(
            turns=settings.max_turns,
            calls=settings.max_calls,
            tokens=settings.max_tokens,
            seconds=settings.max_seconds,
            errors=settings.max_errors,
        ),
        started_at=time.time(),
        check_customer="" if question.caller_token else desk.customers.to_ask(caller.user_id),
        model=settings.openai_model,
        traceparent=traceparent,
    )


async def decide(ctx: Context, run: Run, desk: Desk) -> Turn:
    """One durable model turn: what the model said and, for each call, what will be done."""
    name = f"model turn {len(run.turns) + 1}"
    settings = desk.settings
    retry_within = timedelta(seconds=max(TURN_SECONDS - settings.openai_timeout, 1))
    options = journaled(Turn, settings.openai_attempts, retry_within)
    try:
        turn = await ctx.run_typed(name, _decide, options, run, desk, name)
    except TerminalError as error:
        if error.status_code == 409:
            raise
        turn = await ctx.run_typed(f"{name} given up", _give_up, journaled(Turn), run, desk, name)
    desk.attempts.forget((run.id, name))
    desk.spans.turn_decided(run, turn)
    run.pending = turn
    log.info("turn_decided", extra={"turn": len(run.turns) + 1, "calls": [label(plan) for plan in turn.plans]})
    return turn


async def _give_up(run: Run, desk: Desk, step: str) -> Turn:
    """The attempts were perhaps another process's: then all that is known is that they began after the calls before."""
    call_ms = run.last_call_ms()
    attempt = desk.attempts.of((run.id, step)) or Attempt(run.clock + max(call_ms, default=0) / 1000, 1)
    return Turn(
        started_at=attempt.first_started_at,
        ended_at=time.time(),
        outcome="model_unavailable",
        call_ms=call_ms,
        attempts=attempt.number,
    )


async def close(ctx: Context, run: Run, why: str) -> Closed:
    """Journal when a run ended that no turn ends."""
    return await ctx.run_typed(why, _close, journaled(Closed), run)


async def _close(run: Run) -> Closed:
    return Closed(ended_at=time.time(), call_ms=run.last_call_ms())


async def _decide(run: Run, desk: Desk, step: str) -> Turn:
    started = time.time()
    attempt = desk.attempts.begin((run.id, step))
    if attempt.number > 1:
        count_model_retry(desk.model.name)
    ended = Turn(
        started_at=attempt.first_started_at,
        ended_at=started,
        call_ms=run.last_call_ms(),
        attempts=attempt.number,
    )
    if started >= run.must_end_at:
        return ended.model_copy(update={"outcome": "time_exhausted"})
    offers = await desk.offers.now()
    tools = for_model(offers, run.begun.caller)
    try:
        reply = await _ask(desk.model, messages(run.message, run.turns, run.results), tools, run.must_end_at - started)
    except ModelFault as fault:
        return ended.model_copy(update={"outcome": fault.outcome, "ended_at": time.time()})
    return _turn(run, reply, offers, ended)


async def _ask(model: Model, chat: Chat, tools: Chat, seconds: float) -> Reply:
    try:
        return await model.complete(chat, tools, seconds)
    except ContextTooLong:
        log.warning("conversation_compacted", extra={"messages": len(chat)})
    try:
        return await model.complete(compact(chat), tools, seconds)
    except ContextTooLong:
        raise ModelFault("tokens_exhausted") from None


def _turn(run: Run, reply: Reply, offers: dict[str, Offer], turn: Turn) -> Turn:
    turn.ended_at = time.time()
    turn.text, turn.model = reply.text, reply.model
    turn.prompt_tokens, turn.completion_tokens = reply.prompt_tokens, reply.completion_tokens
    turn.cut = reply.cut and not run.was_cut
    if run.usage.calls + len(reply.calls) > run.begun.limits.calls:
        turn.outcome = "calls_exhausted"
        return turn
    seconds_left = run.must_end_at - turn.ended_at
    turn.plans = [
        make_plan(f"call_{len(run.turns) + 1}_{index}", wanted, offers, run.begun.caller, seconds_left)
        for index, wanted in enumerate(reply.calls, start=1)
    ]
    return turn
