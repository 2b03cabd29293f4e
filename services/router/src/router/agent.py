"""The agent: one question, told as a loop of durable model turns and tool calls.

Whatever decides what is done next is read from the journal, so that a replay decides exactly as before.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import restate
from restate import Context, TerminalError

from contracts import Answer, Question
from router.begin import Callers, establish_facts
from router.calls import settle
from router.calls.call import LocalTools
from router.catalogue import NoCatalogue, Offers, for_model
from router.customers import is_customer
from router.model import Model, ModelFault, Reply
from router.offer import Offer
from router.plan import make_plans
from router.prompt import Prompt
from router.run import Run, answer, must_end_at
from router.seen import Watch
from router.seen.spans import RunSpans
from router.settings import RouterSettings
from router.signing import sign_plan
from router.steps import Moment, Nothing, Patience, StepRecord, Steps
from router.transcript import messages
from router.turn import Begun, Turn
from runtime.checked import RAW, checked
from runtime.defects import is_defect
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import ABORT_TIMEOUT, RETENTION
from runtime.steps import Attempts

TURN_SECONDS = 75


@dataclass(frozen=True)
class Agent:
    """What answers questions: settings, a model, tools, and who looks on."""

    settings: RouterSettings
    prompt: Prompt
    model: Model
    offers: Offers
    local: LocalTools
    callers: Callers
    spans: RunSpans
    attempts: Attempts = field(default_factory=Attempts)


def tool_router(agent: Agent) -> restate.Service:
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
        return await route(ctx, question, agent)

    return service


async def route(ctx: Context, question: Question, agent: Agent) -> Answer:
    watch = Watch(agent.spans, agent.model.name)
    facts = partial(establish_facts, ctx, question, agent.settings, agent.callers, agent.prompt.digest)
    run = Run(ctx, question, Steps(ctx, agent.attempts, facts, watch))
    async with watch.over(run):
        await who_asks(run, agent)
        while (ended := run.over_budget()) is None:
            turn = await decide(run, agent)
            run.results.append(await settle(run, turn, agent.local))
            if turn.is_last:
                break
        if ended:
            await run.steps.step("budget used up", "end", _nothing, StepRecord[Nothing])
        run.answer = answer(run, ended)
    return run.answer


async def who_asks(run: Run, agent: Agent) -> None:
    """A `user_id` that is believed is looked up before anything is paid for; a token is checked in the first turn."""
    if run.question.caller_token is not None:
        return
    await run.steps.step("begin", "begin", _nothing, StepRecord[Nothing])
    if run.facts.check_customer and not await is_customer(run, agent.callers.customers):
        raise Refused(404, "unknown_customer", "there is no customer with this user_id", "user_id")


async def decide(run: Run, agent: Agent) -> Turn:
    """One durable model turn: what the model said and, for each call, what will be done."""
    settings = agent.settings
    within = timedelta(seconds=max(TURN_SECONDS - settings.openai_timeout, 1))
    patience = Patience(settings.openai_attempts, within, _given_up)
    name = f"model turn {len(run.turns) + 1}"
    turn = await run.steps.step(name, "turn", partial(_decide, run, agent), StepRecord[Turn], patience)
    run.turns.append(turn)
    return turn


async def _decide(run: Run, agent: Agent, begun: Begun, moment: Moment) -> Turn:
    if moment.seconds_until(must_end_at(begun)) <= 0:
        return Turn(outcome="time_exhausted")
    chat = messages(agent.prompt.text, run.message, run.turns, run.results)
    try:
        shelf = await agent.offers.within(moment.seconds_until(must_end_at(begun)))
        offers = shelf.for_turn(run, begun.caller, agent.settings.max_offered)
        tools = for_model(offers, begun.caller)
        reply = await agent.model.answer(chat, tools, moment.seconds_until(must_end_at(begun)))
    except NoCatalogue:
        return Turn(outcome="tools_unavailable")
    except ModelFault as fault:
        return Turn(outcome=fault.outcome)
    turn = _planned(run, agent, reply, offers, begun, moment.seconds_until(must_end_at(begun)))
    turn.prompt = agent.prompt.digest
    return turn


def _planned(run: Run, agent: Agent, reply: Reply, offers: dict[str, Offer], begun: Begun, seconds_left: float) -> Turn:
    turn = Turn(
        text=reply.text,
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cut=reply.cut and not run.was_cut,
    )
    if run.usage.calls + len(reply.calls) > begun.limits.calls:
        turn.outcome = "calls_exhausted"
        return turn
    turn.plans = make_plans(run.turns, reply.calls, offers, begun.caller, seconds_left)
    for plan in turn.plans:
        sign_plan(agent.callers.signer, plan, run.id, begun, seconds_left)
    return turn


def _given_up(why: TerminalError) -> Turn:
    return Turn(outcome="failed" if is_defect(why) else "model_unavailable")


async def _nothing(_begun: Begun, _moment: Moment) -> Nothing:
    return Nothing()
