"""What tells a tool for whom it is called: a token for each call, made with its plan and journaled with it."""

from contracts import Caller
from router.run import must_end_at
from router.turn import Begun, Plan
from runtime.call_tokens import CallClaims, CallSigner

GRACE_SECONDS = 60
"""A call is made before its run ends; this much later Restate has surely accepted it."""


def sign_plan(signer: CallSigner, plan: Plan, run_id: str, begun: Begun, seconds_left: float) -> None:
    """Give the plan of a remote call its token."""
    if plan.service:
        until = must_end_at(begun)
        about = (begun.caller, begun.conversation)
        plan.token = sign_call(signer, plan.service, plan.call_id, run_id, *about, until - seconds_left, until)


def sign_customer_check(signer: CallSigner, run_id: str, begun: Begun) -> None:
    """Give the question whether there is such a customer its token, if it has to be asked."""
    if begun.check_customer:
        service = begun.check_customer.split("/")[0]
        about = (begun.caller, begun.conversation, begun.started_at, must_end_at(begun))
        begun.check_token = sign_call(signer, service, "check_customer", run_id, *about)


def sign_call(
    signer: CallSigner,
    service: str,
    call: str,
    run_id: str,
    caller: Caller,
    conversation: str,
    now: float,
    until: float,
) -> str:
    """A token for one call of a service, which Restate will have accepted by `until`, in seconds since the epoch."""
    claims = CallClaims(
        sub=caller.user_id,
        run=run_id,
        call=call,
        conversation=conversation,
        aud=service,
        iat=int(now),
        exp=int(max(until, now) + GRACE_SECONDS),
    )
    return signer.sign(claims)
