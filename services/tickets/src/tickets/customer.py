"""What a customer reads of their tickets, through Restate's ingress: a caller token opens it, and nothing else."""

import time
from datetime import timedelta
from functools import partial

import restate
from pydantic import ConfigDict, Field
from restate import RunOptions

from contracts import OfCustomer
from runtime.acceptance import Acceptance
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.proof import FOR_TICKETS, CallerRules, prove
from runtime.retries import RETRY
from tickets.model import MyTickets, TicketDetails
from tickets.store import TicketStore

MOST_TICKETS = 100


class TicketsWanted(OfCustomer):
    limit: int = Field(default=50, ge=1, le=MOST_TICKETS)


class TicketWanted(OfCustomer):
    model_config = ConfigDict(extra="forbid")

    ticket_id: str = Field(max_length=64)


def customer_tickets(store: TicketStore, rules: CallerRules, acceptance: Acceptance) -> restate.Service:
    """Nothing of what is read stays in a journal."""
    service = restate.Service(
        "CustomerTickets",
        description="Shows a customer their tickets",
        journal_retention=timedelta(0),
        idempotency_retention=timedelta(0),
        invocation_retry_policy=RETRY,
    )

    async def caller(ctx: restate.Context, asked: OfCustomer) -> str:
        accepted_at = partial(acceptance.of, ctx.request().id)
        return (await prove(asked, rules, time.time(), accepted_at, FOR_TICKETS)).user_id

    async def listed(ctx: restate.Context, asked: TicketsWanted) -> MyTickets:
        return MyTickets(tickets=await store.of_caller(await caller(ctx, asked), asked.limit))

    async def found(ctx: restate.Context, asked: TicketWanted) -> TicketDetails:
        ticket = await store.get(await caller(ctx, asked), asked.ticket_id)
        if ticket is None:
            raise Refused(404, "no_such_ticket", "there is no such ticket")
        return ticket

    @service.handler("list", input_serde=RAW)
    @checked
    async def list_them(ctx: restate.Context, asked: TicketsWanted) -> MyTickets:  # pyright: ignore[reportUnusedFunction]
        """The customer's tickets, the newest first."""
        return await ctx.run_typed("list", listed, RunOptions(), ctx, asked)

    @service.handler("get", input_serde=RAW)
    @checked
    async def get(ctx: restate.Context, asked: TicketWanted) -> TicketDetails:  # pyright: ignore[reportUnusedFunction]
        """One of the customer's tickets; one of anybody else's is not there."""
        return await ctx.run_typed("get", found, RunOptions(), ctx, asked)

    return service
