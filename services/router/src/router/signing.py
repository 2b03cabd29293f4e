"""What tells a tool for whom it is called: a token for each call, made with its plan and journaled with it."""

import time

from pydantic import BaseModel

from contracts import Caller
from router.run import must_end_at
from router.turn import Plan, RunFacts
from runtime.call_tokens import CallClaims, CallSigner

GRACE_SECONDS = 60
"""A call is made before its run ends; this much later Restate has surely accepted it."""

ACCEPTED_WITHIN_SECONDS = 600
"""How long Restate may take to accept a call that is made by a workflow, not by a run with an end."""


class Signed(BaseModel):
    """The token of a call that is made now, and when that was. `switched_off`: it may not be made any more."""

    token: str
    at: float
    switched_off: bool = False


def sign_plan(
    signer: CallSigner,
    plan: Plan,
    run_id: str,
    facts: RunFacts,
    seconds_left: float,
    waited: float = 0.0,
    *,
    people: float = 0.0,
) -> None:
    """Give the plan of a remote call its token. `people`: so many seconds the calls before it may wait for a yes."""
    if plan.service and plan.approval is None:  # else it is made with the call, which may be a day later
        until = must_end_at(facts, waited)
        about = (facts.caller, facts.conversation, until - seconds_left, until + people)
        plan.token = sign_call(signer, plan.service, plan.call_id, run_id, *about)


def sign_customer_check(signer: CallSigner, run_id: str, facts: RunFacts) -> None:
    """Give the question whether there is such a customer its token, if it has to be asked."""
    if facts.check_customer:
        service = facts.check_customer.split("/")[0]
        about = (facts.caller, facts.conversation, facts.started_at, must_end_at(facts))
        facts.check_token = sign_call(signer, service, "check_customer", run_id, *about)


async def sign_now(
    signer: CallSigner, service: str, call: str, run_id: str, caller: Caller, conversation: str
) -> Signed:
    """The token of a call that belongs to no run's time, as a step; empty for a tool of the router's own."""
    at = time.time()
    about = (caller, conversation, at, at + ACCEPTED_WITHIN_SECONDS)
    return Signed(token=sign_call(signer, service, call, run_id, *about) if service else "", at=at)


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
