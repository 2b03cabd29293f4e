"""The life of a new ticket: inserted once, whatever crashes; notified after the commit; returned."""

import time
from collections.abc import Awaitable
from datetime import timedelta
from typing import get_args

import restate
from pydantic import BaseModel
from restate import RunOptions, TerminalError

from runtime.call_tokens import ProvenCallers
from runtime.caller import prompt_of
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY_UNTIL_DONE
from runtime.steps import Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live
from runtime.telemetry.tracing import Span, Trace, spans_sent, trace_of
from tickets.changing import Act, Changing, Done
from tickets.model import CreateSupportTicket, MadeTicket, Ticket
from tickets.notification import ticket_created
from tickets.notifier import send
from tickets.rules import Category, Priority
from tickets.signals import TABLE
from tickets.store import TicketStore
from tickets.ticket_life import look_after
from tickets.ticket_life import tell as tell_changed

INSERT = "insert ticket"

log = get_logger(__name__)

_created = TABLE.counter("switchboard_tickets_created_total")
for _category in get_args(Category):
    for _priority in get_args(Priority):
        _created.labels(_category, _priority)


class Failure(BaseModel):
    """Why there is no ticket: a `TerminalError`, as it goes into the journal beside the times."""

    status: int
    message: str
    metadata: dict[str, str]

    @classmethod
    def of(cls, error: TerminalError) -> "Failure":
        return cls(status=error.status_code, message=error.message, metadata=error.metadata or {})

    @property
    def code(self) -> str:
        return self.metadata.get("code", str(self.status))

    def error(self) -> TerminalError:
        return TerminalError(self.message, status_code=self.status, metadata=self.metadata)


class Inserted(BaseModel):
    """The journaled result of the insert: all that a replay and its spans are made from.

    Whether to notify is decided in there: a replay must not read settings. Times are seconds since the epoch.
    """

    started_at: float
    ended_at: float
    attempts: int
    notify: bool
    outcome: MadeTicket | Failure


def ticket_workflow(store: TicketStore, changing: Changing, callers: ProvenCallers, notify: bool) -> restate.Workflow:
    workflow = restate.Workflow(
        "SupportTicketWorkflow",
        description="Creates one support ticket for each key",
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )
    attempts = Attempts()

    async def made(ctx: restate.WorkflowContext, new: CreateSupportTicket) -> MadeTicket:
        caller = await callers.claims(ctx)
        return await store.insert(caller.sub, ctx.key(), new, prompt_of(ctx), caller.conversation)

    async def goes_on(key: str, user_id: str, ticket_id: str) -> Done:
        return await changing.added(ticket_id, Act(f"add/{key}", user_id, "customer", ""))

    async def insert(ctx: restate.WorkflowContext, trace: Trace, new: CreateSupportTicket) -> Inserted:
        step = (trace.invocation, INSERT)
        started_at, number, _ = attempts.begin(step)
        with trace.around(INSERT):
            outcome = await ticket_or_failure(made(ctx, new))
        attempts.forget(step)
        tells = notify and not (isinstance(outcome, MadeTicket) and outcome.existing)
        return Inserted(
            started_at=started_at,
            ended_at=time.time(),
            attempts=number,
            notify=tells,
            outcome=outcome,
        )

    @workflow.main(
        input_serde=RAW,
        workflow_retention=timedelta(days=1),
        metadata={
            "mcp.type": "tool",
            "tool.name": "create_support_ticket",
            "tool.bind": "user_id=caller.user_id",
            "tool.key": "run",
            "tool.ticket": "true",
        },
    )
    @checked
    async def run(ctx: restate.WorkflowContext, new: CreateSupportTicket) -> MadeTicket:  # pyright: ignore[reportUnusedFunction]
        """Create a support ticket, so that a person looks into a problem or request of the customer.

        Use it when the customer asks for a ticket or reports a bug, or when a problem needs a person. Returns the
        ticket's id, its category and priority, and when an answer is due. A ticket that this conversation has about the
        same problem is `existing`: what is new was added to it.
        """
        if not ctx.key():
            raise Refused(422, "key_missing", "a ticket workflow needs a key of its own")
        trace = trace_of(ctx)
        inserted = await ctx.run_typed(INSERT, insert, RunOptions(), ctx, trace, new)
        tell(trace, inserted)
        await spans_sent()
        ticket = inserted.outcome
        if isinstance(ticket, Failure):
            raise ticket.error()
        if inserted.notify:
            send(ctx, ticket_created(ctx.key(), new.user_id, ticket), trace.traceparent())
        if ticket.existing:
            told = (ctx.key(), new.user_id, ticket.ticket_id)
            tell_changed(ctx, await ctx.run_typed("let it go on", goes_on, RunOptions(), *told))
            log.info("ticket_added_to", extra={"ticket_id": ticket.ticket_id})
            return ticket
        look_after(ctx, ticket.ticket_id)
        if is_live():
            _created.labels(ticket.category, ticket.priority).inc()
        log.info("ticket_created", extra={"ticket_id": ticket.ticket_id, "priority": ticket.priority})
        return ticket

    return workflow


async def ticket_or_failure(inserting: Awaitable[MadeTicket]) -> MadeTicket | Failure:
    try:
        return await inserting
    except TerminalError as error:
        return Failure.of(error)


def tell(trace: Trace, inserted: Inserted) -> None:
    """The spans of the insert and of the whole workflow, which does nothing else that takes time."""
    outcome = inserted.outcome
    error = outcome.code if isinstance(outcome, Failure) else ""
    attributes = {"switchboard.invocation": trace.invocation}
    if isinstance(outcome, Ticket):
        attributes["switchboard.ticket_id"] = outcome.ticket_id
    started_at, ended_at = inserted.started_at, inserted.ended_at
    tried = {"switchboard.attempts": inserted.attempts}
    trace.emit(Span(INSERT, started_at, ended_at, tried, error=error), INSERT)
    trace.emit(Span("SupportTicketWorkflow/run", started_at, ended_at, attributes, error=error))
