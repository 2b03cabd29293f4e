"""What goes over the wire beside what the rooms themselves tell. It changes by additions alone."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts import (
    DIGEST,
    MESSAGE_CHARACTERS,
    REASON_CHARACTERS,
    STAFF_NAME,
    TICKET_ID,
    TICKET_WORDS,
    Held,
    HistoryLine,
    StaffScope,
    Standing,
    StandingCounts,
    TicketCategory,
    TicketLine,
    TicketPriority,
)

Words = Annotated[str, StringConstraints(min_length=1, max_length=TICKET_WORDS, pattern=r"\S")]
Seen = Annotated[
    int | None,
    Field(
        ge=0, le=2**31, description="The `changes` of the ticket that you have seen: 409 if there are others by now."
    ),
]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _like(**example: Any) -> ConfigDict:
    """With an example for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class Me(BaseModel):
    """Whose key it is, as whom it acts, and what it may."""

    name: str = Field(description="By what name the key's acts are known, in every history and audit.")
    key: str = Field(description="What the key is called.")
    roles: list[str]
    scopes: list[StaffScope]
    expires_at: datetime


class Queue(BaseModel):
    """Tickets and conversations, what is due first at the top. `next` is the `after` of the next page, empty at the
    end."""

    rows: list[TicketLine | Standing] = Field(description="A ticket has a `ticket_id`, the others a `conversation`.")
    counts: dict[str, int]
    next: str = ""


class Conversations(BaseModel):
    """Those in which nobody came first, then those that a person has, and others. The `place` of the last one is the
    `after` of the next page, if there is `more`."""

    conversations: list[Standing]
    counts: StandingCounts
    more: bool = False


class Conversation(BaseModel):
    """A page of a conversation with what only staff see. `held` says who speaks now, `packet` with what it was handed
    over last. `next` is the `after` of the next page, `earlier` the `before` of the one before; null where none is."""

    conversation: str
    user_id: str
    held: Held
    packet: dict[str, Any] | None = None
    entries: list[HistoryLine]
    next: int | None = None
    earlier: int | None = None


class Nothing(_In):
    """There is nothing to say: what is done stands in the address."""

    model_config = _like()


class Say(_In):
    """What the customer reads."""

    model_config = _like(text="I am looking into it.")

    text: Annotated[str, StringConstraints(min_length=1, max_length=MESSAGE_CHARACTERS, pattern=r"\S")]


class Assign(_In):
    """Who shall have it."""

    model_config = _like(to="anna")

    to: STAFF_NAME


class Reply(_In):
    """What the customer reads, and how the ticket stands then."""

    model_config = _like(text="The invoice was corrected.", state="waiting")

    text: Words
    state: Literal["open", "waiting", "solved"] = "waiting"
    seen: Seen = None


class Note(_In):
    """What no customer ever reads."""

    model_config = _like(text="The same as last week.")

    text: Words


class Hold(_In):
    """Have the ticket, or have it no more. `reassign`: also when another has it."""

    model_config = _like(seen=3)

    reassign: bool = Field(default=False, strict=True)
    seen: Seen = None


class Release(_In):
    """Give the ticket back to all."""

    model_config = _like(seen=3)

    seen: Seen = None


class AssignTicket(Hold):
    """Who shall have the ticket. `reassign`: also when another has it."""

    model_config = _like(to="anna", reassign=True)

    to: STAFF_NAME


class ChangeTicket(_In):
    """What is given is changed; `note` says why."""

    model_config = _like(priority="high", note="The customer's shop is down.")

    priority: TicketPriority | None = None
    category: TicketCategory | None = None
    state: Literal["open", "waiting", "solved", "closed"] | None = None
    note: str = Field(default="", max_length=TICKET_WORDS)
    seen: Seen = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.priority is None and self.category is None and self.state is None:
            raise ValueError("say what to change: priority, category or state")
        return self


class Merge(_In):
    """The ticket of which this one is a duplicate."""

    model_config = _like(into="TCK-000002")

    into: TICKET_ID
    seen: Seen = None


class Approve(_In):
    """`digest` is that of the arguments that were shown: nobody decides what they have not seen."""

    model_config = _like(digest="0" * 64)

    digest: DIGEST
    reason: str = Field(default="", max_length=REASON_CHARACTERS, description="Why; the agent reads it.")


class Deny(_In):
    """The reason is told to the agent, and by it to the customer."""

    model_config = _like(digest="0" * 64, reason="The invoice is paid.")

    digest: DIGEST
    reason: Annotated[str, StringConstraints(min_length=1, max_length=REASON_CHARACTERS, pattern=r"\S")]


class Edit(Approve):
    """All arguments that are not `fixed`, as the call shall be made."""

    model_config = _like(digest="0" * 64, arguments={"invoice_id": "INV-1", "amount": 10})

    arguments: dict[str, Any]
