"""The agent: one question, told as a loop of durable model turns and tool calls.

Whatever decides what is done next is read from the journal, so that a replay decides exactly as before. Settings are
read only by a step that is not journaled yet, and for how often one is tried.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import restate
from restate import Context, TerminalError

from contracts import Answer, ConversationRun, Question
from router.begin import CallerChecks, fix_facts, is_unproven
from router.calls import settle
from router.calls.call import LocalTools
from router.catalogue import Offers
from router.compaction import make_room, summarise_past
from router.converse import Reported, run_and_report
from router.customers import is_customer
from router.decision import Means, next_turn, seconds_left, turn_without_reply
from router.inbox import Inbox
from router.model import Model
from router.prompt import Prompt
from router.run import Run, final_answer
from router.seen import Watch
from router.seen.spans import RunSpans
from router.settings import RouterSettings
from router.steps import Moment, Nothing, Patience, StepRecord, Steps
from router.told import Told
from router.turn import RunFacts, Turn
from runtime.checked import RAW, checked, checked_own
from runtime.defects import is_defect
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import ABORT_TIMEOUT, RETENTION
from runtime.steps import Attempts


@dataclass(frozen=True)
class Agent:
    """What answers questions: settings, a model, tools, and who looks on."""

    settings: RouterSettings
    prompt: Prompt
    model: Model
    offers: Offers
    local: LocalTools
    callers: CallerChecks
    spans: RunSpans
    inbox: Inbox = field(default_factory=Inbox)
    told: Told = field(default_factory=Told)
    attempts: Attempts = field(default_factory=Attempts)


def tool_router(agent: Agent) -> restate.Service:
    """The service `ToolRouter`, the only one of the router that Restate's ingress lets in."""
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
        return (await route(ctx, question, agent)).answered

    @service.handler("converse", input_serde=RAW, ingress_private=True)
    @checked_own
    async def converse(ctx: Context, given: ConversationRun) -> Reported:
        """Answer what was said in a conversation, which alone can ask this; the answer is sent to it."""
        work = partial(route, ctx, given, agent)
        after = partial(summarise_past, model=agent.model)
        return await run_and_report(ctx, given, work, after)

    return service


async def route(ctx: Context, asked: Question | ConversationRun, agent: Agent) -> Run:
    """Answer one question: model turns and their calls, until the model answers, hands over or is out of budget.

    After a crash all of it runs again from here: journaled steps give the values that they gave, and what was sent is
    found again by its key. A call that a person decides may be left waiting (`calls/asked.py`).
    """
    watch = Watch(agent.spans, agent.model.name, agent.told)
    fixing = partial(fix_facts, ctx, asked, agent.settings, agent.callers, agent.prompt.digest)
    run = Run(ctx, asked, Steps(ctx, agent.attempts, fixing, watch))
    async with watch.over(run):
        with run.until_stopped():
            await refuse_unknown_customer(run, agent)
            while run.must_stop() is None:
                turn = await decide(run, agent)
                run.results.append(await settle(run, turn, agent.local))
                if turn.is_last or run.handed_over:
                    break
                await make_room(run, agent.model, agent.inbox)
        if run.closing_step:  # it journals how long the last calls took, which the answer tells
            await run.steps.step(run.closing_step, "end", _nothing, StepRecord[Nothing])
        run.answer = final_answer(run)
    return run


async def refuse_unknown_customer(run: Run, agent: Agent) -> None:
    """A bare user id is looked up before anything is paid for. Who has a token is proven with the facts, in the first
    step."""
    if not is_unproven(run.asked):
        return
    await run.steps.step("begin", "begin", _nothing, StepRecord[Nothing])
    if run.facts.check_customer and not await is_customer(run, agent.callers.customers):
        raise Refused(404, "unknown_customer", "there is no customer with this user_id", "user_id")


async def decide(run: Run, agent: Agent) -> Turn:
    """One durable model turn: what the model said and, for each call, what will be done."""
    within = timedelta(seconds=seconds_left(run, agent.settings))
    patience = Patience(agent.settings.openai_attempts, within, _turn_when_model_fails)
    signer, most = agent.callers.signer, agent.settings.max_offered
    means = Means(agent.model, agent.offers, agent.prompt, signer, most, agent.inbox, agent.told)
    action = partial(next_turn, run, means)
    turn = await run.steps.step(f"model turn {len(run.turns) + 1}", "turn", action, StepRecord[Turn], patience)
    run.turns.append(turn)
    return turn


def _turn_when_model_fails(why: TerminalError, moment: Moment) -> Turn:
    return turn_without_reply("failed" if is_defect(why) else "model_unavailable", moment)


async def _nothing(_facts: RunFacts, _moment: Moment) -> Nothing:
    return Nothing()
