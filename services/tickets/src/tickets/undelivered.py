"""Notifications that were not delivered, kept in PostgreSQL. A repeated change changes nothing."""

from typing import NamedTuple

from runtime.postgres import Pool, caller_transaction
from tickets.notification import Notification, Reason

_KEEP = """
INSERT INTO notifications (message_id, ticket_id, user_id, message, reason, status, resends)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (message_id) DO UPDATE
SET state = 'refused', reason = $5, status = $6, resends = $7, changed_at = now()
WHERE (notifications.resends = $7 AND notifications.state = 'sending')
   OR (notifications.resends < $7 AND notifications.state <> 'delivered')
"""
_SENT = """
UPDATE notifications SET state = 'sending', resends = $2, changed_at = now()
WHERE message_id = $1 AND resends = $2 - 1 AND state = 'wanted'
"""
_DELIVERED = """
UPDATE notifications SET state = 'delivered', resends = greatest(resends, $2), changed_at = now()
WHERE message_id = $1 AND state <> 'delivered'
"""
_WANTED = "SELECT message_id, user_id FROM wanted_notifications($1)"
_MESSAGE = "SELECT message, resends FROM notifications WHERE message_id = $1 AND state = 'wanted'"
_ARE_LEFT = "SELECT EXISTS (SELECT FROM notification_counts())"


class Found(NamedTuple):
    """What the staff want to be sent again, and whether anything is undelivered at all."""

    wanted: list[Notification]
    left: bool


class Undelivered:
    """What is kept, in transactions that see the rows of the notification's customer alone."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, notification: Notification, reason: Reason, status: int | None) -> None:
        """This sending came to nothing."""
        data = notification.data
        async with caller_transaction(self._pool, data.user_id) as db:
            await db.execute(
                _KEEP,
                notification.message_id,
                data.ticket_id,
                data.user_id,
                notification.model_dump_json(exclude={"resends"}),
                reason,
                status,
                notification.resends,
            )

    async def delivered(self, notification: Notification) -> None:
        """The receiver took it."""
        async with caller_transaction(self._pool, notification.data.user_id) as db:
            await db.execute(_DELIVERED, notification.message_id, notification.resends)

    async def sent(self, notification: Notification) -> None:
        """This sending is Restate's."""
        async with caller_transaction(self._pool, notification.data.user_id) as db:
            await db.execute(_SENT, notification.message_id, notification.resends)

    async def find(self, most: int) -> Found:
        """What is wanted, each as its next sending."""
        async with caller_transaction(self._pool, "") as db:
            rows = await db.fetch(_WANTED, most)
            left = await db.fetchval(_ARE_LEFT)
        wanted = [await self._next_sending(row["message_id"], row["user_id"]) for row in rows]
        return Found([notification for notification in wanted if notification], left)

    async def _next_sending(self, message_id: str, user_id: str) -> Notification | None:
        async with caller_transaction(self._pool, user_id) as db:
            row = await db.fetchrow(_MESSAGE, message_id)
        if row is None:  # the staff have changed their mind
            return None
        kept = Notification.model_validate_json(row["message"])
        return kept.model_copy(update={"resends": row["resends"] + 1})
