"""The tools that read the caller's tickets. One read each, so nothing but the result is journaled."""

import restate

from runtime.call_tokens import ProvenCallers
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY
from tickets.model import GetTicket, ListMyTickets, MyTickets, TicketDetails
from tickets.store import TicketStore

_ORPHANED = {"switchboard.deadline": "90"}
"""A read that fails for longer than any caller waits is ended by the registry: nothing tells it of a cancellation."""
_TOOL = {"mcp.type": "tool", "tool.bind": "user_id=caller.user_id", "tool.readonly": "true", **_ORPHANED}


def ticket_tools(store: TicketStore, callers: ProvenCallers) -> restate.Service:
    service = restate.Service(
        "Tickets",
        description="Reads the tickets of one customer",
        ingress_private=True,
        invocation_retry_policy=RETRY,
    )

    @service.handler(input_serde=RAW, metadata=_TOOL)
    @checked
    async def list_my_tickets(ctx: restate.Context, which: ListMyTickets) -> MyTickets:  # pyright: ignore[reportUnusedFunction]
        """List the customer's support tickets and how they stand, the newest first."""
        return MyTickets(tickets=await store.of_caller(await callers.of(ctx), which.limit))

    @service.handler(input_serde=RAW, metadata=_TOOL)
    @checked
    async def get_ticket(ctx: restate.Context, which: GetTicket) -> TicketDetails:  # pyright: ignore[reportUnusedFunction]
        """Look up one of the customer's support tickets by its id: its text, status, priority and due time."""
        ticket = await store.get(await callers.of(ctx), which.ticket_id)
        if ticket is None:
            raise Refused(404, "no_such_ticket", "no such ticket", field="ticket_id")
        return ticket

    return service
