"""What runs did, step by step, in the database. Each works within the transaction of whoever calls it."""

import json

from contracts import RunReport, RunSteps, TurnStep
from runtime.errors import Refused
from runtime.postgres import Connection

_KEEP = """
INSERT INTO steps (conversation_id, run, turn, user_id, body)
SELECT conversation_id, $2, (told ->> 'turn')::integer, user_id, told
FROM conversations, jsonb_array_elements($3::jsonb) AS told
WHERE conversation_id = $1
ON CONFLICT DO NOTHING
"""
_REPORTED = """
UPDATE runs SET trace_id = $2, turns = $3, prompt_tokens = $4, completion_tokens = $5 WHERE run = $1
"""
_RUN = """
SELECT state, coalesce(outcome, '') AS outcome, begun_at, ended_at, invocation, trace_id, stopped_by, stopped_why
FROM runs WHERE conversation_id = $1 AND run = $2
"""
_PAGE = "SELECT body FROM steps WHERE conversation_id = $1 AND run = $2 AND turn > $3 ORDER BY turn LIMIT $4"


async def keep_steps(db: Connection, conversation: str, report: RunReport) -> None:
    """Write down what a run did; a repeat changes nothing."""
    told = json.dumps([step.model_dump() for step in report.steps])
    await db.execute(_KEEP, conversation, report.run, told)
    spent = report.usage
    if report.trace_id or spent.turns:  # else it was cut short, and nobody knows
        used = (spent.turns or None, spent.prompt_tokens, spent.completion_tokens)
        await db.execute(_REPORTED, report.run, report.trace_id, *used)


async def steps_of(db: Connection, conversation: str, run: str, after: int, limit: int) -> RunSteps:
    """The turns of a run after one. Raises: `Refused` 404 when this conversation has no such run."""
    found = await db.fetchrow(_RUN, conversation, run)
    if found is None:
        raise Refused(404, "unknown_run", "there is no such run in this conversation", "run")
    rows = await db.fetch(_PAGE, conversation, run, after, limit + 1)
    turns = [TurnStep.model_validate_json(row["body"]) for row in rows[:limit]]
    return RunSteps(
        run=run,
        state=found["state"],
        outcome=found["outcome"],
        begun_at=found["begun_at"].isoformat(),
        ended_at=found["ended_at"].isoformat() if found["ended_at"] else "",
        invocation=found["invocation"],
        trace_id=found["trace_id"],
        turns=turns,
        next=turns[-1].turn if len(rows) > limit else None,
        stopped_by=found["stopped_by"],
        why=found["stopped_why"],
    )
