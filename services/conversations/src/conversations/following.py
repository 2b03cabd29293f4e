"""Whoever starts a run by a send learns nothing of its end but what it reports. A run that is killed reports nothing:
so each is followed, and its end is reported for it."""

from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import Context, TerminalError
from restate.serde import BytesSerde

from contracts import RunReport
from runtime.checked import RAW, checked
from runtime.retries import RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.logs import get_logger

LOST = "I cannot answer right now. The people who run this service have been told."

log = get_logger(__name__)


class Followed(BaseModel):
    """A run, and the invocation that it is."""

    conversation: str
    run: str
    epoch: int
    invocation: str


class Noted(BaseModel):
    """Done; there is nothing to tell."""


conversation_runs = restate.Service(
    "ConversationRuns",
    description="Follows the runs of conversations, so that none ends unseen",
    inactivity_timeout=timedelta(seconds=1),  # while it waits it holds no slot
    abort_timeout=ABORT_TIMEOUT,
    journal_retention=timedelta(0),
    ingress_private=True,
    invocation_retry_policy=RETRY_UNTIL_DONE,
)


@conversation_runs.handler(input_serde=RAW, metadata={"switchboard.deadline": "none"})
@checked
async def follow(ctx: Context, followed: Followed) -> Noted:
    """Wait until a run is over. One that has ended in an error has not reported itself."""
    try:
        await ctx.attach_invocation(followed.invocation, serde=BytesSerde())
    except TerminalError as error:
        log.warning("conversation_run_lost", extra={"status": error.status_code})
        report = RunReport(run=followed.run, epoch=followed.epoch, outcome="failed", text=LOST)
        ctx.generic_send("Conversation", "finished", report.model_dump_json().encode(), key=followed.conversation)
    return Noted()
