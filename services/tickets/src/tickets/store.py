"""The tickets of one caller in PostgreSQL: the only SQL of the services (the staff's stands in staff.py)."""

import hashlib
from pathlib import Path
from typing import Any, Literal

from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction
from tickets.life import Change, LifeRules, begun, usual
from tickets.model import CreateSupportTicket, CustomerMessage, MadeTicket, Ticket, TicketDetails
from tickets.rules import categorize, prioritize
from tickets.subjects import is_same

SCHEMA = "tickets"
MOST_MESSAGES = 50
"""The latest of a ticket, as its customer reads them."""
MIGRATIONS = Path(__file__).parent / "migrations"

DESCRIPTION = """
description || coalesce((
    SELECT string_agg(E'\\n\\n' || words, '' ORDER BY at) FROM additions WHERE additions.ticket_id = tickets.ticket_id
), '') AS description
"""
"""What was said of a ticket at first, and what was added later."""

_TICKET = "ticket_id, subject, category, priority, status, state, created_at, sla_due_at"

_INSERT = f"""
WITH made AS (
    INSERT INTO tickets (
        workflow_key, user_id, subject, description, category, priority, sla_due_at, prompt, conversation,
        clock_since, reply_due_at, solve_due_at, next_look_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($9, ''), nullif($10, ''), now(), $11, $7, $12)
    ON CONFLICT (workflow_key) DO NOTHING
    RETURNING {_TICKET}
), noted AS (
    INSERT INTO audit (ticket_id, who, action, args_hash) SELECT ticket_id, $2, 'create', $8 FROM made
)
SELECT * FROM made
"""  # noqa: S608
_NOW = "SELECT now()"
_BY_KEY = f"SELECT {_TICKET} FROM tickets WHERE workflow_key = $1"  # noqa: S608
_ALONE_IN_CONVERSATION = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_UNFINISHED = f"""
SELECT {_TICKET} FROM tickets
WHERE conversation = $1 AND status <> 'closed' AND workflow_key <> $2
ORDER BY number
"""  # noqa: S608
_ADD = """
WITH added AS (
    INSERT INTO additions (workflow_key, ticket_id, user_id, words) VALUES ($1, $2, $3, $4)
    ON CONFLICT (workflow_key) DO NOTHING
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash) SELECT ticket_id, $3, 'add', $5 FROM added
"""
_ADDED = f"""
SELECT {_TICKET} FROM tickets WHERE ticket_id = (SELECT ticket_id FROM additions WHERE workflow_key = $1)
"""  # noqa: S608
_OF_USER = f"SELECT {_TICKET} FROM tickets WHERE user_id = $2 ORDER BY number DESC LIMIT $1"  # noqa: S608
_BY_ID = f"SELECT {_TICKET}, {DESCRIPTION}, updated_at, merged_into FROM tickets WHERE ticket_id = $1"  # noqa: S608
_SAID = """
SELECT kind, words AS text, at FROM messages
WHERE kind <> 'note' AND ticket_id IN (
    SELECT $1 UNION ALL SELECT ticket_id FROM tickets WHERE merged_into = $1
) ORDER BY number
"""


class TicketStore:
    """Each method is one transaction that sees the rows of its caller alone."""

    def __init__(self, pool: Pool, rules: LifeRules | None = None) -> None:
        self._pool, self._rules = pool, rules or usual()

    async def insert(
        self, caller: str, workflow_key: str, new: CreateSupportTicket, prompt: str = "", conversation: str = ""
    ) -> MadeTicket:
        """The ticket of this workflow: made with its audit row by the first call, read by every repeat.

        `prompt` is the digest of the agent's system prompt, if it was the agent that asked. In a conversation that has
        an unfinished ticket about the same subject it is that one, and the words are added to it.
        """
        text = f"{new.subject}\n{new.description}"
        category = categorize(text, new.category)
        priority = prioritize(text, category, new.urgency)
        async with caller_transaction(self._pool, caller) as db:
            if conversation and (existing := await self._existing(db, workflow_key, new, conversation)):
                return existing
            begins = begun(caller, category, priority, await db.fetchval(_NOW))
            Change(begins, self._rules, begins.quiet_since).plan()
            row = await db.fetchrow(
                _INSERT,
                workflow_key,
                new.user_id,
                new.subject,
                new.description,
                category,
                priority,
                begins.solve_due_at,
                args_hash(new.model_dump_json()),
                prompt,
                conversation,
                begins.reply_due_at,
                begins.next_look_at,
            ) or await db.fetchrow(_BY_KEY, workflow_key)
        if row is None:
            raise Refused(422, "key_taken", "this workflow key belongs to another caller")
        return MadeTicket.model_validate(dict(row))

    async def _existing(
        self, db: Connection, workflow_key: str, new: CreateSupportTicket, conversation: str
    ) -> MadeTicket | None:
        """The ticket that the words are added to, if there is one; one workflow of a conversation after the other."""
        await db.execute(_ALONE_IN_CONVERSATION, conversation)
        row = await db.fetchrow(_ADDED, workflow_key)
        if row is None:
            if await db.fetchrow(_BY_KEY, workflow_key):
                return None
            unfinished = await db.fetch(_UNFINISHED, conversation, workflow_key)
            row = next((each for each in unfinished if is_same(each["subject"], new.subject)), None)
            if row is None:
                return None
            words = args_hash(new.model_dump_json())
            await db.execute(_ADD, workflow_key, row["ticket_id"], new.user_id, new.description, words)
        return MadeTicket.model_validate({**row, "existing": True})

    async def of_caller(self, caller: str, limit: int) -> list[Ticket]:
        async with caller_transaction(self._pool, caller) as db:
            return [Ticket.model_validate(dict(row)) for row in await db.fetch(_OF_USER, limit, caller)]

    async def get(self, caller: str, ticket_id: str) -> TicketDetails | None:
        async with caller_transaction(self._pool, caller) as db:
            row = await db.fetchrow(_BY_ID, ticket_id)
            said = [] if row is None else await db.fetch(_SAID, ticket_id)
        if row is None:
            return None
        messages = [_message(each) for each in said[-MOST_MESSAGES:]]
        return TicketDetails.model_validate({**row, "messages": messages})


def _message(row: Any) -> CustomerMessage:
    by: Literal["you", "support"] = "you" if row["kind"] == "answer" else "support"
    return CustomerMessage(by=by, text=row["text"], at=row["at"])


def args_hash(arguments: str) -> str:
    """What an audit row keeps of the arguments: enough to prove them, nothing to leak."""
    return hashlib.sha256(arguments.encode()).hexdigest()
