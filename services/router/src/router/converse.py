"""A run of a conversation: it reports in one send, whatever ended it; then the past is summarised."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from restate import Context, TerminalError

import contracts
from contracts import ConversationRun, HandOver, Outcome, RunReport, Tried
from router.did import steps_of
from router.effects import effects_of
from router.run import UNFINISHED, Run
from router.told import events_of
from router.tools.people import HandOverToPerson
from router.turn import Summary
from runtime.telemetry.tracing import spans_sent

MAX_TRIED = 20
"""A person who takes over is shown so many results of the run, the latest."""

TRIED_CHARACTERS = 500
"""And so much of each."""


class Reported(BaseModel):
    """The answer has been sent to the conversation; whoever reads this result reads nothing of it."""


async def run_and_report(
    ctx: Context,
    given: ConversationRun,
    work: Callable[[], Awaitable[Run]],
    summarise_past: Callable[[Run], Awaitable[Summary | None]],
) -> Reported:
    """Do the work of a run and send its report, once; then have the past summarised, for which no customer waits."""
    run: Run | None = None
    try:
        run = await work()
        report = _report(given, run)
    except TerminalError as error:
        outcome: Outcome = "stopped" if error.status_code == 409 else "failed"
        report = RunReport(run=given.run, epoch=given.epoch, outcome=outcome, text=_excuse(error))
    _send(ctx, given, "finished", report)
    if run is not None:
        await _summarised(ctx, given, run, summarise_past)
    return Reported()


def _excuse(error: TerminalError) -> str:
    """What a customer reads of a run without an answer; nothing of one that was stopped."""
    if error.status_code == 409:
        return ""
    return error.message if 400 <= error.status_code < 500 else UNFINISHED["failed"]


async def _summarised(
    ctx: Context, given: ConversationRun, run: Run, summarise_past: Callable[[Run], Awaitable[Summary | None]]
) -> None:
    """A run that is cancelled here has told its end already, and the next one tries again."""
    try:
        summary = await summarise_past(run)
    except TerminalError:
        return
    if summary is not None:
        _send(ctx, given, "summarised", contracts.Summary(upto=summary.upto, text=summary.text))
        await spans_sent()


def _send(ctx: Context, given: ConversationRun, handler: str, told: BaseModel) -> None:
    body = told.model_dump_json(exclude_defaults=True).encode()
    ctx.generic_send("Conversation", handler, body, key=given.conversation)


def _report(given: ConversationRun, run: Run) -> RunReport:
    answer = run.answered
    return RunReport(
        run=given.run,
        epoch=given.epoch,
        outcome=answer.outcome,
        text="" if answer.outcome == "stopped" else answer.text,
        effects=effects_of(run.turns, run.results),
        events=events_of(run.turns, run.results),
        tickets=answer.tickets,
        usage=answer.usage,
        hand_over=_hand_over(run),
        steps=steps_of(run.turns, run.results, run.steps.turn_ms, run.steps.call_ms),
        trace_id=run.trace.hex_id if run.has_begun and run.trace else "",
    )


def _hand_over(run: Run) -> HandOver | None:
    """What a person has to know who goes on, if the model wants one."""
    if (plan := run.handed_over) is None:
        return None
    wants = HandOverToPerson.model_validate_json(plan.body)
    results = [result for results in run.results for result in results if result.call_id != plan.call_id]
    tried = [Tried(tool=each.tool, status=each.status, result=each.content[:TRIED_CHARACTERS]) for each in results]
    return HandOver(reason=wants.reason, promised=wants.promised, tried=tried[-MAX_TRIED:])
