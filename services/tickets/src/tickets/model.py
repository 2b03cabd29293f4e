"""What goes in and out of the ticket tools. The descriptions are what the model reads."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts import USER_ID, TicketState
from tickets.rules import Category, Priority, Urgency

Status = Literal["open", "assigned", "closed"]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    user_id: USER_ID = Field(description="The customer.", examples=["user_12345"])


class CreateSupportTicket(_Input):
    """A problem or request that a person of the support staff shall look at."""

    subject: str = Field(
        min_length=3,
        max_length=200,
        description="One line that names the problem.",
        examples=["Dashboard shows no data"],
    )
    description: str = Field(
        min_length=1,
        max_length=4000,
        description="What happens, since when, and what was found out so far, with the customer's own words.",
        examples=["Since this morning the usage chart on the dashboard stays empty."],
    )
    category: Category | None = Field(
        default=None, description="What it is about; leave it out when unsure.", examples=["bug"]
    )
    urgency: Urgency | None = Field(
        default=None, description="How urgent it is for the customer; leave it out when nothing was said about it."
    )


class ListMyTickets(_Input):
    """Which of the customer's tickets."""

    limit: int = Field(default=10, ge=1, le=50, description="How many at most, the newest first.")


class GetTicket(_Input):
    """One of the customer's tickets."""

    ticket_id: str = Field(
        pattern=r"^TCK-[0-9]{6,18}$", description="The ticket's id, such as TCK-000123.", examples=["TCK-000123"]
    )


class ReplyToTicket(GetTicket):
    """What the customer says to the support staff about one of their tickets."""

    text: str = Field(
        min_length=1,
        max_length=4000,
        description="What the customer says, with their own words.",
        examples=["It still happens, since yesterday in Firefox too."],
    )


class Ticket(BaseModel):
    """How a ticket stands, as its customer sees it."""

    ticket_id: str
    subject: str
    category: Category
    priority: Priority
    status: Status
    state: TicketState = Field(default="new", description="new, open, waiting (for the customer), solved or closed")
    created_at: datetime
    sla_due_at: datetime


class MadeTicket(Ticket):
    """A ticket as whoever asked for it learns of it. `existing`: this conversation had one about the same subject that
    is not closed; the words were added to it."""

    existing: bool = False


class CustomerMessage(BaseModel):
    """Something that was said of a ticket later, by its customer or to them."""

    by: Literal["you", "support"]
    text: str
    at: datetime


class TicketDetails(Ticket):
    """A ticket with its text, and what was said of it later, the latest last.

    `merged_into` is the ticket in which it goes on.
    """

    description: str
    updated_at: datetime
    messages: list[CustomerMessage] = Field(default_factory=list[CustomerMessage])
    merged_into: str | None = None


class MyTickets(BaseModel):
    """The customer's tickets, the newest first."""

    tickets: list[Ticket]
