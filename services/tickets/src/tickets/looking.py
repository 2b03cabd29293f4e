"""What members of staff see of all tickets: the SQL of the lists, of one ticket, and of the counts.

Whoever asks has been proven to be staff; each transaction says so to the database, whose policies open for it alone.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from contracts import (
    AuditLine,
    AuditPage,
    AuditQuery,
    TicketCounts,
    TicketEvent,
    TicketLine,
    TicketMessage,
    TicketPage,
    TicketsChanged,
    TicketShown,
    TicketsQuery,
    cursor_of,
)
from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction
from tickets.store import DESCRIPTION

SWITCHBOARD = "switchboard"
"""Acts at the desk when something falls due."""

LEFT_ALONE = "state <> 'closed' AND coalesce(next_look_at, '-infinity') < now() - interval '2 minutes'"
"""Of a ticket after which nobody looks: its next look came never, or was never planned."""

LINE = """
ticket_id, user_id, subject, state, category, priority, assignee, created_at, updated_at, reply_due_at, solve_due_at,
reply_escalated_at, solve_escalated_at
"""
_PLACE = "CASE WHEN risk_at = 'infinity' THEN 'infinity' ELSE (extract(epoch FROM risk_at) * 1000000)::bigint::text END"
_AFTER = (
    "(risk_at, number) > (CASE WHEN ${0} = 'infinity' THEN 'infinity'::timestamptz"
    " ELSE to_timestamp(0) + ${0}::bigint * interval '1 microsecond' END, ${1}::bigint)"
)
_SHOW = f"""
SELECT {LINE}, {DESCRIPTION}, conversation, prompt, replied_at, solved_at, merged_into,
    (SELECT array_agg(other.ticket_id ORDER BY other.number) FROM tickets AS other
     WHERE other.merged_into = tickets.ticket_id) AS merged,
    (SELECT count(*) FROM notifications
     WHERE notifications.ticket_id = tickets.ticket_id AND notifications.state IN ('refused', 'wanted', 'sending')
    ) AS undelivered
FROM tickets WHERE ticket_id = $1
"""  # noqa: S608
_MESSAGES = """
SELECT number, kind, who, words, at, ticket_id FROM messages WHERE ticket_id = ANY($1::text[]) ORDER BY number
"""
_CHANGES = "SELECT count(*) FROM ticket_history($1) WHERE acting <> 'switchboard'"
_HISTORY = "SELECT who, acting, action, note, at FROM ticket_history($1)"
_AUDITED = "SELECT * FROM audited($1, $2, $3, $4, $5, $6, $7)"
_COUNTS = """
SELECT count(*) FILTER (WHERE state = 'new') AS new, count(*) FILTER (WHERE state = 'open') AS open,
    count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE assignee = $1) AS mine,
    count(*) FILTER (WHERE assignee IS NULL) AS unassigned, count(*) FILTER (WHERE risk_at < now()) AS overdue
FROM tickets WHERE state IN ('new', 'open', 'waiting')
"""


MOST_CHANGED = 200
_NOW = "SELECT pg_current_snapshot()::text"
_CHANGED = """
SELECT pg_current_snapshot()::text AS place, ticket_id,
    pg_snapshot_xmax($1::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_of_another_server
FROM (SELECT) AS now LEFT JOIN tickets_changed($1::text::pg_snapshot, $2) AS told (ticket_id) ON true
"""


@asynccontextmanager
async def desk_transaction(pool: Pool, acting: str) -> AsyncGenerator[Connection]:
    """One transaction that sees all tickets. `acting` goes into what it writes: `SWITCHBOARD`, or `by_staff`."""
    async with caller_transaction(pool, "") as db:
        await db.execute("SELECT set_config('app.desk', $1, true)", acting)
        yield db


def by_staff(name: str) -> str:
    return f"staff/{name}"


class Looking:
    """Reads for staff."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def listed(self, asked: TicketsQuery, name: str) -> TicketPage:
        """A page of the tickets wanted, what is due first at the top."""
        conditions, arguments = _conditions(asked, name)
        query = (
            f"SELECT {LINE}, number, {_PLACE} AS place FROM tickets WHERE {' AND '.join(conditions)}"  # noqa: S608
            f" ORDER BY risk_at, number LIMIT {asked.limit + 1}"
        )
        async with desk_transaction(self._pool, by_staff(name)) as db:
            rows = await db.fetch(query, *arguments)
        page = [TicketLine(**line(row), place=f"{row['place']}~{row['number']}") for row in rows[: asked.limit]]
        return TicketPage(tickets=page, next=page[-1].place if len(rows) > asked.limit else "")

    async def shown(self, ticket_id: str, name: str) -> TicketShown:
        """Raises: `Refused` 404 for one that never was."""
        async with desk_transaction(self._pool, by_staff(name)) as db:
            return await read_shown(db, ticket_id)

    async def changed(self, seen: str, name: str) -> TicketsChanged:
        """The tickets that have changed since a snapshot. Raises: `Refused` 422 for what is none."""
        async with desk_transaction(self._pool, by_staff(name)) as db:
            if not seen:
                return TicketsChanged(tickets=[], seen=await db.fetchval(_NOW), is_whole=False)
            try:
                rows = await db.fetch(_CHANGED, seen, MOST_CHANGED + 1)
            except asyncpg.DataError:
                raise Refused(422, "invalid_place", "seen is what the last answer said", "seen") from None
        tickets = [row["ticket_id"] for row in rows if row["ticket_id"]]
        is_whole = len(tickets) <= MOST_CHANGED and not rows[0]["is_of_another_server"]
        return TicketsChanged(tickets=tickets if is_whole else [], seen=rows[0]["place"], is_whole=is_whole)

    async def counts(self, name: str) -> TicketCounts:
        async with desk_transaction(self._pool, by_staff(name)) as db:
            row = await db.fetchrow(_COUNTS, name)
        return TicketCounts(**dict(row or {}))

    async def audited(self, asked: AuditQuery, name: str) -> AuditPage:
        """Who did what, the newest first. Whoever asks has been proven to be an admin."""
        told = (asked.who, asked.subject, asked.since, asked.until, *asked.before, asked.limit)
        async with desk_transaction(self._pool, by_staff(name)) as db:
            rows = await db.fetch(_AUDITED, *told)
        return AuditPage(lines=[_audited(row) for row in rows])


async def read_shown(db: Connection, ticket_id: str) -> TicketShown:
    history = await db.fetch(_HISTORY, ticket_id)  # first: nothing that is not shown counts as seen
    row = await db.fetchrow(_SHOW, ticket_id)
    if row is None:
        raise unknown_ticket()
    merged: list[str] = row["merged"] or []
    messages = await db.fetch(_MESSAGES, [ticket_id, *merged])
    return TicketShown(
        **line(row),
        description=row["description"],
        messages=[_message(each) for each in messages],
        history=[TicketEvent(**{**each, "at": each["at"].isoformat()}) for each in history],
        conversation=row["conversation"] or "",
        prompt=row["prompt"] or "",
        replied_at=written(row["replied_at"]),
        solved_at=written(row["solved_at"]),
        merged_into=row["merged_into"] or "",
        merged=merged,
        undelivered=row["undelivered"],
        changes=sum(each["acting"] != SWITCHBOARD for each in history),
    )


async def count_changes(db: Connection, ticket_id: str) -> int:
    """How often people have changed it: what falls due is no reason to look again."""
    return await db.fetchval(_CHANGES, ticket_id)


def _conditions(asked: TicketsQuery, name: str) -> tuple[Sequence[str], Sequence[Any]]:
    """What of the query goes into the statement: its words are ours, its values are arguments."""
    place, _, number = asked.cursor.partition("~")
    ticket = asked.search.strip().upper()
    wanted: list[tuple[str, tuple[Any, ...]]] = [
        ("state = ${0}", tuple(asked.states) if len(asked.states) == 1 else ()),  # in the order of its index
        ("state = ANY(${0}::text[])", (list(asked.states),) if len(asked.states) > 1 else ()),
        ("assignee = ${0}", (name,) if asked.mine else ()),
        ("assignee = ${0}", (asked.assignee,) if asked.assignee else ()),
        ("priority = ${0}", (asked.priority,) if asked.priority else ()),
        ("category = ${0}", (asked.category,) if asked.category else ()),
        ("user_id = ${0}", (asked.user_id,) if asked.user_id else ()),
        (
            "ticket_id IN (SELECT tickets_with(${0}) UNION ALL SELECT ${1}::text)",
            (asked.search, ticket) if ticket else (),
        ),
        (_AFTER, (place, int(number)) if place and number else ()),
    ]
    conditions: list[str] = ["assignee IS NULL"] if asked.unassigned else []
    conditions += ["risk_at < now()"] if asked.overdue else []
    if set(asked.states) <= {"new", "open", "waiting"}:
        conditions.append("state IN ('new', 'open', 'waiting')")  # names the index
    arguments: list[Any] = []
    for condition, values in wanted:
        if values:
            first = len(arguments) + 1
            conditions.append(condition.format(*range(first, first + len(values))))
            arguments += values
    return conditions, arguments


def line(row: Any) -> dict[str, Any]:
    dues = [row["reply_due_at"], row["solve_due_at"]]
    return {
        "ticket_id": row["ticket_id"],
        "user_id": row["user_id"],
        "subject": row["subject"],
        "state": row["state"],
        "category": row["category"],
        "priority": row["priority"],
        "assignee": row["assignee"] or "",
        "created_at": written(row["created_at"]),
        "updated_at": written(row["updated_at"]),
        "reply_due_at": written(dues[0]),
        "solve_due_at": written(dues[1]),
        "due_at": written(min((due for due in dues if due), default=None)),
        "escalated": any((row["reply_escalated_at"], row["solve_escalated_at"])),
    }


def written(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _audited(row: Any) -> AuditLine:
    return AuditLine(
        kind="ticket",
        at=written(row["at"]),
        who=row["who"],
        action=row["action"],
        subject=row["ticket_id"],
        note=row["note"],
        cursor=cursor_of(row["at"], row["key"]),
    )


def _message(row: Any) -> TicketMessage:
    return TicketMessage(
        number=row["number"],
        kind=row["kind"],
        who=row["who"],
        text=row["words"],
        at=written(row["at"]),
        ticket_id=row["ticket_id"],
    )


def unknown_ticket() -> Refused:
    return Refused(404, "no_such_ticket", "there is no such ticket", "ticket_id")
