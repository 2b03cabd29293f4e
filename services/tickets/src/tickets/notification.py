"""What a webhook's receiver is told of a new ticket, and of what becomes of it."""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from contracts import TicketState
from tickets.life import Standing
from tickets.model import Ticket
from tickets.rules import Category, Priority

Acting = Literal["customer", "staff", "switchboard"]
Reason = Literal["refused", "no_webhook", "cancelled"]
"""Why a notification was not delivered."""


class TicketCreated(BaseModel):
    """What the receiver reads about the ticket; not the customer's text, which the staff read in the ticket itself."""

    ticket_id: str
    user_id: str
    subject: str
    category: Category
    priority: Priority
    sla_due_at: datetime


class TicketChanged(TicketCreated):
    """How a ticket stands after a change, and whose change it was; not what was said. `clock` is which time it is that
    comes or has passed."""

    state: TicketState
    assignee: str = ""
    who: str
    acting: Acting
    clock: Literal["", "first_reply", "solution"] = ""
    merged_into: str = ""


class Stood(BaseModel):
    """How a ticket stood after a change, as the audit keeps it."""

    category: Category
    priority: Priority
    sla_due_at: datetime
    state: TicketState
    assignee: str
    merged_into: str


EventType = Literal[
    "ticket.created",
    "ticket.replied",
    "ticket.answered",
    "ticket.assigned",
    "ticket.opened",
    "ticket.waiting",
    "ticket.solved",
    "ticket.closed",
    "ticket.reopened",
    "ticket.changed",
    "ticket.merged",
    "ticket.reminded",
    "ticket.escalated",
]

_EVENTS: dict[str, EventType] = {
    "answer": "ticket.answered",
    "assign": "ticket.assigned",
    "category": "ticket.changed",
    "close": "ticket.closed",
    "escalate_reply": "ticket.escalated",
    "escalate_solve": "ticket.escalated",
    "merge": "ticket.merged",
    "open": "ticket.opened",
    "priority": "ticket.changed",
    "release": "ticket.assigned",
    "remind_reply": "ticket.reminded",
    "remind_solve": "ticket.reminded",
    "reopen": "ticket.reopened",
    "reply": "ticket.replied",
    "solve": "ticket.solved",
    "wait": "ticket.waiting",
}
"""Which event an audited action is; of the others nobody outside is told."""


class Notification(BaseModel):
    """One message: its id (header `webhook-id`), its body, and how often it was sent again by command."""

    message_id: str
    type: EventType = "ticket.created"
    timestamp: datetime
    data: TicketChanged | TicketCreated
    resends: int = 0

    def body(self) -> str:
        """What is posted, the same each time."""
        return self.model_dump_json(exclude={"message_id", "resends"})


def ticket_created(workflow_key: str, user_id: str, ticket: Ticket) -> Notification:
    """The notification of a new ticket; its id follows from the workflow's key, so a repeat makes the same one."""
    return Notification(
        message_id=f"msg_{hashlib.sha256(workflow_key.encode()).hexdigest()[:32]}",
        timestamp=ticket.created_at,
        data=TicketCreated(user_id=user_id, **ticket.model_dump(exclude={"status", "created_at"})),
    )


def stood(row: Standing, sla_due_at: datetime) -> Stood:
    return Stood(
        category=row.category,
        priority=row.priority,
        sla_due_at=sla_due_at,
        state=row.state,
        assignee=row.assignee or "",
        merged_into=row.merged_into or "",
    )


def ticket_changed(
    act: str, action: str, at: datetime, row: Standing, told: tuple[str, Stood], who: str, acting: Acting
) -> Notification | None:
    """The notification of one line of the audit, if it is one for outside; its id follows from the act. `told` is the
    subject, and how the ticket stood then: the row may have changed since."""
    event = _EVENTS.get(action)
    if event is None:
        return None
    clocks: dict[str, Literal["first_reply", "solution"]] = {"reply": "first_reply", "solve": "solution"}
    subject, then = told
    return Notification(
        message_id=f"msg_{hashlib.sha256(f'{act}/{action}'.encode()).hexdigest()[:32]}",
        type=event,
        timestamp=at,
        data=TicketChanged(
            ticket_id=row.ticket_id,
            user_id=row.user_id,
            subject=subject,
            who=who,
            acting=acting,
            clock=clocks.get(action.rpartition("_")[2], "") if event in ("ticket.reminded", "ticket.escalated") else "",
            **then.model_dump(),
        ),
    )
