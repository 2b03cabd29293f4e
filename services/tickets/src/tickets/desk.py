"""What the support staff may do with a ticket: the only SQL of the staff command, run as the role `tickets_staff`.

Each change is one statement that compares, sets and writes its audit row, so two people never both win. Who did it
is the role that has logged in: a trigger writes it, whatever a statement says.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from runtime.postgres import connect
from tickets.model import Ticket
from tickets.store import DESCRIPTION, SCHEMA, args_hash

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

_ASSIGN = """
WITH changed AS (
    UPDATE tickets SET status = 'assigned', assignee = $2, updated_at = now()
    WHERE ticket_id = $1 AND status <> 'closed' AND (assignee IS NULL OR ($3 AND assignee <> $2))
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash, note)
SELECT ticket_id, session_user, 'assign', $4, $5 FROM changed
RETURNING ticket_id
"""
_CLOSE = """
WITH changed AS (
    UPDATE tickets SET status = 'closed', updated_at = now()
    WHERE ticket_id = $1 AND status <> 'closed'
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash, note) SELECT ticket_id, session_user, 'close', $2, $3 FROM changed
RETURNING ticket_id
"""

_LEFT = "state IN ('refused', 'wanted', 'sending') AND ($1::text IS NULL OR user_id = $1)"
_UNDELIVERED = f"""
SELECT ticket_id, state, reason, status, resends, kept_at FROM notifications WHERE {_LEFT} ORDER BY kept_at LIMIT $2
"""  # noqa: S608
_COUNT_UNDELIVERED = f"SELECT count(*) FROM notifications WHERE {_LEFT}"  # noqa: S608
_KEPT = "SELECT state FROM notifications WHERE ticket_id = $1 ORDER BY kept_at DESC LIMIT 1"
_RESEND = """
WITH changed AS (
    UPDATE notifications SET state = 'wanted', changed_at = now()
    WHERE ($1::text IS NULL OR ticket_id = $1) AND (state = 'refused' OR ($2 AND state = 'sending'))
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash) SELECT ticket_id, session_user, 'resend', $3 FROM changed
RETURNING ticket_id
"""
_DROP = """
WITH changed AS (
    UPDATE notifications SET state = 'dropped', changed_at = now()
    WHERE ticket_id = $1 AND state IN ('refused', 'wanted', 'sending')
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash, note) SELECT ticket_id, session_user, 'drop', $2, $3 FROM changed
RETURNING ticket_id
"""


class Declined(Exception):
    """The change was not made; the text tells the staff why."""


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

    async def assign(self, ticket_id: str, assignee: str, *, reassign: bool = False) -> None:
        """Give a ticket to somebody; takes it from somebody else only when told so."""
        digest = args_hash(f"assign {ticket_id} {assignee}")
        if await self._db.fetchval(_ASSIGN, ticket_id, assignee, reassign, digest, f"to {assignee}") is None:
            ticket = await self.show(ticket_id)
            if ticket.status == "closed":
                raise Declined(f"{ticket_id} is closed")
            if ticket.assignee == assignee:
                raise Declined(f"{ticket_id} is assigned to {assignee} already")
            raise Declined(f"{ticket_id} is assigned to {ticket.assignee}; --reassign gives it to somebody else")

    async def close(self, ticket_id: str, note: str = "") -> None:
        digest = args_hash(f"close {ticket_id} {note}")
        if await self._db.fetchval(_CLOSE, ticket_id, digest, note) is None:
            await self.show(ticket_id)
            raise Declined(f"{ticket_id} is closed already")

    async def undelivered(self, user_id: str | None, limit: int) -> list[KeptNotification]:
        """The notifications that were not delivered, the oldest first."""
        rows = await self._db.fetch(_UNDELIVERED, user_id, limit)
        return [KeptNotification.model_validate(dict(row)) for row in rows]

    async def count_undelivered(self, user_id: str | None = None) -> int:
        return await self._db.fetchval(_COUNT_UNDELIVERED, user_id)

    async def resend(self, ticket_id: str | None, *, again: bool = False) -> list[str]:
        """Have the notification of a ticket, or all of them, sent again; the tickets whose notifications will be."""
        digest = args_hash(f"resend {ticket_id or 'all'}")
        tickets = [row["ticket_id"] for row in await self._db.fetch(_RESEND, ticket_id, again, digest)]
        if ticket_id and not tickets:
            raise Declined(await self._why_not_again(ticket_id))
        return tickets

    async def drop(self, ticket_id: str, note: str = "") -> None:
        """Nobody needs the notification of this ticket any more."""
        digest = args_hash(f"drop {ticket_id} {note}")
        if await self._db.fetchval(_DROP, ticket_id, digest, note) is None:
            raise Declined(f"no notification of {ticket_id} is undelivered")

    async def _why_not_again(self, ticket_id: str) -> str:
        state = await self._db.fetchval(_KEPT, ticket_id)
        if state == "sending":
            return f"the notification of {ticket_id} is on its way again; --again sends it once more"
        if state == "wanted":
            return f"the notification of {ticket_id} is going to be sent again already"
        return f"no notification of {ticket_id} is undelivered"


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
