"""What members of staff decide about notifications that were not delivered: to send them again, or to drop them.

What a decision is about is read first and journaled, so that a repeat after a crash tells the same. It is made once for
each ticket, by the name of the act in its audit.
"""

from runtime.errors import Refused
from runtime.postgres import Pool
from tickets.changing import Act
from tickets.looking import by_staff, desk_transaction
from tickets.store import args_hash

MOST = 10_000
"""Tickets about which one decision is."""

_MAY_GO_AGAIN = "(state = 'refused' OR ($2 AND state = 'sending'))"
_REFUSED = f"""
SELECT DISTINCT ticket_id FROM notifications
WHERE ($1::text IS NULL OR ticket_id = $1) AND {_MAY_GO_AGAIN} ORDER BY ticket_id LIMIT {MOST}
"""  # noqa: S608
_STATE = "SELECT state FROM notifications WHERE ticket_id = $1 ORDER BY kept_at DESC LIMIT 1"
_RESEND = f"""
WITH changed AS (
    UPDATE notifications SET state = 'wanted', changed_at = now()
    WHERE ticket_id = ANY($1::text[]) AND {_MAY_GO_AGAIN}
      AND NOT EXISTS (SELECT FROM act_told($3 || '/' || ticket_id))
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash, act)
SELECT DISTINCT ticket_id, $4, 'resend', $5, $3 || '/' || ticket_id FROM changed
"""  # noqa: S608
_LEFT = "SELECT FROM notifications WHERE ticket_id = $1 AND state IN ('refused', 'wanted', 'sending')"
_DROP = """
WITH changed AS (
    UPDATE notifications SET state = 'dropped', changed_at = now()
    WHERE ticket_id = $1 AND state IN ('refused', 'wanted', 'sending')
    RETURNING ticket_id
)
INSERT INTO audit (ticket_id, who, action, args_hash, note, act)
SELECT DISTINCT ticket_id, $2, 'drop', $3, $4, $5 FROM changed
"""


class Deciding:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def to_send_again(self, ticket_id: str | None, again: bool, name: str) -> list[str]:
        """The tickets of which something can be sent again. Raises: `Refused` 409 if one was named, and it cannot."""
        async with desk_transaction(self._pool, by_staff(name)) as db:
            tickets = [row["ticket_id"] for row in await db.fetch(_REFUSED, ticket_id, again)]
            state = await db.fetchval(_STATE, ticket_id)
        if ticket_id and not tickets:
            raise _not_again(state)
        return tickets

    async def send_again(self, tickets: list[str], again: bool, by: Act) -> None:
        async with desk_transaction(self._pool, by_staff(by.who)) as db:
            await db.execute(_RESEND, tickets, again, by.name, by.who, args_hash(by.digest))

    async def to_drop(self, ticket_id: str, name: str) -> list[str]:
        """Raises: `Refused` 409 when nothing of it is undelivered."""
        async with desk_transaction(self._pool, by_staff(name)) as db:
            if await db.fetchrow(_LEFT, ticket_id) is None:
                raise _delivered()
        return [ticket_id]

    async def drop(self, ticket_id: str, note: str, by: Act) -> None:
        async with desk_transaction(self._pool, by_staff(by.who)) as db:
            await db.execute(_DROP, ticket_id, by.who, args_hash(by.digest), note, by.name)


def _not_again(state: str | None) -> Refused:
    if state == "sending":
        return Refused(409, "on_its_way", "its notification is on its way again")
    if state == "wanted":
        return Refused(409, "wanted_already", "its notification is going to be sent again already")
    return _delivered()


def _delivered() -> Refused:
    return Refused(409, "delivered", "no notification of it is undelivered")
