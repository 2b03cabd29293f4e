"""The tools that read the caller's tickets, and the one that answers to them.

A read is no step, so that nothing but its result is journaled.
"""

import restate
from pydantic import BaseModel
from restate import RunOptions

from runtime.call_tokens import ProvenCallers
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from tickets.changing import Act, Changing, Done
from tickets.model import GetTicket, ListMyTickets, MyTickets, ReplyToTicket, Ticket, TicketDetails
from tickets.store import TicketStore
from tickets.ticket_life import tell

_ORPHANED = {"switchboard.deadline": "90"}
"""A read that fails for longer than any caller waits is ended by the registry: nothing tells it of a cancellation."""
_TOOL = {"mcp.type": "tool", "tool.bind": "user_id=caller.user_id", "tool.readonly": "true", **_ORPHANED}
_EFFECT = {"mcp.type": "tool", "tool.bind": "user_id=caller.user_id", "switchboard.deadline": "none"}


class Answered(BaseModel):
    """What an answer has done, as the journal has it, and how its ticket stands."""

    done: Done
    ticket: Ticket | None


def ticket_tools(store: TicketStore, changing: Changing, callers: ProvenCallers) -> restate.Service:
    service = restate.Service(
        "Tickets",
        description="Reads the tickets of one customer, and answers to them",
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
            raise no_such_ticket()
        return ticket

    async def answered(ctx: restate.Context, wanted: ReplyToTicket, act: str) -> Answered:
        caller = await callers.of(ctx)
        by = Act(act, caller, "customer", wanted.text)
        done = await changing.answer(caller, wanted.ticket_id, wanted.text, by)
        ticket = await store.get(caller, done.line.ticket_id if done.line else wanted.ticket_id)
        return Answered(done=done, ticket=None if ticket is None else Ticket(**ticket.model_dump()))

    @service.handler(input_serde=RAW, metadata=_EFFECT, invocation_retry_policy=RETRY_UNTIL_DONE)
    @checked
    async def reply_to_ticket(ctx: restate.Context, wanted: ReplyToTicket) -> Ticket:  # pyright: ignore[reportUnusedFunction]
        """Add what the customer says to one of their support tickets, so that the support staff read it.

        Use it when the customer answers what was asked in a ticket, has something to add to it, or says that what was
        solved is not. It reopens a ticket that was solved; one that is closed needs a new ticket.
        """
        answer = await ctx.run_typed("answer", answered, RunOptions(), ctx, wanted, f"answer/{ctx.uuid().hex}")
        tell(ctx, answer.done)
        if answer.ticket is None:
            raise no_such_ticket()
        return answer.ticket

    return service


def no_such_ticket() -> Refused:
    return Refused(404, "no_such_ticket", "no such ticket", field="ticket_id")
