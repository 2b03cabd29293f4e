"""The agent's runs of all conversations, of which the room has checked that a member of staff asks."""

from typing import Any

from contracts import RunLine, RunsPage, RunsQuery, cursor_of
from runtime.postgres import Pool, caller_transaction

_LISTED = "SELECT * FROM runs_listed($1, $2, $3, $4, $5)"


class RunsStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def listed(self, asked: RunsQuery) -> RunsPage:
        """A page of those that are wanted."""
        told = (asked.kind, asked.user_id or "", *asked.before, asked.limit + 1)
        async with caller_transaction(self._pool, "") as db:
            rows = await db.fetch(_LISTED, *told)
        shown = rows[: asked.limit]
        following = cursor_of(shown[-1]["begun_at"], shown[-1]["run"]) if len(rows) > asked.limit else ""
        return RunsPage(runs=[_line(row) for row in shown], next=following)


def _line(row: Any) -> RunLine:
    return RunLine(
        conversation=row["conversation_id"],
        user_id=row["user_id"],
        run=row["run"],
        state=row["state"],
        outcome=row["outcome"],
        begun_at=row["begun_at"].isoformat(),
        seconds=row["seconds"],
        turns=row["turns"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        invocation=row["invocation"],
        trace_id=row["trace_id"],
        stopped_by=row["stopped_by"],
        why=row["stopped_why"],
    )
