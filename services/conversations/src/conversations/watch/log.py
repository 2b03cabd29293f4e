"""The log as watchers read it. One statement asks for all conversations at once; each is read as its own customer."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts import RunReport
from conversations.watch.place import Line, Text
from runtime.postgres import Connection, Pool, caller_transaction

PAGE = 200
"""Events of one conversation in one answer."""
AT_ONCE = 5000
"""Events that are forgotten in one statement."""

_END = "SELECT next_event - 1 FROM conversations WHERE conversation_id = $1"
_ADD = """
WITH fresh AS (
    SELECT each, row_number() OVER (ORDER BY place) - 1 AS number
    FROM jsonb_array_elements($4::jsonb) WITH ORDINALITY AS told (each, place)
    WHERE NOT EXISTS (SELECT FROM events WHERE conversation_id = $1 AND key = $2 || '/' || (each ->> 'key'))
), place AS (
    UPDATE conversations SET next_event = next_event + (SELECT count(*) FROM fresh)
    WHERE conversation_id = $1 AND EXISTS (SELECT FROM fresh)
    RETURNING next_event - (SELECT count(*) FROM fresh) AS first, user_id
)
INSERT INTO events (conversation_id, position, user_id, key, run, epoch, kind, body)
SELECT $1, first + number, user_id, $2 || '/' || (each ->> 'key'), $2, $3, each ->> 'kind', each -> 'body'
FROM fresh, place
"""
_FORGET = "SELECT forget_events(now() - $1::interval, $2)"
_WATCHED = "SELECT * FROM watched($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5)"


class Asked(NamedTuple):
    """A conversation of a customer, and what is known of it: events up to `after`, live text as of `shown_at`."""

    conversation: str
    user_id: str
    after: int
    shown_at: datetime | None = None


class News(NamedTuple):
    """What is new in one conversation. `gone`: the customer has none of this name. `has_more`: not everything is here,
    and the text is of a later moment. `age`: seconds since the latest of it was written."""

    lines: list[Line]
    text: Text | None = None
    shown_at: datetime | None = None
    gone: bool = False
    has_more: bool = False
    age: float = 0.0


class EventLog:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def end(self, conversation: str, user_id: str) -> int | None:
        """The position of the latest event; None if the customer has no such conversation.

        Raises: `RetryableError` when the database is away.
        """
        async with caller_transaction(self._pool, user_id) as db:
            return await db.fetchval(_END, conversation)

    async def news(self, asked: Sequence[Asked]) -> dict[int, News]:
        """What is new, by the places in `asked`. Raises: what asyncpg raises when the database is away."""
        columns: list[list[object]] = [list(column) for column in zip(*asked, strict=True)]
        rows = await self._pool.fetch(_WATCHED, *columns, PAGE)
        found: dict[int, News] = {}
        for row in rows:
            news = found.get(row["place"] - 1, News([]))
            if row["kind"] == "gone":
                news = news._replace(gone=True)
            elif row["kind"] == "text":
                text = None if row["body"] is None else Text(row["run"], row["turn"], row["attempt"], row["body"])
                news = news._replace(text=text, shown_at=row["at"])
            else:
                told = (row["position"], row["kind"], row["run"], row["epoch"], row["at"].isoformat(), row["body"])
                news.lines.append(Line(*told))
                news = news._replace(age=row["age"], has_more=len(news.lines) == PAGE)
            found[row["place"] - 1] = news
        return found

    async def forget(self, after: timedelta) -> None:
        """What is older is kept no more. Raises: what asyncpg raises when the database is away."""
        while await self._pool.fetchval(_FORGET, after, AT_ONCE) == AT_ONCE:
            pass


async def close_log(db: Connection, conversation: str, report: RunReport, *, posts: bool) -> None:
    """Add what is missing of what a run told, before its end is told; its live text is over. A run that has been
    stopped tells how its tools ended, and nothing else. The conversation's row is held."""
    events = [each.model_dump() for each in report.events if posts or each.kind == "tool_finished"]
    if events:
        await db.execute(_ADD, conversation, report.run, report.epoch, json.dumps(events))
    await db.execute("DELETE FROM live WHERE run = $1", report.run)
