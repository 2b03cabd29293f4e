"""What members of staff ask of a conversation. Each proves by a token of their own who they are."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.conversation import CONVERSATION_ID, INPUT_ID, History
from contracts.question import MESSAGE_CHARACTERS, USER_ID, Caller
from contracts.step import TurnStep

STAFF_NAME_PATTERN = r"[A-Za-z0-9_.@:-]{1,64}"
STAFF_NAME = Annotated[str, StringConstraints(pattern=f"^{STAFF_NAME_PATTERN}$")]
"""How a member of staff is known: the `sub` of a staff token."""

StaffRole = Literal["agent", "approver", "admin"]
"""
- `agent`: talks with customers, and works on tickets
- `approver`: decides calls that wait for a person's yes
- `admin`: what an agent may, and sees who did what; decides nothing unless it is an `approver` too
"""


class ByStaff(BaseModel):
    """A member of staff asks."""

    model_config = ConfigDict(extra="forbid")

    staff_token: str = Field(max_length=4096, description="A signed JWT that names a member of staff.")


class Assign(ByStaff):
    """Give the conversation to a member of staff."""

    to: STAFF_NAME = Field(description="Who shall have it.")


class Say(ByStaff):
    """Say something to the customer. The same `say_id` with the same text is said once."""

    text: str = Field(min_length=1, max_length=MESSAGE_CHARACTERS, description="What the customer reads.")
    say_id: INPUT_ID = Field(description="The client's own name for it.")


class StaffHistoryQuery(ByStaff):
    """A page of a conversation: what comes after a position, or the latest of it."""

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=50, ge=1, le=200)
    latest: bool = Field(default=False, description="The end of the conversation instead of its beginning.")
    before: int = Field(default=0, ge=0, description="The end of what comes before this position; 0: of all.")


class StepsQuery(ByStaff):
    """What a run did: the turns after one."""

    run: str = Field(min_length=1, max_length=64)
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=10, ge=1, le=20)


class RunSteps(BaseModel):
    """What a run did, a page of it. `state` is `active`, `stopped` or `ended`; Restate and the traces know it by its
    `invocation` and `trace_id`, which are empty where nobody does. A turn that was never reported is not there. `next`
    is where the next page begins, None at the end. `stopped_by` is the member of staff who stopped it, and `why` what
    for."""

    run: str
    state: str
    outcome: str = ""
    begun_at: str
    ended_at: str = ""
    invocation: str = ""
    trace_id: str = ""
    turns: list[TurnStep] = Field(default_factory=list[TurnStep])
    next: int | None = None
    stopped_by: str = ""
    why: str = ""


class Held(BaseModel):
    """Who speaks in a conversation now: a member of staff, nobody yet (`waiting`), or the agent."""

    person: str = ""
    waiting: bool = False


class Said(BaseModel):
    """Where it stands in the transcript."""

    position: int


class WaitingQuery(ByStaff):
    """Which conversations to list. What is not said does not matter; `cursor` is the `place` of a row before."""

    who: Literal["all", "nobody", "mine"] = Field(
        default="all", description="Those that nobody has, or those of whoever asks."
    )
    overdue: bool = Field(default=False, description="Those in which nobody came in time.")
    user_id: USER_ID | None = Field(default=None, description="Those of this customer.")
    search: str = Field(
        default="", max_length=200, description="Words of what was said: then also those in which the agent speaks."
    )
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = Field(
        default="", max_length=120, pattern=r"^(([0-9]{1,17}|infinity)~-?[0-9]{1,17}~conv_[A-Za-z0-9]{16,64})?$"
    )


class Standing(BaseModel):
    """One conversation as staff see it in a list. `since` is when it was handed over, or when something was said last
    where the agent `speaks`, in ISO 8601; `due_at` is when its customer is told that nobody came, empty where nobody is
    waited for. `found` is what was said with the words of a search, `place` is for the `cursor` of the page after."""

    conversation: str
    user_id: str
    person: str
    since: str
    reason: str
    speaks: Literal["person", "agent"] = "person"
    due_at: str = ""
    found: str = ""
    place: str = ""


class StandingCounts(BaseModel):
    """How many conversations people have or are waited for in; `mine` are those of whoever asks."""

    waiting: int = 0
    taken: int = 0
    mine: int = 0
    overdue: int = 0


class StandingPage(BaseModel):
    """Those first whose customer is told soonest that nobody came; then those that a person has, and others, the newest
    first. `more`: there is a page after it."""

    conversations: list[Standing]
    counts: StandingCounts = Field(default_factory=StandingCounts)
    more: bool = False


class StaffHistory(History):
    """A page of a conversation as staff see it. `user_id` is whose it is, `held` who speaks in it now, `packet` what it
    was handed over with last. `of_people` are the runs on the page in which a person speaks. `earlier` is the position
    before which there is more, None at the beginning and where the latest was not asked for."""

    user_id: str = ""
    held: Held = Field(default_factory=Held)
    packet: dict[str, Any] | None = None
    of_people: list[str] = Field(default_factory=list[str])
    earlier: int | None = None


class TicketWanted(BaseModel):
    """Nobody came to a conversation in the stretch `run`: its customer is to have a ticket."""

    conversation: CONVERSATION_ID
    run: str
    caller: Caller
    subject: str
    description: str


class TicketMade(BaseModel):
    """The ticket for that stretch."""

    run: str
    ticket_id: str
