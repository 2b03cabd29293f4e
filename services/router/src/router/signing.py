"""What tells a tool for whom it is called: a token for each call, made with its plan and journaled with it."""

from router.run import must_end_at
from router.turn import Begun, Plan
from runtime.call_tokens import CallClaims, CallSigner

GRACE_SECONDS = 60
"""A call is made before its run ends; this much later Restate has surely accepted it."""


def sign_plan(signer: CallSigner, plan: Plan, run_id: str, begun: Begun, seconds_left: float) -> None:
    """Give the plan of a remote call its token."""
    if plan.service:
        now = must_end_at(begun) - seconds_left
        plan.token = signer.sign(_claims(plan.service, plan.call_id, run_id, begun, now))


def sign_customer_check(signer: CallSigner, run_id: str, begun: Begun) -> None:
    """Give the question whether there is such a customer its token, if it has to be asked."""
    if begun.check_customer:
        service = begun.check_customer.split("/")[0]
        begun.check_token = signer.sign(_claims(service, "check_customer", run_id, begun, begun.started_at))


def _claims(service: str, call: str, run_id: str, begun: Begun, now: float) -> CallClaims:
    until = max(must_end_at(begun), now) + GRACE_SECONDS
    return CallClaims(
        sub=begun.caller.user_id,
        run=run_id,
        call=call,
        conversation=begun.conversation,
        aud=service,
        iat=int(now),
        exp=int(until),
    )
