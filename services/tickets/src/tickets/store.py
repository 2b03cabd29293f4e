"""The tickets of one caller in PostgreSQL: the only SQL of the services (the staff's stands in staff.py)."""

import hashlib
from pathlib import Path

from runtime.errors import Refused
from runtime.postgres import Pool, caller_transaction
from tickets.model import CreateSupportTicket, Ticket, TicketDetails
from tickets.rules import SLA, categorize, prioritize

SCHEMA = "tickets"
MIGRATIONS = Path(__file__).parent / "migrations"

_TICKET = "ticket_id, subject, category, priority, status, created_at, sla_due_at"

_INSERT = f"""
WITH made AS (
    INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at, prompt)
    VALUES ($1, $2, $3, $4, $5, $6, now() + $7, nullif($9, ''))
    ON CONFLICT (workflow_key) DO NOTHING
    RETURNING {_TICKET}
), noted AS (
    INSERT INTO audit (ticket_id, who, action, args_hash) SELECT ticket_id, $2, 'create', $8 FROM made
)
SELECT * FROM made
"""  # noqa: S608
_BY_KEY = f"SELECT {_TICKET} FROM tickets WHERE workflow_key = $1"  # noqa: S608
_OF_USER = f"SELECT {_TICKET} FROM tickets ORDER BY number DESC LIMIT $1"  # noqa: S608
_BY_ID = f"SELECT {_TICKET}, description, updated_at FROM tickets WHERE ticket_id = $1"  # noqa: S608


class TicketStore:
    """Each method is one transaction that sees the rows of its caller alone."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, caller: str, workflow_key: str, new: CreateSupportTicket, prompt: str = "") -> Ticket:
        """The ticket of this workflow: made with its audit row by the first call, read by every repeat.

        `prompt` is the digest of the agent's system prompt, if it was the agent that asked.
        """
        text = f"{new.subject}\n{new.description}"
        category = categorize(text, new.category)
        priority = prioritize(text, category, new.urgency)
        async with caller_transaction(self._pool, caller) as db:
            row = await db.fetchrow(
                _INSERT,
                workflow_key,
                new.user_id,
                new.subject,
                new.description,
                category,
                priority,
                SLA[priority],
                args_hash(new.model_dump_json()),
                prompt,
            ) or await db.fetchrow(_BY_KEY, workflow_key)
        if row is None:
            raise Refused(422, "key_taken", "this workflow key belongs to another caller")
        return Ticket.model_validate(dict(row))

    async def of_caller(self, caller: str, limit: int) -> list[Ticket]:
        async with caller_transaction(self._pool, caller) as db:
            return [Ticket.model_validate(dict(row)) for row in await db.fetch(_OF_USER, limit)]

    async def get(self, caller: str, ticket_id: str) -> TicketDetails | None:
        async with caller_transaction(self._pool, caller) as db:
            row = await db.fetchrow(_BY_ID, ticket_id)
        return None if row is None else TicketDetails.model_validate(dict(row))


def args_hash(arguments: str) -> str:
    """What an audit row keeps of the arguments: enough to prove them, nothing to leak."""
    return hashlib.sha256(arguments.encode()).hexdigest()
