"""What is told of a call that a person had to decide: to the model, and to the customer."""

import json
from typing import Any

from contracts import ApprovalOutcome, ApprovalState, ApprovalStatus
from router.approval.asking import Asked
from router.approval.settled import Settled
from router.turn import Plan, Result

TOLD_CHARACTERS = 2000
"""Of what came of a call, when a later run is told of it."""

DENIED = "a person said no, and it was not done; tell the customer why, and do not try it another way"
EXPIRED = "nobody approved it in time, so it was not run; ask again if it is still needed"
WITHDRAWN = "it was called off before anybody decided, and was not run"
EDITED = "a person changed the call before saying yes: it was made with these arguments instead"


def for_model(plan: Plan, status: ApprovalStatus, state: ApprovalState, made: Result | None) -> Result:
    """What the model reads. `made` is what came of the call, if it was made."""
    if made is not None:
        if status == "edited" and made.fault != "forbidden":
            told: dict[str, Any] = {"edited": EDITED, "arguments": json.loads(state.arguments)}
            made.content = json.dumps(told | json.loads(made.content), ensure_ascii=False)
        return made
    result = Result(call_id=plan.call_id, tool=plan.tool, status="error", content="", fault="refused")
    if status == "denied":
        result.status, told = "denied", {"status": "denied", "error": DENIED, "reason": state.reason}
    elif status == "expired":
        result.fault, told = "timeout", {"status": "expired", "error": EXPIRED}
    else:
        told = {"status": "withdrawn", "error": WITHDRAWN}
    result.content = json.dumps(told, ensure_ascii=False)
    return result


def outcome(asked: Asked, settled: Settled, state: ApprovalState, *, left: bool) -> ApprovalOutcome:
    """What the conversation is told of a call whose run waits for it no longer."""
    plan, result = asked.plan, settled.result
    done = settled.approval in ("approved", "edited") and result.status == "ok"
    content = result.content
    if len(content) > TOLD_CHARACTERS:
        content = f"{content[:TOLD_CHARACTERS]}… [cut]"
    return ApprovalOutcome(
        approval_id=plan.approval.approval_id if plan.approval else "",
        run=asked.of or asked.run,
        tool=plan.tool,
        task_id=plan.task_id,
        status=settled.approval,
        done=done,
        text=for_customer(plan.tool, settled.approval, state.reason, done=done),
        told=f"what came of {plan.tool} ({plan.task_id}), for which a person had to decide: {content}",
        left=left,
    )


def for_customer(tool: str, status: ApprovalStatus, reason: str, *, done: bool) -> str:
    """The same in plain words, without arguments and results."""
    what = f"“{tool.replace('_', ' ')}”"
    if status in ("approved", "edited"):
        changed = ", with changes" if status == "edited" else ""
        became = "and it was done" if done else "but it could not be done"
        return f"A person has approved {what}{changed}, {became}."
    if status == "denied":
        return f"A person has not approved {what}, so it was not done. They say: {reason}"
    if status == "expired":
        return f"{what} was not approved in time, so it was not done. Ask again if you still need it."
    return f"{what} was called off, so it was not done."
