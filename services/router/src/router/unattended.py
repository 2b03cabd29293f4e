"""A ticket for a conversation to which no person came: made as the agent makes one, but without a model."""

import json
import time
from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import Context, RunOptions, TerminalError
from restate.exceptions import RetryableError
from restate.serde import BytesSerde

from contracts import TicketMade, TicketWanted
from router.calls.call import ticket_in
from router.catalogue import NoCatalogue, Offers
from router.names import Names
from router.plan import make_plans
from router.settings import RouterSettings
from router.signing import sign_call
from router.turn import Plan, WantedCall
from runtime.bounded import Unreadable, read
from runtime.call_tokens import TOKEN_HEADER, CallSigner
from runtime.caller import RUN_HEADER
from runtime.checked import RAW, checked
from runtime.retries import RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT
from runtime.telemetry.logs import get_logger

CATALOGUE_SECONDS = 10
ACCEPTED_WITHIN_SECONDS = 600
"""How long the token is good in which Restate has to accept the call."""

log = get_logger(__name__)


class Noted(BaseModel):
    """Done; there is nothing to tell."""


def ticket_for_people(settings: RouterSettings, offers: Offers, signer: CallSigner) -> restate.Service:
    service = restate.Service(
        "TicketForPeople",
        description="Makes the ticket of a conversation to which no person came",
        inactivity_timeout=timedelta(seconds=1),
        abort_timeout=ABORT_TIMEOUT,
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )

    @service.handler("make", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def make(ctx: Context, wanted: TicketWanted) -> Noted:  # pyright: ignore[reportUnusedFunction]
        """Make the ticket, and tell the conversation its id."""
        plan = await ctx.run_typed("plan ticket", planned, RunOptions(), ctx.request().id, wanted)
        if plan.kind != "effect":
            log.error("no_ticket_tool", extra={"tool": settings.ticket_tool, "reason": plan.fault})
            return Noted()
        headers = {TOKEN_HEADER: plan.token, RUN_HEADER: ctx.request().id}
        target = (plan.service, plan.handler, plan.body.encode(), plan.key)
        once = None if plan.workflow else plan.once
        sent = ctx.generic_send(*target, headers=headers, idempotency_key=once)
        try:
            body = await ctx.attach_invocation(await sent.invocation_id(), serde=BytesSerde())
            ticket_id = ticket_in(read(body), settings.ticket_pattern)
        except (TerminalError, Unreadable) as problem:
            log.error("no_ticket_tool", extra={"tool": settings.ticket_tool, "reason": type(problem).__name__})
            return Noted()
        if ticket_id:
            told = TicketMade(run=wanted.run, ticket_id=ticket_id).model_dump_json().encode()
            ctx.generic_send("Conversation", "ticketed", told, key=wanted.conversation)
        return Noted()

    async def planned(invocation: str, wanted: TicketWanted) -> Plan:
        """The call, as the model would have asked for it. Raises: `RetryableError` without a catalogue."""
        try:
            shelf = await offers.within(CATALOGUE_SECONDS)
        except NoCatalogue:
            raise RetryableError("there is no catalogue of tools yet") from None
        told = {"subject": wanted.subject, "description": wanted.description}
        call = WantedCall(name=settings.ticket_tool, arguments=json.dumps(told))
        names = Names(signer, wanted.run, wanted.conversation, wanted.caller)
        plan = make_plans([], [call], shelf.offers, wanted.caller, names, ACCEPTED_WITHIN_SECONDS)[0]
        if plan.service:
            now = time.time()
            about = (wanted.caller, wanted.conversation, now, now + ACCEPTED_WITHIN_SECONDS)
            plan.token = sign_call(signer, plan.service, plan.call_id, invocation, *about)
        return plan

    return service
