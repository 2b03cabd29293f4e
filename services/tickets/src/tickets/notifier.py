"""Notifications: one signed webhook for each change, delivered at least once (https://www.standardwebhooks.com).

The message id stays the same through every attempt, so a receiver that remembers ids sees each message once. What the
receiver will not take is kept in the database (`undelivered.py`) until somebody has it sent again (`resender.py`).
"""

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
from runtime.errors import TryAgain
from runtime.retries import RETRY_UNTIL_DONE
from runtime.steps import Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live
from runtime.telemetry.tracing import TRACEPARENT, Span, Trace, spans_sent, trace_of
from tickets.notification import Notification, Reason
from tickets.resender import Noted, look_soon
from tickets.signals import TABLE
from tickets.undelivered import Undelivered

ATTEMPT_TIMEOUT = aiohttp.ClientTimeout(total=10)
CANCELLED = 409
_TRY_AGAIN = {408, 425, 429}

POST, KEEP, CLOSE = "post webhook", "keep what was not delivered", "note that it was delivered"

log = get_logger(__name__)

_attempts = TABLE.counter("switchboard_notification_attempts_total")
_delay = TABLE.histogram("switchboard_notification_delay_seconds")
for _outcome in ("delivered", "refused", "failed"):
    _attempts.labels(_outcome)


class NotDelivered(TryAgain):
    """An attempt failed in a way that another one may mend; the text never holds the URL, which may hold a token."""


class Posted(BaseModel):
    """How a delivery ended, as the journal has it: the receiver's last word, when, and what it took."""

    ended_at: float
    status: int | None = None
    attempts: int | None = None
    error: Literal[""] | Reason = ""

    @property
    def problem(self) -> str:
        problems = {"no_webhook": "WEBHOOK_URL is not set", "cancelled": "cancelled"}
        return problems.get(self.error, f"the receiver refused the message: status {self.status}")

    def final(self) -> TerminalError:
        """How a delivery ends that came to nothing; a cancelled one ends as cancelled."""
        statuses = {"no_webhook": 503, "cancelled": CANCELLED}
        return TerminalError(self.problem, status_code=statuses.get(self.error, 502))


Post = Callable[[Notification], Awaitable[int]]
"""Posts one notification, returns the receiver's status; raises `NotDelivered` when there was no reply."""


def send(ctx: restate.Context, notification: Notification, traceparent: str) -> None:
    """Hand it to Restate, which delivers it to the notifier whatever happens to the sender."""
    body = notification.model_dump_json().encode()
    ctx.generic_send("Notifier", "deliver", body, headers=passed_on(ctx) | {TRACEPARENT: traceparent})


def webhook_post(http: aiohttp.ClientSession, url: str, secret: str) -> Post:
    signer = Webhook(secret)

    async def post(notification: Notification) -> int:
        body = notification.body()
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


def notifier(post: Post | None, undelivered: Undelivered) -> restate.Service:
    """The service that delivers. Without `post` (no URL is set any more) what was still on its way is kept."""
    service = restate.Service(
        "Notifier",
        description="Delivers webhooks, signed as Standard Webhooks says",
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )
    until_answered = RunOptions[Posted](
        initial_retry_interval=timedelta(seconds=1), retry_interval_factor=2, max_retry_interval=timedelta(minutes=1)
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

    async def keep(notification: Notification, reason: Reason, status: int | None) -> Noted:
        await undelivered.keep(notification, reason, status)
        return Noted()

    async def close(notification: Notification) -> Noted:
        await undelivered.delivered(notification)
        return Noted()

    @service.handler(input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def deliver(ctx: restate.Context, notification: Notification) -> None:  # pyright: ignore[reportUnusedFunction]
        """Post one notification until the receiver takes it; what it refuses is kept for the staff."""
        trace = trace_of(ctx)
        facts = {"message_id": notification.message_id, "ticket_id": notification.data.ticket_id}
        try:
            posted = await ctx.run_typed(POST, attempt, until_answered, trace.invocation, notification)
        except TerminalError:  # somebody cancelled it; the action itself raises none
            posted = Posted(ended_at=await ctx.time(), error="cancelled")
        if posted.error != "cancelled":
            tell(trace, notification, posted)
            await spans_sent()
        if posted.error:
            await ctx.run_typed(KEEP, keep, RunOptions(), notification, posted.error, posted.status)
            look_soon(ctx)
            log.error("notification_not_delivered", extra=facts | {"reason": posted.problem})
            raise posted.final()
        if notification.resends:
            await ctx.run_typed(CLOSE, close, RunOptions(), notification)
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
    """The span of the delivery: from the change on, whatever number of attempts and processes it took."""
    attributes: dict[str, str | int] = {
        "switchboard.invocation": trace.invocation,
        "messaging.message.id": notification.message_id,
    }
    if posted.status is not None and posted.attempts is not None:
        attributes |= {"http.response.status_code": posted.status, "switchboard.attempts": posted.attempts}
    started_at = notification.timestamp.timestamp()
    trace.emit(Span("Notifier/deliver", started_at, posted.ended_at, attributes, "client", posted.error))
