"""Conversations: what comes in, what is answered to it at once, and what a run of one is given and reports."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from contracts.answer import Outcome, Usage
from contracts.event import RunEvent
from contracts.question import MESSAGE_CHARACTERS, USER_ID, Caller
from contracts.step import TurnStep

CONVERSATION_ID = Annotated[str, StringConstraints(pattern=r"^conv_[A-Za-z0-9]{16,64}$")]
"""The key of a conversation: random, made by whoever opens it."""

INPUT_ID = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]

InputType = Literal["message", "stop"]

WhenBusy = Literal["steer", "queue", "reject", "interrupt", "rollback"]
"""What becomes of a message that comes while a run is at work.

- `steer`: the run reads it before its next model turn; if there is none, it is the next question
- `queue`: it is a question of its own, in order
- `reject`: it is refused with 409
- `interrupt`: the run is stopped; the next one sees its question and what it did
- `rollback`: the same, but the stopped question and its text leave the model's view
"""

Decided = Literal["started", "queued", "steered", "superseded", "rejected"]
"""What became of an input.

- `started`: a run answers it
- `queued`: it waits until another run has ended
- `steered`: the run reads it
- `superseded`: the run is stopped because of it
- `rejected`: it changes nothing
"""


class Input(BaseModel):
    """A message or a stop. The same `input_id` with the same content gets the same answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"text": "My API calls are failing.", "input_id": "1", "user_id": "user_12345"}],
        },
    )

    type: InputType = "message"
    text: str = Field(default="", max_length=MESSAGE_CHARACTERS, description="What the customer says.")
    input_id: INPUT_ID = Field(description="The client's own name for this input.")
    when_busy: WhenBusy = "steer"
    expected_run: str | None = Field(
        default=None, max_length=64, description="The run that it is meant for; refused with 409 if another is active."
    )
    opens: bool = Field(default=True, description="Whether it may be the first word of a conversation.")
    tells_repeats: bool = Field(default=False, description="Whether the answer says that it was taken before.")
    user_id: USER_ID | None = Field(default=None, description="Who asks; believed only where TRUST_USER_ID is set.")
    caller_token: str | None = Field(default=None, max_length=4096, description="A signed JWT that names the caller.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.type == "message" and not self.text.strip():
            raise ValueError("text is blank")
        if self.type == "stop" and self.text:
            raise ValueError("a stop has no text")
        return self


class Disposition(BaseModel):
    """What became of an input. `position` is its place in the transcript, `paused` says that the queue waits for a word
    of the customer, `run` is the run that answers it, reads it, or was stopped by it. `person`: no run does, a person
    reads it. `repeated`: it had been taken before, if the input
    asks for that. `event` is its place in the log of events."""

    disposition: Decided
    run: str = ""
    position: int = 0
    paused: bool = False
    person: bool = False
    repeated: bool = False
    event: int = 0


EntryKind = Literal[
    "message", "stop", "answer", "effect", "late", "note", "person", "owner", "packet", "approval", "undone"
]
"""A line of a transcript.

- `message`, `stop`: an input of the customer
- `answer`: what the agent said
- `effect`: one thing that a run did in the world
- `late`: what a run said after it had been stopped; nobody is shown it
- `note`: what happened to the conversation itself
- `person`: what a member of staff said
- `owner`: who speaks for us has changed
- `approval`: a call that a person decides: asked for, decided, or what became of it
- `packet`: what a person who takes over has to know; nobody but staff is shown it
- `undone`: an effect is being undone, was undone, or could not be: `status` says which
"""


class Entry(BaseModel):
    """One line of a transcript, as a run reads it. `effect` lines are data of ours, never a customer's words. `epoch`
    is that of the run which it belongs to."""

    kind: EntryKind
    text: str = ""
    epoch: int = 0


class Effect(BaseModel):
    """One thing that a run did in the world, or may have done: `status` is `ok`, `error` or `unknown`. `call` is the
    call's name in its run."""

    tool: str
    status: str
    call: str | None = None
    ticket_id: str | None = None
    task_id: str | None = None


class Facts(BaseModel):
    """What is kept as data beside all text: it never falls victim to a summary. `tasks` are calls that went on when
    they were last heard of."""

    tickets: list[str] = Field(default_factory=list[str])
    tasks: list[Effect] = Field(default_factory=list[Effect])


class Summary(BaseModel):
    """The older part of a conversation in prose: all runs up to that of the epoch `upto`."""

    upto: int = Field(ge=1)
    text: str = Field(min_length=1)


class ConversationRun(BaseModel):
    """What a run of a conversation is given: all of it is bounded.

    `caller` is proven, or believed where that is trusted. `inputs` are the customer's messages that it answers,
    `interrupted` says that they follow on a question that was stopped.
    """

    conversation: CONVERSATION_ID
    run: str
    epoch: int
    caller: Caller
    believed: bool = False
    inputs: list[str]
    summary: str = ""
    entries: list[Entry] = Field(default_factory=list[Entry])
    facts: Facts = Field(default_factory=Facts)
    interrupted: bool = False


class Tried(BaseModel):
    """One call of a run, in short."""

    tool: str
    status: str
    result: str = ""


class HandOver(BaseModel):
    """A run wants a person to go on: why, what it has promised the customer, and what it tried."""

    reason: str
    promised: str = ""
    tried: list[Tried] = Field(default_factory=list[Tried])


class RunReport(BaseModel):
    """What a run says at its end. Only the run that the conversation still listens to, by its `epoch`, posts a text.
    `steps` and the name of its trace are for staff."""

    run: str
    epoch: int
    outcome: Outcome
    text: str = ""
    effects: list[Effect] = Field(default_factory=list[Effect])
    events: list[RunEvent] = Field(default_factory=list[RunEvent])
    tickets: list[str] = Field(default_factory=list[str])
    usage: Usage = Field(default_factory=Usage)
    hand_over: HandOver | None = None
    steps: list[TurnStep] = Field(default_factory=list[TurnStep])
    trace_id: str = ""


class HistoryQuery(BaseModel):
    """A page of a conversation: what comes after a position."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0)
    limit: int = Field(default=50, ge=1, le=200)
    user_id: USER_ID | None = None
    caller_token: str | None = Field(default=None, max_length=4096)


class HistoryLine(BaseModel):
    """A line of a transcript as its customer sees it."""

    position: int
    kind: EntryKind
    run: str
    at: str
    body: dict[str, Any]


class History(BaseModel):
    """A page. `next` is where the next one begins, None at the end."""

    entries: list[HistoryLine]
    next: int | None = None


class OfCustomer(BaseModel):
    """Asks for something that a customer may have with a conversation of theirs, or with their tickets."""

    model_config = ConfigDict(extra="forbid")

    user_id: USER_ID | None = None
    caller_token: str | None = Field(default=None, max_length=4096)


class Listed(BaseModel):
    """A conversation in a list. `title` is the beginning of what was said first."""

    conversation: CONVERSATION_ID
    title: str
    opened_at: str
    changed_at: str


class ListPage(BaseModel):
    """Conversations of one customer, the latest word first. `next` is where the next page begins, None at the end."""

    conversations: list[Listed]
    next: str | None = None
