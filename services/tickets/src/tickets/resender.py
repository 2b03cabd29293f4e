"""Sends again what the staff want to be sent again.

`look` reads what they want, hands it to the notifier, and looks again after a pause, for as long as something is
undelivered; each notification that is refused begins it anew, and so does the word of a member of staff. What it hands
over is a new invocation, which Restate routes to the newest version: the one with the mended address.
"""

from datetime import timedelta

import restate
from pydantic import BaseModel, Field
from restate import RunOptions

from runtime.checked import RAW, checked
from runtime.retries import RETRY_UNTIL_DONE
from runtime.telemetry.logs import get_logger
from runtime.telemetry.tracing import untraced
from tickets.notification import Notification
from tickets.undelivered import Undelivered

RESENDER = "Resender"
PAUSE = timedelta(seconds=5)
AT_ONCE = 20
KEPT_FOR = timedelta(minutes=10)
"""How long Restate shows a look that has ended: there are many of them."""

READ, NOTE = "read what is wanted", "note what was sent"

log = get_logger(__name__)


class Look(BaseModel):
    """`number`: how many looks came before this one; None when a notification was refused or wanted just now."""

    number: int | None = None


class Wanted(BaseModel):
    """What one look found, as the journal has it."""

    notifications: list[Notification] = Field(default_factory=list[Notification])
    left: bool = False


class Noted(BaseModel):
    """A change in the database that has nothing to tell."""


def look_soon(ctx: restate.Context) -> None:
    """Something is undelivered from now on, or wanted again."""
    _plan(ctx, Look())


def resender(undelivered: Undelivered) -> restate.VirtualObject:
    """One object with one key, so that one look follows the other."""
    watching = restate.VirtualObject(
        RESENDER,
        description="Sends again the webhooks that the staff want to be sent again",
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
        journal_retention=KEPT_FOR,
    )

    async def read() -> Wanted:
        with untraced():  # no question asked for this
            found = await undelivered.find(AT_ONCE)
        return Wanted(notifications=found.wanted, left=found.left)

    async def note(sent: Wanted) -> Noted:
        with untraced():
            for notification in sent.notifications:
                await undelivered.sent(notification)
        return Noted()

    @watching.handler(input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def look(ctx: restate.ObjectContext, planned: Look) -> None:  # pyright: ignore[reportUnusedFunction]
        """Hand what is wanted to the notifier. A planned look that another one has overtaken does nothing."""
        before = await ctx.get("looks", type_hint=int) or 0
        if planned.number not in (None, before):
            return
        wanted = await ctx.run_typed(READ, read, RunOptions())
        for notification in wanted.notifications:
            await _hand_over(ctx, notification)
        if wanted.notifications:
            await ctx.run_typed(NOTE, note, RunOptions(), wanted)
        ctx.set("looks", before + 1)
        if wanted.left:
            _plan(ctx, Look(number=before + 1), PAUSE)

    return watching


async def _hand_over(ctx: restate.ObjectContext, notification: Notification) -> None:
    """Once for each resend; Restate has it when this returns, and only then may it be noted as sent."""
    sent = ctx.generic_send(
        "Notifier",
        "deliver",
        notification.model_dump_json().encode(),
        idempotency_key=f"{notification.message_id}:{notification.resends}",
    )
    await sent.invocation_id()
    about = {"message_id": notification.message_id, "ticket_id": notification.data.ticket_id}
    log.info("notification_sent_again", extra=about)


def _plan(ctx: restate.Context, look: Look, pause: timedelta | None = None) -> None:
    ctx.generic_send(RESENDER, "look", look.model_dump_json().encode(), key="all", send_delay=pause)
