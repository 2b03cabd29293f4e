"""Undoing what a run did: of each effect that was noted (`calls/noting.py`) the handler that its tool names for this is
called, with the effect's own key and arguments.

It must be a handler that does no harm when it is called again, or when the effect was never made; one that is called
before the effect has to keep it from being made later.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import restate
from pydantic import BaseModel
from restate import Context, RunOptions, TerminalError
from restate.serde import BytesSerde

from contracts import Undo, Undone, UndoWanted
from router.apart import Target
from router.signals import TABLE
from router.signing import Signed, sign_now
from router.transcript import cut_words
from runtime.call_tokens import TOKEN_HEADER, CallSigner
from runtime.caller import CALL_HEADER, RUN_HEADER
from runtime.checked import RAW, checked_own
from runtime.retries import RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live

_undone = TABLE.counter("switchboard_undone_total")
for _status in ("undone", "not_undone"):
    _undone.labels(_status)

log = get_logger(__name__)


class AllTried(BaseModel):
    """What became of each has been told to the conversation."""


def router_undo(signer: CallSigner) -> restate.Service:
    service = restate.Service(
        "RouterUndo",
        description="Undoes what a run of a conversation did",
        inactivity_timeout=timedelta(seconds=1),  # while it waits it holds no slot
        abort_timeout=ABORT_TIMEOUT,
        journal_retention=timedelta(hours=1),
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )

    @service.handler("run", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked_own
    async def run(ctx: Context, wanted: UndoWanted) -> AllTried:  # pyright: ignore[reportUnusedFunction]
        """Undo these effects, one after the other, and tell the conversation of each what became of it."""
        for undo in wanted.effects:
            about = (undo.service, undo.call, undo.run_id, wanted.caller, wanted.conversation)
            token = (await ctx.run_typed("sign", partial(sign_now, signer), RunOptions(type_hint=Signed), *about)).token
            undone = Undone(run=wanted.run, change=wanted.change, call=undo.call, tool=undo.tool, status="undone")
            try:
                await _call(ctx, undo, {TOKEN_HEADER: token, RUN_HEADER: undo.run_id, CALL_HEADER: undo.call})
            except TerminalError as error:
                undone.status, undone.why = "not_undone", cut_words(error.message)
            _tell(ctx, wanted, undone)
        return AllTried()

    return service


async def _call(ctx: Context, undo: Undo, headers: Mapping[str, str]) -> None:
    """Sent, not called: it is made even if this invocation is ended. Raises: `TerminalError` as the tool does."""
    target = Target(service=undo.service, handler=undo.handler, key=undo.key, body=undo.body)
    way = target.apart("make") if undo.apart else (target.service, target.handler, target.body.encode(), target.key)
    sent = ctx.generic_send(*way, headers=dict(headers))
    await ctx.attach_invocation(await sent.invocation_id(), serde=BytesSerde())


def _tell(ctx: Context, wanted: UndoWanted, undone: Undone) -> None:
    ctx.generic_send("Conversation", "undone", undone.model_dump_json().encode(), key=wanted.conversation)
    if is_live():
        _undone.labels(undone.status).inc()
    if undone.status == "not_undone":
        log.error("not_undone", extra={"tool": undone.tool, "conversation": wanted.conversation})
