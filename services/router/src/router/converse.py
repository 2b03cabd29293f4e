"""The end of a run of a conversation: what it tells, in one send, whatever ended it."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from restate import Context, TerminalError

from contracts import ConversationRun, Effect, Outcome, RunReport
from router.plan import EFFECTS
from router.run import UNFINISHED, Run
from router.told import events_of


class Reported(BaseModel):
    """The answer has been sent to the conversation; whoever reads this result reads nothing of it."""


async def reporting(ctx: Context, given: ConversationRun, work: Callable[[], Awaitable[Run]]) -> Reported:
    """Do the work of a run and send its report: once, as the last thing that it does."""
    try:
        report = _report(given, await work())
    except TerminalError as error:
        outcome: Outcome = "stopped" if error.status_code == 409 else "failed"
        text = error.message if 400 <= error.status_code < 500 and outcome == "failed" else UNFINISHED["failed"]
        report = RunReport(run=given.run, epoch=given.epoch, outcome=outcome, text=text)
    body = report.model_dump_json(exclude_defaults=True).encode()
    ctx.generic_send("Conversation", "finished", body, key=given.conversation)
    return Reported()


def _report(given: ConversationRun, run: Run) -> RunReport:
    answer = run.answered
    return RunReport(
        run=given.run,
        epoch=given.epoch,
        outcome=answer.outcome,
        text="" if answer.outcome == "stopped" else answer.text,
        effects=effects_of(run),
        events=events_of(run.turns, run.results),
        tickets=answer.tickets,
        usage=answer.usage,
    )


def effects_of(run: Run) -> list[Effect]:
    """What the run did in the world, or may have done, in order."""
    return [
        Effect(
            tool=plan.tool,
            status="started" if plan.kind == "started" and result.status == "ok" else result.status,
            ticket_id=result.ticket_id,
            task_id=plan.task_id if result.status == "unknown" or plan.kind == "started" else None,
        )
        for turn, results in zip(run.turns, run.results, strict=False)
        for plan, result in zip(turn.plans, results, strict=True)
        if plan.kind in EFFECTS
    ]
