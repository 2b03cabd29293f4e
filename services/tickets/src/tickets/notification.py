"""What a webhook's receiver is told of a new ticket."""

import hashlib
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from tickets.model import Ticket
from tickets.rules import Category, Priority

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


class Notification(BaseModel):
    """One message: its id (header `webhook-id`), its body, and how often it was sent again by command."""

    message_id: str
    type: Literal["ticket.created"] = "ticket.created"
    timestamp: datetime
    data: TicketCreated
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
