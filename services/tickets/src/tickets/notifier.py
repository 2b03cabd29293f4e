"""Notifications: one signed webhook for each new ticket, delivered at least once (https://www.standardwebhooks.com).

The message id stays the same through every attempt, so a receiver that remembers ids sees each message once.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import aiohttp
import restate
from pydantic import BaseModel
from restate import RunOptions, TerminalError
from standardwebhooks import Webhook

from runtime.checked import RAW, checked
from runtime.logs import get_logger
from runtime.serving import RETRY
from tickets.model import Ticket
from tickets.rules import Category, Priority

ATTEMPT_TIMEOUT = aiohttp.ClientTimeout(total=10)
GIVE_UP_AFTER = timedelta(hours=23)
DEADLINE_SECONDS = "86400"
"""Of the whole invocation, for the registry, which ends what runs longer; giving up by ourselves comes first."""

_TRY_AGAIN = {408, 425, 429}

log = get_logger(__name__)


class TicketCreated(BaseModel):
    """What the receiver reads about the ticket; not the customer's text, which the staff read in the ticket itself."""

    ticket_id: str
    user_id: str
    subject: str
    category: Category
    priority: Priority
    sla_due_at: datetime


class Notification(BaseModel):
    """One message: its id (header `webhook-id`), and its body."""

    message_id: str
    type: Literal["ticket.created"] = "ticket.created"
    timestamp: datetime
    data: TicketCreated


class NotDelivered(Exception):
    """An attempt failed in a way that another one may mend; the text never holds the URL, which may hold a token."""


Post = Callable[[Notification], Awaitable[int]]
"""Posts one notification, returns the receiver's status; raises `NotDelivered` when there was no reply."""


def ticket_created(workflow_key: str, user_id: str, ticket: Ticket) -> Notification:
    """The notification of a new ticket; its id follows from the workflow's key, so a repeat makes the same one."""
    return Notification(
        message_id=f"msg_{hashlib.sha256(workflow_key.encode()).hexdigest()[:32]}",
        timestamp=ticket.created_at,
        data=TicketCreated(user_id=user_id, **ticket.model_dump(exclude={"status", "created_at"})),
    )


def send(ctx: restate.Context, notification: Notification) -> None:
    """Hand it to Restate, which delivers it to the notifier whatever happens to the sender."""
    ctx.generic_send("Notifier", "deliver", notification.model_dump_json().encode())


def webhook_post(http: aiohttp.ClientSession, url: str, secret: str) -> Post:
    signer = Webhook(secret)

    async def post(notification: Notification) -> int:
        body = notification.model_dump_json(exclude={"message_id"})
        sent_at = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": notification.message_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": signer.sign(notification.message_id, sent_at, body),
        }
        try:
            async with http.post(
                url, data=body, headers=headers, timeout=ATTEMPT_TIMEOUT, allow_redirects=False
            ) as reply:
                return reply.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotDelivered(type(error).__name__) from None

    return post


def notifier(post: Post | None) -> restate.Service:
    """The service that delivers. Without `post` (no URL is set any more) what was still on its way is dropped."""
    service = restate.Service(
        "Notifier",
        description="Delivers webhooks, signed as Standard Webhooks says",
        ingress_private=True,
        invocation_retry_policy=RETRY,
    )
    until_delivered = RunOptions[int](
        initial_retry_interval=timedelta(seconds=1),
        retry_interval_factor=2,
        max_retry_interval=timedelta(minutes=5),
        max_duration=GIVE_UP_AFTER,
    )

    async def attempt(notification: Notification) -> int:
        if post is None:
            raise TerminalError("WEBHOOK_URL is not set", status_code=503)
        status = await post(notification)
        if status >= 500 or status in _TRY_AGAIN:
            raise NotDelivered(f"status {status}")
        if not 200 <= status < 300:
            raise TerminalError(f"the receiver refused the message: status {status}", status_code=502)
        return status

    @service.handler(input_serde=RAW, metadata={"switchboard.deadline": DEADLINE_SECONDS})
    @checked
    async def deliver(ctx: restate.Context, notification: Notification) -> None:  # pyright: ignore[reportUnusedFunction]
        """Post one notification until the receiver takes or refuses it; gives up after a day."""
        facts = {"message_id": notification.message_id, "ticket_id": notification.data.ticket_id}
        try:
            await ctx.run_typed("post webhook", attempt, until_delivered, notification)
        except TerminalError as error:
            log.error("notification_not_delivered", extra=facts | {"reason": error.message})
            raise
        log.info("notification_delivered", extra=facts)

    return service
