"""What members of staff ask of tickets, and what they are shown."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from contracts.conversation import INPUT_ID
from contracts.people import STAFF_NAME, STAFF_NAME_PATTERN, ByStaff
from contracts.question import USER_ID

TICKET_ID = Annotated[str, StringConstraints(pattern=r"^TCK-[0-9]{6,18}$")]

TicketCategory = Literal["outage", "security", "billing", "api", "account", "bug", "feature_request", "other"]
TicketPriority = Literal["low", "normal", "high", "urgent"]
TicketState = Literal["new", "open", "waiting", "solved", "closed"]
"""How far a ticket is.

- `new`: nobody has it
- `open`: somebody has it
- `waiting`: for its customer; its time stands still
- `solved`: done, unless its customer says otherwise
- `closed`: for good
"""

UNFINISHED: tuple[TicketState, ...] = ("new", "open", "waiting")
TICKET_WORDS = 4000
"""Characters of one reply or note."""


class TicketsQuery(ByStaff):
    """Which tickets to list. What is not said does not matter; `cursor` is a former page's `next`."""

    states: list[TicketState] = Field(default=list(UNFINISHED), min_length=1, max_length=5)
    mine: bool = Field(default=False, description="Those of whoever asks.")
    unassigned: bool = Field(default=False, description="Those that nobody has.")
    overdue: bool = Field(default=False, description="Those past a due time.")
    priority: TicketPriority | None = None
    category: TicketCategory | None = None
    assignee: STAFF_NAME | None = None
    user_id: USER_ID | None = Field(default=None, description="Those of this customer.")
    search: str = Field(default="", max_length=200, description="Words of the subject or of what was said.")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = Field(default="", max_length=64, pattern=r"^([0-9]{1,20}|infinity)?(~[0-9]{1,18})?$")


class TicketLine(BaseModel):
    """One ticket as staff see it in a list. Times are in ISO 8601.

    `reply_due_at` is when the first reply is due, `solve_due_at` when the solution is, `due_at` the earlier of the two;
    empty where nothing is due, as while it waits for its customer.
    """

    ticket_id: str
    user_id: str
    subject: str
    state: TicketState
    category: TicketCategory
    priority: TicketPriority
    assignee: str = ""
    created_at: str
    updated_at: str
    due_at: str = ""
    reply_due_at: str = ""
    solve_due_at: str = ""
    escalated: bool = Field(default=False, description="A due time of it has passed.")
    place: str = Field(default="", description="In a list: the cursor of what comes after it.")


class TicketPage(BaseModel):
    """Those that are due first; `next` is the cursor of the following page, empty at the end."""

    tickets: list[TicketLine]
    next: str = ""


SNAPSHOT = r"^([0-9]{1,19}:[0-9]{1,19}:([0-9]{1,19}(,[0-9]{1,19})*)?)?$"


class TicketsChangedQuery(ByStaff):
    """`seen` is what the last answer said; empty for the first question."""

    seen: Annotated[str, Field(pattern=SNAPSHOT, max_length=8000)] = ""


class TicketsChanged(BaseModel):
    """Which tickets have changed since then. Not `is_whole`: anything may have."""

    tickets: list[str]
    seen: str
    is_whole: bool = True


class TicketCounts(BaseModel):
    """How many unfinished tickets there are; `mine` are those of whoever asks."""

    new: int = 0
    open: int = 0
    waiting: int = 0
    mine: int = 0
    unassigned: int = 0
    overdue: int = 0


class TicketQuery(ByStaff):
    """Which ticket to show."""

    ticket_id: TICKET_ID


class TicketMessage(BaseModel):
    """Something that was said of a ticket: a `reply` to its customer, a `note` that staff alone read, or an `answer` of
    the customer. `number` grows with time."""

    number: int
    kind: Literal["reply", "note", "answer"]
    who: str
    text: str
    at: str
    ticket_id: str = Field(default="", description="Where it was said: a ticket that was merged into this one, or it.")


class TicketEvent(BaseModel):
    """One line of a ticket's history: who changed what. `acting` says in what part."""

    who: str
    acting: Literal["customer", "staff", "switchboard"]
    action: str
    note: str
    at: str


class TicketShown(TicketLine):
    """One ticket, with all that staff may see of it."""

    description: str
    messages: list[TicketMessage] = Field(default_factory=list[TicketMessage])
    history: list[TicketEvent] = Field(default_factory=list[TicketEvent])
    conversation: str = ""
    prompt: str = ""
    replied_at: str = Field(default="", description="When the customer had the first reply.")
    solved_at: str = ""
    merged_into: str = ""
    merged: list[str] = Field(default_factory=list[str], description="The tickets that were merged into this one.")
    undelivered: int = Field(default=0, description="Webhooks about it that their receiver refused.")
    changes: int = Field(default=0, description="How often people have changed it; see `seen`.")


class ChangingTicket(ByStaff):
    """A member of staff changes a ticket. The same change with the same `act_id` is made once."""

    ticket_id: TICKET_ID
    act_id: INPUT_ID | None = Field(default=None, description="The client's own name for it.")
    seen: int | None = Field(
        default=None,
        ge=0,
        description="The `changes` that whoever acts has seen; refused with 409 if there are others.",
    )


class TicketReply(ChangingTicket):
    """Write to the customer; whoever writes has the ticket, if nobody had it."""

    text: str = Field(min_length=1, max_length=TICKET_WORDS, description="What the customer reads.")
    state: Literal["open", "waiting", "solved"] = Field(default="waiting", description="How the ticket stands then.")


class TicketNote(ChangingTicket):
    """Write to the other members of staff."""

    text: str = Field(min_length=1, max_length=TICKET_WORDS, description="What no customer ever reads.")


class TicketAssign(ChangingTicket):
    """Give a ticket to a member of staff, or with an empty `to` back to all. `reassign`: also when another has it."""

    to: Annotated[str, StringConstraints(pattern=rf"^({STAFF_NAME_PATTERN})?$")]
    reassign: bool = False


class TicketChange(ChangingTicket):
    """Change what is given. `note` says why."""

    priority: TicketPriority | None = None
    category: TicketCategory | None = None
    state: Literal["open", "waiting", "solved", "closed"] | None = None
    note: str = Field(default="", max_length=TICKET_WORDS)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.priority is None and self.category is None and self.state is None:
            raise ValueError("say what to change: priority, category or state")
        return self


class TicketMerge(ChangingTicket):
    """The ticket is a duplicate: it is closed, and what was said of it stands in `into`, of the same customer."""

    into: TICKET_ID


class NotificationsResend(ByStaff):
    """Have the notification of a ticket that its receiver refused sent again, or without one all of them.

    `again`: also what is on its way again already.
    """

    ticket_id: TICKET_ID | None = None
    again: bool = False


class NotificationsDrop(ByStaff):
    """Give up the notification of a ticket that was not delivered. `note` says why."""

    ticket_id: TICKET_ID
    note: str = Field(default="", max_length=TICKET_WORDS)


class NotificationsDecided(BaseModel):
    """The tickets whose notifications are sent again, or given up."""

    tickets: list[str]
