"""Compaction: the older part of what the model reads is told anew in prose, by a step of its own at a turn's end."""

from contextlib import nullcontext
from datetime import timedelta
from functools import partial

from restate import TerminalError

from router.inbox import Inbox
from router.model import Asked, Model, ModelBusy, ModelFault, wait
from router.model.reply import REFUSED_TEXT
from router.older import BYTES_PER_TOKEN, Cut, cuts_of, request
from router.plan import scrub
from router.run import Run, must_end_at
from router.steps import Moment, Patience, StepRecord
from router.turn import RunFacts, Summary

SECONDS = 60.0
"""For one summary, its repeats included."""
ATTEMPTS = 3
MAX_SUMMARY_CHARACTERS = 6000
LEAST_CHARACTERS = 2000
"""A part that the model finds too long is told with half of it, again and again, down to this."""


async def make_room(run: Run, model: Model, inbox: Inbox) -> None:
    """At the end of a turn that is not the last: summarise what the run did so far, if it has grown long; or whatever
    there is, if the model found it too long."""
    cuts = cuts_of(run)
    if run.turns[-1].was_read:
        cuts = [cut for cut in cuts if cut.part == "turns" and _is_long(run, cut)]
    if cuts:
        await _summarise(run, max(cuts, key=lambda cut: cut.tokens), model, inbox)


async def summarise_past(run: Run, model: Model) -> Summary | None:
    """After the end of a run, when its answer is on its way: summarise what was said before it, if that has grown long.

    Returns what the run has had summarised of the past, at any time.
    """
    cuts = [cut for cut in cuts_of(run) if cut.part == "past" and _is_long(run, cut)]
    if cuts and not run.stopped:
        await _summarise(run, cuts[0], model)
    return run.summary("past")


def _is_long(run: Run, cut: Cut) -> bool:
    return 0 < run.facts.limits.compact < cut.tokens


async def _summarise(run: Run, cut: Cut, model: Model, inbox: Inbox | None = None) -> None:
    """One step. With an inbox the run is not at its end: it keeps to its time, and its stop is listened for."""
    nothing = Summary(part=cut.part, upto=cut.upto)
    patience = Patience(ATTEMPTS, timedelta(seconds=SECONDS), partial(_without_text, nothing))
    action = partial(_asked, run, cut, model, inbox)
    name = f"summary {len(run.summaries) + 1}"
    run.summaries.append(await run.steps.step(name, "summary", action, StepRecord[Summary], patience))


def _without_text(nothing: Summary, _why: TerminalError, moment: Moment) -> Summary:
    return _summary(nothing, "", moment)


async def _asked(run: Run, cut: Cut, model: Model, inbox: Inbox | None, facts: RunFacts, moment: Moment) -> Summary:
    """Raises: `ModelBusy` when Restate shall try it again, after the pause in it."""
    nothing, until = Summary(part=cut.part, upto=cut.upto), moment.first_started_at + SECONDS
    if inbox is not None:
        until = min(until, (moment.first_started_at + must_end_at(facts, run.waited)) / 2)
        if await inbox.is_stopped(run.conversation):
            return nothing
    try:
        with inbox.listening(run.conversation) if inbox is not None else nullcontext():
            text = await _written(cut, facts, model, moment, until)
    except ModelBusy as busy:
        text = _wait(busy, moment, until)
    except ModelFault:
        text = ""
    return _summary(nothing, text, moment)


def _wait(busy: ModelBusy, moment: Moment, until: float) -> str:
    try:
        raise wait(busy, moment.attempt, moment.seconds_until(until))
    except ModelFault:
        return ""


async def _written(cut: Cut, facts: RunFacts, model: Model, moment: Moment, until: float) -> str:
    """What the model writes; nothing when it refuses, or has no time left."""
    characters = max(2 * BYTES_PER_TOKEN * facts.limits.compact, LEAST_CHARACTERS)
    while (seconds := moment.seconds_until(until)) > 0:
        chat = request(cut, characters)
        asked = Asked(lambda _, chat=chat: chat, [], (), may_call=False, spent=moment.spent)
        try:
            reply = await model.answer(asked, seconds)
        except ModelFault as fault:
            if fault.outcome != "tokens_exhausted" or characters <= LEAST_CHARACTERS:
                raise
            characters //= 2
        else:
            return "" if reply.text == REFUSED_TEXT else scrub(reply.text).strip()[:MAX_SUMMARY_CHARACTERS]
    return ""


def _summary(nothing: Summary, text: str, moment: Moment) -> Summary:
    """With what all attempts cost."""
    spent = moment.spent
    told = {"text": text, "prompt_tokens": spent["prompt"], "completion_tokens": spent["completion"]}
    return nothing.model_copy(update=told)
