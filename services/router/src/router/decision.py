"""One model turn: what is asked of the model, and what becomes of its reply."""

from dataclasses import dataclass
from functools import partial

from contracts import Outcome
from router.approval import SoFar, customers_words, may_make
from router.catalogue import NoCatalogue, Offers, for_model
from router.inbox import Inbox
from router.model import Asked, ContextTooLong, Model, ModelBusy, ModelFault, OnText, Reply, wait
from router.names import Names
from router.offer import Offer
from router.older import cuts_of, done
from router.past import past, prompt_for, told_by_client
from router.plan import make_plans
from router.prompt import Prompt
from router.run import Run, must_end_at
from router.settings import RouterSettings
from router.shelf import Shelf
from router.signing import sign_plan
from router.steps import Moment
from router.told import Told
from router.transcript import messages
from router.turn import RunFacts, Turn
from runtime.call_tokens import CallSigner

TIMES_ASKED = 3
"""How often a model that says nothing is asked: plainly, with a nudge, and without tools."""


@dataclass(frozen=True)
class Means:
    """What a turn may use of the agent. `most_offered`: how many tools a turn offers at most."""

    model: Model
    offers: Offers
    prompt: Prompt
    signer: CallSigner
    most_offered: int
    inbox: Inbox
    told: Told


def seconds_left(run: Run, settings: RouterSettings) -> float:
    """How long the run may still last, by the journal; at least one second."""
    if not run.has_begun:
        return settings.max_seconds
    return max(must_end_at(run.facts, run.waited) - run.steps.ended_at, 1)


async def next_turn(run: Run, means: Means, facts: RunFacts, moment: Moment) -> Turn:
    """The action of a model turn. Raises: `ModelBusy`, for Restate to try it again after its pause."""
    until = must_end_at(facts, run.waited)
    if moment.seconds_until(until) <= 0:
        return turn_without_reply("time_exhausted", moment)
    if (inputs := await means.inbox.take(run.conversation, len(run.turns) + 1)) is None:
        return turn_without_reply("stopped", moment)
    given = run.conversation
    with means.inbox.listening(given), means.told.writing(given, run.turns, moment) as on_text:
        turn = await _ask(run, means, facts, moment, inputs, on_text)
    turn.inputs = inputs
    return turn


async def _ask(
    run: Run, means: Means, facts: RunFacts, moment: Moment, inputs: list[str], on_text: OnText | None
) -> Turn:
    until = must_end_at(facts, run.waited)
    try:
        shelf = await means.offers.within(moment.seconds_until(until))
        on_offer = shelf.for_turn(run, facts.caller, means.most_offered)
        may_call = run.may_call and facts.limits.turns > 1
        given = run.given
        told = (prompt_for(given, means.prompt.text), run.message, run.turns, run.results)
        chat = partial(messages, *told, past=past(given) or told_by_client(run.earlier), inputs=inputs, done=done(run))
        asked = Asked(
            chat,
            for_model(on_offer, facts.caller),
            on_offer.keys(),
            may_call=may_call,
            silent=run.silent,
            on_text=on_text,
            may_cut=not cuts_of(run),
            spent=moment.spent,
        )
        reply = await means.model.answer(asked, moment.seconds_until(until))
        names = Names(means.signer, run.id, run.message, facts.caller)
        so_far = _so_far(run, shelf, facts, inputs)
        turn = _turn(run, reply, on_offer, facts, names, moment, so_far, may_call=may_call)
    except ContextTooLong:
        return Turn(again="too_long", prompt_tokens=moment.spent["prompt"])
    except NoCatalogue:
        return Turn(outcome="tools_unavailable")
    except ModelBusy as busy:
        return _try_again(busy, moment, until)
    except ModelFault as fault:
        return turn_without_reply(fault.outcome, moment)
    people = facts.limits.approval_wait * sum(plan.approval is not None for plan in turn.plans)
    for plan in turn.plans:
        sign_plan(means.signer, plan, run.id, facts, moment.seconds_until(until), run.waited, people=people)
    turn.prompt = means.prompt.digest
    return turn


def _try_again(busy: ModelBusy, moment: Moment, until: float) -> Turn:
    try:
        raise wait(busy, moment.attempt, moment.seconds_until(until))
    except ModelFault as fault:
        return turn_without_reply(fault.outcome, moment)


def turn_without_reply(outcome: Outcome, moment: Moment) -> Turn:
    """A turn that ends the run without a reply; what its attempts cost is counted all the same."""
    spent = moment.spent
    return Turn(outcome=outcome, prompt_tokens=spent["prompt"], completion_tokens=spent["completion"])


def _so_far(run: Run, shelf: Shelf, facts: RunFacts, inputs: list[str]) -> SoFar:
    """What tells whether a person has to approve a call of this turn: all of it is journaled, before it or with it."""
    said = customers_words(run.conversation, run.message, run.turns, inputs)
    most = facts.question_effects
    return SoFar(
        caller=facts.caller,
        said=said,
        turns=run.turns,
        results=run.results,
        may_make=may_make(said, run.turns, shelf, facts.caller, most, is_news=bool(inputs)),
        in_conversation=run.conversation is not None,
        shadow=facts.approval_shadow,
    )


def _turn(
    run: Run,
    reply: Reply,
    offers: dict[str, Offer],
    facts: RunFacts,
    names: Names,
    moment: Moment,
    so_far: SoFar,
    *,
    may_call: bool,
) -> Turn:
    turn = Turn(
        text=reply.text,
        model=reply.model,
        endpoint=reply.endpoint,
        foreign=reply.foreign,
        again=reply.again,
        may_make=None if so_far.may_make is None else list(so_far.may_make),
        prompt_tokens=moment.spent["prompt"],
        completion_tokens=moment.spent["completion"],
    )
    if reply.again:
        _bound(run, turn)
    elif reply.calls and not may_call:
        _unasked(run, turn, facts)
    elif run.usage.calls + len(reply.calls) > facts.limits.calls:
        turn.outcome = "calls_exhausted"
    else:
        seconds = moment.seconds_until(must_end_at(facts, run.waited))
        turn.plans = make_plans(run.turns, reply.calls, offers, facts.caller, names, seconds, so_far)
    return turn


def _bound(run: Run, turn: Turn) -> None:
    """A text is continued once; a model that says nothing is asked a few times, one that ran into its limit once."""
    before = run.asked_again
    if turn.again == "cut":
        turn.again = "" if "cut" in before else "cut"
        return
    silent = [reason for reason in [*before, turn.again] if reason != "cut"]
    if len(silent) < TIMES_ASKED and silent.count("spent") < 2:
        return
    turn.again = ""
    if not (turn.text or any(earlier.text for earlier in run.turns)):
        turn.outcome = "model_unavailable"


def _unasked(run: Run, turn: Turn, facts: RunFacts) -> None:
    """The model calls where it was told to answer: what it says beside that is the answer, if it says anything."""
    if turn.text:
        return
    turn.outcome = "calls_exhausted" if run.usage.calls >= facts.limits.calls else "turns_exhausted"
