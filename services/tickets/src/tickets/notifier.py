"""Notifications: one signed webhook for each new ticket, delivered at least once (https://www.standardwebhooks.com).

The message id stays the same through every attempt, so a receiver that remembers ids sees each message once.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import aiohttp
import restate
from pydantic import BaseModel
from restate import RunOptions, TerminalError
from standardwebhooks import Webhook

from runtime.caller import passed_on
from runtime.checked import RAW, checked
from runtime.serving import RETRY
from runtime.steps import Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live
from runtime.telemetry.tracing import TRACEPARENT, Span, Trace, spans_sent, trace_of
from tickets.model import Ticket
from tickets.rules import Category, Priority
from tickets.signals import TABLE

ATTEMPT_TIMEOUT = aiohttp.ClientTimeout(total=10)
GIVE_UP_AFTER = timedelta(hours=23)
DEADLINE_SECONDS = "86400"
"""Of the whole invocation, for the registry, which ends what runs longer; giving up by ourselves comes first."""

CANCELLED = 409
_TRY_AGAIN = {408, 425, 429}

POST = "post webhook"

log = get_logger(__name__)

_attempts = TABLE.counter("switchboard_notification_attempts_total")
_delay = TABLE.histogram("switchboard_notification_delay_seconds")
for _outcome in ("delivered", "refused", "failed"):
    _attempts.labels(_outcome)


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


class Posted(BaseModel):
    """How a delivery ended, as the journal has it: the receiver's last word, when, and what it took."""

    ended_at: float
    status: int | None = None
    attempts: int | None = None
    error: Literal["", "refused", "no_webhook", "gave_up"] = ""

    @property
    def problem(self) -> str:
        return f"the receiver refused the message: status {self.status}" if self.status else "WEBHOOK_URL is not set"


Post = Callable[[Notification], Awaitable[int]]
"""Posts one notification, returns the receiver's status; raises `NotDelivered` when there was no reply."""


def ticket_created(workflow_key: str, user_id: str, ticket: Ticket) -> Notification:
    """The notification of a new ticket; its id follows from the workflow's key, so a repeat makes the same one."""
    return Notification(
        message_id=f"msg_{hashlib.sha256(workflow_key.encode()).hexdigest()[:32]}",
        timestamp=ticket.created_at,
        data=TicketCreated(user_id=user_id, **ticket.model_dump(exclude={"status", "created_at"})),
    )


def send(ctx: restate.Context, notification: Notification, traceparent: str) -> None:
    """Hand it to Restate, which delivers it to the notifier whatever happens to the sender."""
    body = notification.model_dump_json().encode()
    ctx.generic_send("Notifier", "deliver", body, headers=passed_on(ctx) | {TRACEPARENT: traceparent})


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
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a text of theirs may hold the URL
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
    until_delivered = RunOptions[Posted](
        initial_retry_interval=timedelta(seconds=1),
        retry_interval_factor=2,
        max_retry_interval=timedelta(minutes=5),
        max_duration=GIVE_UP_AFTER,
    )
    attempts = Attempts()

    async def attempt(invocation: str, notification: Notification) -> Posted:
        if post is None:
            return Posted(ended_at=time.time(), error="no_webhook")
        step = (invocation, POST)
        number = attempts.begin(step).number
        status = await post_once(post, notification)
        attempts.forget(step)
        error = "" if is_delivered(status) else "refused"
        return Posted(ended_at=time.time(), status=status, attempts=number, error=error)

    @service.handler(input_serde=RAW, metadata={"switchboard.deadline": DEADLINE_SECONDS})
    @checked
    async def deliver(ctx: restate.Context, notification: Notification) -> None:  # pyright: ignore[reportUnusedFunction]
        """Post one notification until the receiver takes or refuses it; gives up after a day."""
        trace = trace_of(ctx)
        facts = {"message_id": notification.message_id, "ticket_id": notification.data.ticket_id}
        try:
            posted = await ctx.run_typed(POST, attempt, until_delivered, trace.invocation, notification)
        except TerminalError as error:
            reason = "cancelled" if error.status_code == CANCELLED else "gave up"
            log.error("notification_not_delivered", extra=facts | {"reason": reason})
            if error.status_code != CANCELLED:
                tell(trace, notification, Posted(ended_at=await ctx.time(), error="gave_up"))
                await spans_sent()
            raise
        tell(trace, notification, posted)
        await spans_sent()
        if posted.error:
            log.error("notification_not_delivered", extra=facts | {"reason": posted.problem})
            raise TerminalError(posted.problem, status_code=502 if posted.status else 503)
        if is_live():
            _delay.observe(max(0.0, posted.ended_at - notification.timestamp.timestamp()))
        log.info("notification_delivered", extra=facts)

    return service


async def post_once(post: Post, notification: Notification) -> int:
    """The receiver's final word; raises `NotDelivered` when another attempt may get a better one."""
    try:
        status = await post(notification)
        if status >= 500 or status in _TRY_AGAIN:
            raise NotDelivered(f"status {status}")
    except NotDelivered:
        _attempts.labels("failed").inc()
        raise
    _attempts.labels("delivered" if is_delivered(status) else "refused").inc()
    return status


def is_delivered(status: int) -> bool:
    return 200 <= status < 300


def tell(trace: Trace, notification: Notification, posted: Posted) -> None:
    """The span of the delivery: from the ticket's creation on, whatever number of attempts and processes it took."""
    attributes: dict[str, str | int] = {
        "switchboard.invocation": trace.invocation,
        "messaging.message.id": notification.message_id,
    }
    if posted.status is not None and posted.attempts is not None:
        attributes |= {"http.response.status_code": posted.status, "switchboard.attempts": posted.attempts}
    started_at = notification.timestamp.timestamp()
    trace.emit(Span("Notifier/deliver", started_at, posted.ended_at, attributes, "client", posted.error))
