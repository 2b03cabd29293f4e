"""What a person is asked, and what the arguments of a call are to them: canonical JSON, so that what is shown, what is
approved and what is sent are the same bytes."""

import json
from typing import Any, cast

import rfc8785
from pydantic import BaseModel

from contracts import ApprovalState, Edited, Fitted, Proposal, Tool, digest_of
from router.offer import Offer, Unfit
from router.turn import Plan, RunFacts
from runtime.bounded import is_text

MESSAGE_CHARACTERS = 2000
"""Of what the customer had asked: a person is shown so much of it."""


class Unshowable(Exception):
    """Arguments that have no canonical form, such as a number that JSON readers round."""


class Asked(BaseModel):
    """A call that a person decides, with what has to be known to make it: a workflow keeps it until then.

    `run` is the invocation of the run that wants it, `of` and `epoch` name it in its conversation. `prompt` is the
    digest of what the model read. `at` is when it was planned, in seconds since the epoch.
    """

    plan: Plan
    facts: RunFacts
    run: str
    of: str = ""
    epoch: int = 0
    message: str = ""
    prompt: str = ""
    at: float = 0

    @property
    def is_traced(self) -> bool:
        return self.facts.traceparent is not None


def canonical(arguments: dict[str, Any]) -> str:
    """Raises: `Unshowable`."""
    try:
        return rfc8785.dumps(arguments).decode()
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as problem:
        raise Unshowable(str(problem)) from None


def prepare(plan: Plan, tool: Tool) -> None:
    """Make the plan of a call that a person decides exactly what that person is shown. Raises: `Unshowable`."""
    if plan.approval is None:
        return
    plan.body = canonical(json.loads(plan.body))
    plan.approval.parameters = json.dumps(tool.parameters)
    key = [tool.key.removeprefix("argument:")] if tool.key and tool.key.startswith("argument:") else []
    plan.approval.fixed = [*tool.bind, *key]


def approval_id(asked: Asked) -> str:
    return asked.plan.approval.approval_id if asked.plan.approval else ""


def proposal(asked: Asked, invocation: str) -> Proposal:
    """What is written down before anybody is asked."""
    plan, need, conversation = asked.plan, asked.plan.approval, asked.facts.conversation
    if need is None:
        raise LookupError("nobody has to decide this call")
    return Proposal(
        approval_id=need.approval_id,
        conversation=conversation or None,
        run=asked.of or asked.run,
        epoch=asked.epoch,
        call=plan.call_id,
        invocation=invocation,
        caller=asked.facts.caller,
        tool=plan.tool,
        arguments=plan.body,
        digest=digest_of(plan.body),
        fixed=need.fixed,
        parameters=need.parameters,
        message=asked.message[:MESSAGE_CHARACTERS],
        why=need.why,
        role=need.role,
        expires_in=asked.facts.limits.approval_seconds,
    )


def fitted(edited: Edited) -> Fitted:
    """Check what a person wrote as the model's own arguments are checked."""
    taken = sorted(edited.arguments.keys() & edited.fixed.keys())
    if taken:
        return Fitted(complaint=f"nobody may edit {', '.join(taken)}")
    if not is_text(edited.arguments):
        return Fitted(complaint="NUL characters and lone surrogates are not text")
    parameters = json.loads(edited.parameters)
    offered = {name: value for name, value in edited.fixed.items() if name in parameters.get("properties", {})}
    try:
        fitting = Offer(Tool(name="edited", parameters=parameters)).fitting(edited.arguments | offered)
        return Fitted(arguments=canonical(fitting | edited.fixed))
    except (Unfit, Unshowable) as complaint:
        return Fitted(complaint=str(complaint))


def may_be_made(asked: Asked, state: ApprovalState) -> bool:
    """Whether these are the arguments that were asked about, or an edit of them that leaves alone what nobody may edit.

    What was written down is compared with the journal once more: a call is made by both or not at all.
    """
    plan, need = asked.plan, asked.plan.approval
    if need is None or state.digest != digest_of(plan.body):
        return False
    if state.status == "approved":
        return state.arguments == plan.body
    if state.status != "edited":
        return False
    before, after = (cast(dict[str, Any], json.loads(text)) for text in (plan.body, state.arguments))
    return all(before.get(name) == after.get(name) for name in need.fixed)
