"""What the handlers of `Conversation` work with, and how they act on what was decided."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import restate
from pydantic import BaseModel
from restate import Context, ObjectContext

from contracts import ApprovalWanted, Caller, ConversationRun
from conversations.control import Begins, Control, Decision, Stops
from conversations.erasing import Journals
from conversations.following import Followed, follow
from conversations.settings import ConversationSettings
from conversations.store import unknown_conversation
from conversations.undo_store import UndoStore
from runtime.acceptance import Acceptance
from runtime.checked import RAW
from runtime.errors import Refused
from runtime.proof import Asking, for_conversation, prove
from runtime.retries import RETRY_UNTIL_DONE
from runtime.steps import Attempts

STATE = "control"
MAX_ROLE_CHARACTERS = 1000
"""Of all roles of a caller, which stand in the state."""

_KEY = re.compile(r"conv_[A-Za-z0-9]{16,64}")


@dataclass(frozen=True)
class Parts:
    """What the object works with."""

    settings: ConversationSettings
    store: UndoStore
    acceptance: Acceptance
    journals: Journals


class Launch(BaseModel):
    """The time for more lines is over for the run of this epoch."""

    epoch: int


def until_done(service: restate.VirtualObject | restate.Service) -> Callable[..., Any]:
    """Declares a private handler of it whose work was accepted, so that it is tried until it is done."""
    return partial(
        service.handler,
        input_serde=RAW,
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
        metadata={"switchboard.deadline": "none"},
    )


async def act(ctx: ObjectContext, decision: Decision, given: ConversationRun | None, coalesce_ms: int = 0) -> None:
    """Send what was decided, and keep the new state."""
    control = decision.control
    for effect in decision.effects:
        if isinstance(effect, Stops) and effect.invocation:
            ctx.cancel_invocation(effect.invocation)
        elif isinstance(effect, Begins) and effect.gathering:
            due = Launch(epoch=effect.epoch).model_dump_json().encode()
            delay = timedelta(milliseconds=coalesce_ms)
            ctx.generic_send("Conversation", "begin", due, key=ctx.key(), send_delay=delay)
    if given is not None and control.active is not None:
        control.active.invocation = await _start(ctx, given)
    ctx.set(STATE, control)


async def _start(ctx: ObjectContext, given: ConversationRun) -> str:
    """The invocation of the run. Its key is told to nobody: whoever knows one can read a result at the ingress."""
    body = given.model_dump_json(exclude_defaults=True).encode()
    sent = ctx.generic_send("ToolRouter", "converse", body, idempotency_key=ctx.uuid().hex)
    invocation = await sent.invocation_id()
    ctx.service_send(follow, Followed(conversation=ctx.key(), run=given.run, epoch=given.epoch, invocation=invocation))
    return invocation


def wake(ctx: Context | ObjectContext, approval_id: str) -> None:
    """Have the call that waits for this approval look again how it stands."""
    body = ApprovalWanted(approval_id=approval_id).model_dump_json().encode()
    ctx.generic_send("ApprovedCall", "wake", body, key=approval_id)


def check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise Refused(422, "invalid_key", "the key of a conversation is conv_ and 16 to 64 random letters and digits")


async def caller_of(ctx: Any, asking: Asking, parts: Parts, attempts: Attempts) -> Caller:
    """Who asks. Raises: `Refused` 401 when the caller is not proven."""
    invocation = ctx.request().id
    read_at = attempts.begin((invocation, "caller")).first_started_at
    purpose, accepted_at = for_conversation(ctx.key()), partial(parts.acceptance.of, invocation)
    caller = await prove(asking, parts.settings, min(read_at, time.time()), accepted_at, purpose)
    attempts.forget((invocation, "caller"))
    if sum(map(len, caller.roles)) > MAX_ROLE_CHARACTERS:
        raise Refused(422, "too_many_roles", "the caller_token has more roles than a conversation holds")
    return caller


def check_owner(control: Control, caller: Caller) -> None:
    if control.owner is not None and control.owner.user_id != caller.user_id:
        raise unknown_conversation()


def expire_after(ctx: ObjectContext, seconds: float) -> None:
    ctx.generic_send("Conversation", "expire", b"{}", key=ctx.key(), send_delay=timedelta(seconds=seconds))
