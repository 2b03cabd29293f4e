"""The life of a new ticket: inserted once, whatever crashes; notified after the commit; returned."""

from datetime import timedelta

import restate
from pydantic import BaseModel
from restate import RunOptions

from runtime.caller import caller_of
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.logs import get_logger
from runtime.serving import RETRY
from tickets.model import CreateSupportTicket, Ticket
from tickets.notifier import send, ticket_created
from tickets.store import TicketStore

log = get_logger(__name__)


class Created(BaseModel):
    """The journaled result of the insert. Whether to notify is decided in there: a replay must not read settings."""

    ticket: Ticket
    notify: bool


def ticket_workflow(store: TicketStore, notify: bool) -> restate.Workflow:
    workflow = restate.Workflow(
        "SupportTicketWorkflow",
        description="Creates one support ticket for each key",
        ingress_private=True,
        invocation_retry_policy=RETRY,
    )

    async def insert(caller: str, key: str, new: CreateSupportTicket) -> Created:
        return Created(ticket=await store.insert(caller, key, new), notify=notify)

    @workflow.main(
        input_serde=RAW,
        workflow_retention=timedelta(days=1),
        metadata={
            "mcp.type": "tool",
            "tool.name": "create_support_ticket",
            "tool.bind": "user_id=caller.user_id",
            "tool.key": "run",
        },
    )
    @checked
    async def run(ctx: restate.WorkflowContext, new: CreateSupportTicket) -> Ticket:  # pyright: ignore[reportUnusedFunction]
        """Create a support ticket, so that a person looks into a problem or request of the customer.

        Use it when the customer asks for a ticket or reports a bug, or when a problem needs a person. Returns the
        ticket's id, its category and priority, and when an answer is due.
        """
        if not ctx.key():
            raise Refused(422, "key_missing", "a ticket workflow needs a key of its own")
        created = await ctx.run_typed("insert ticket", insert, RunOptions(), caller_of(ctx), ctx.key(), new)
        if created.notify:
            send(ctx, ticket_created(ctx.key(), new.user_id, created.ticket))
        log.info("ticket_created", extra={"ticket_id": created.ticket.ticket_id, "priority": created.ticket.priority})
        return created.ticket

    return workflow
