"""What members of staff ask of a conversation. Each proves by a token of their own who they are."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.conversation import CONVERSATION_ID, INPUT_ID, History
from contracts.question import MESSAGE_CHARACTERS, Caller
from contracts.step import TurnStep

STAFF_NAME_PATTERN = r"[A-Za-z0-9_.@:-]{1,64}"
STAFF_NAME = Annotated[str, StringConstraints(pattern=f"^{STAFF_NAME_PATTERN}$")]
"""How a member of staff is known: the `sub` of a staff token."""


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
    """A page of a conversation: what comes after a position."""

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=50, ge=1, le=200)


class StaffHistory(History):
    """A page of a conversation as staff see it. `user_id` is whose it is."""

    user_id: str = ""


class StepsQuery(ByStaff):
    """What a run did: the turns after one."""

    run: str = Field(min_length=1, max_length=64)
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=10, ge=1, le=20)


class RunSteps(BaseModel):
    """What a run did, a page of it. `state` is `active`, `stopped` or `ended`; Restate and the traces know it by its
    `invocation` and `trace_id`, which are empty where nobody does. A turn that was never reported is not there. `next`
    is where the next page begins, None at the end."""

    run: str
    state: str
    outcome: str = ""
    begun_at: str
    ended_at: str = ""
    invocation: str = ""
    trace_id: str = ""
    turns: list[TurnStep] = Field(default_factory=list[TurnStep])
    next: int | None = None


class Held(BaseModel):
    """Who speaks in a conversation now: a member of staff, nobody yet (`waiting`), or the agent."""

    person: str = ""
    waiting: bool = False


class Said(BaseModel):
    """Where it stands in the transcript."""

    position: int


class WaitingQuery(ByStaff):
    """Which conversations to list."""

    limit: int = Field(default=50, ge=1, le=200)


class Standing(BaseModel):
    """One conversation as staff see it in a list. `since` is when it was handed over, in ISO 8601."""

    conversation: str
    user_id: str
    person: str
    since: str
    reason: str


class StandingPage(BaseModel):
    """Those that wait for a person first, then those that a person has."""

    conversations: list[Standing]


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
