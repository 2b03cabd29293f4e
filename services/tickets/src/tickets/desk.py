"""What the support staff read of tickets: the only SQL of the staff command, run as the role `tickets_staff`, which may
change nothing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from runtime.postgres import connect
from tickets.model import Ticket
from tickets.store import DESCRIPTION, SCHEMA

_TIMEOUT_SECONDS = 5.0

_TICKET = (
    f"ticket_id, user_id, subject, {DESCRIPTION}, category, priority, status, assignee, sla_due_at, created_at,"
    " updated_at, prompt"
)

_LIST = f"""
SELECT {_TICKET} FROM tickets
WHERE status = ANY($1::text[])
  AND ($2::text IS NULL OR user_id = $2)
  AND ($3::text IS NULL OR assignee = $3)
  AND ($4::text IS NULL OR priority = $4)
  AND (NOT $5 OR sla_due_at < now())
ORDER BY sla_due_at, number
LIMIT $6
"""  # noqa: S608
_SHOW = f"SELECT {_TICKET} FROM tickets WHERE ticket_id = $1"  # noqa: S608
_HISTORY = "SELECT who, action, note, at FROM audit WHERE ticket_id = $1 ORDER BY audit_id"

_LEFT = "state IN ('refused', 'wanted', 'sending') AND ($1::text IS NULL OR user_id = $1)"
_UNDELIVERED = f"""
SELECT ticket_id, state, reason, status, resends, kept_at FROM notifications WHERE {_LEFT} ORDER BY kept_at LIMIT $2
"""  # noqa: S608
_COUNT_UNDELIVERED = f"SELECT count(*) FROM notifications WHERE {_LEFT}"  # noqa: S608


class Declined(Exception):
    """What was asked for was not done; the text tells the staff why."""


class StaffTicket(Ticket):
    """A ticket as the staff see it: whose it is, who works on it, and the prompt with which the agent made it."""

    description: str
    updated_at: datetime
    user_id: str
    assignee: str | None
    prompt: str | None


class KeptNotification(BaseModel):
    """A notification that was not delivered: why, and what becomes of it."""

    ticket_id: str
    state: str
    reason: str
    status: int | None
    resends: int
    kept_at: datetime


class Event(BaseModel):
    """One row of a ticket's history."""

    who: str
    action: str
    note: str
    at: datetime


class Filter(BaseModel):
    """Which tickets to list."""

    statuses: list[str]
    user_id: str | None = None
    assignee: str | None = None
    priority: str | None = None
    overdue: bool = False
    limit: int = 50


class Desk:
    """The staff's view of all tickets."""

    def __init__(self, connection: Any) -> None:
        self._db = connection

    async def find(self, wanted: Filter) -> list[StaffTicket]:
        """The tickets wanted, the one that is due first at the top."""
        rows = await self._db.fetch(
            _LIST,
            wanted.statuses,
            wanted.user_id,
            wanted.assignee,
            wanted.priority,
            wanted.overdue,
            wanted.limit,
        )
        return [StaffTicket.model_validate(dict(row)) for row in rows]

    async def show(self, ticket_id: str) -> StaffTicket:
        row = await self._db.fetchrow(_SHOW, ticket_id)
        if row is None:
            raise Declined(f"no such ticket: {ticket_id}")
        return StaffTicket.model_validate(dict(row))

    async def history(self, ticket_id: str) -> list[Event]:
        return [Event.model_validate(dict(row)) for row in await self._db.fetch(_HISTORY, ticket_id)]

    async def undelivered(self, user_id: str | None, limit: int) -> list[KeptNotification]:
        """The notifications that were not delivered, the oldest first."""
        rows = await self._db.fetch(_UNDELIVERED, user_id, limit)
        return [KeptNotification.model_validate(dict(row)) for row in rows]

    async def count_undelivered(self, user_id: str | None = None) -> int:
        return await self._db.fetchval(_COUNT_UNDELIVERED, user_id)


@asynccontextmanager
async def open_desk(url: str, password: str = "") -> AsyncGenerator[Desk]:
    """A desk on a connection of its own; fails at once where a service would wait."""
    connection = await connect(
        url,
        password,
        command_seconds=_TIMEOUT_SECONDS,
        search_path=SCHEMA,
        application_name="switchboard-tickets-staff",
    )
    try:
        yield Desk(connection)
    finally:
        await connection.close(timeout=_TIMEOUT_SECONDS)
