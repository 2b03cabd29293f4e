"""What goes over the wire, as clients see it. It changes by additions alone."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts import MESSAGE_CHARACTERS, CallRecord, Decided, InputType, Outcome, Usage, WhenBusy

MAX_WAIT = 60


_AT = "2026-01-02T03:04:05Z"
_RUN = "run_0123456789abcdef"
_CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
_QUESTION = "q_0123456789abcdef0123456789abcdef"
_TICKET = {
    "ticket_id": "TCK-000001",
    "subject": "API calls fail",
    "category": "bug",
    "priority": "high",
    "status": "open",
    "created_at": _AT,
    "sla_due_at": "2026-01-02T11:04:05Z",
}


def _like(**example: Any) -> ConfigDict:
    """With an example for the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Asked(_In):
    """A question of its own."""

    model_config = _like(message="Is there an outage affecting the payment service?", wait=30)

    message: str = Field(
        min_length=1,
        max_length=MESSAGE_CHARACTERS,
        pattern=r"\S",
        description="The question in the customer's own words.",
        examples=["Is there an outage affecting the payment service?"],
    )
    wait: float = Field(
        default=30,
        strict=True,
        ge=0,
        le=MAX_WAIT,
        allow_inf_nan=False,
        description="Seconds to wait for the answer; then 202 says where to look.",
    )


class Opening(_In):
    """A new conversation; nothing is said in it yet."""

    model_config = _like()


class Said(_In):
    """A message, or a stop."""

    model_config = _like(text="My API calls are failing.")

    type: InputType = "message"
    text: str = Field(
        default="",
        max_length=MESSAGE_CHARACTERS,
        description="What the customer says; of a stop nothing.",
        examples=["My API calls are failing."],
    )
    input_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
        description="A name of yours for this message within its conversation: sent again, it is said once. An"
        " `Idempotency-Key` does the same and goes before it.",
    )
    when_busy: WhenBusy = Field(
        default="steer",
        description="What becomes of it while a run is at work. `steer`: the run reads it; `queue`: it is the next"
        " question; `reject`: 409; `interrupt`: the run is stopped, and this is asked instead; `rollback`: the same,"
        " and what was asked before is forgotten.",
    )
    expected_run: str | None = Field(
        default=None, max_length=64, description="The run that it is meant for: 409 if another is at work, or none."
    )


class Me(BaseModel):
    """Who the gateway takes you for. `demo`: somebody made up."""

    model_config = _like(user_id="user_12345", name="Alex Kim", roles=[], demo=False)

    user_id: str
    name: str
    roles: list[str]
    demo: bool


class Running(BaseModel):
    """The answer is not there yet. `url` is where it will be."""

    model_config = _like(id=_QUESTION, status="running", url=f"/api/v1/questions/{_QUESTION}")

    id: str
    status: Literal["running"] = "running"
    url: str


class Answered(BaseModel):
    """The answer to a question, and what was done for it. `outcome` says what ended the run."""

    model_config = _like(
        id=_QUESTION,
        status="done",
        text="The payment service has an outage.",
        outcome="answered",
        calls=[{"call_id": "c1", "tool": "check_service_status", "turn": 1, "status": "ok", "ms": 120}],
        tickets=[],
        usage={"turns": 2, "calls": 1, "prompt_tokens": 900, "completion_tokens": 60},
        model="gpt-4.1-mini",
    )

    id: str
    status: Literal["done"] = "done"
    text: str
    outcome: Outcome
    calls: list[CallRecord] = Field(default_factory=list[CallRecord])
    tickets: list[str] = Field(default_factory=list[str])
    usage: Usage = Field(default_factory=Usage)
    model: str = ""


class Opened(BaseModel):
    """A conversation, by its id."""

    model_config = _like(id=_CONVERSATION)

    id: str


class Disposed(BaseModel):
    """What became of a message or a stop. `run` answers it, reads it or was stopped by it; `position` is its place;
    `paused`: the queue waits for a word; `person`: a person reads it, and no run."""

    model_config = _like(disposition="started", run=_RUN, position=1, paused=False, person=False)

    disposition: Decided
    run: str
    position: int
    paused: bool
    person: bool


class Line(BaseModel):
    """One line of a conversation."""

    position: int
    kind: str = Field(description="`message`, `stop`, `answer`, `effect`, `note`, `person`, `owner`")
    run: str
    at: datetime
    body: dict[str, Any]


class Conversation(BaseModel):
    """A conversation, or a page of it: `next` is the `after` of the next page, null at the end."""

    model_config = _like(
        id=_CONVERSATION,
        messages=[{"position": 1, "kind": "message", "run": _RUN, "at": _AT, "body": {"text": "My API calls fail."}}],
        next=None,
    )

    id: str
    messages: list[Line]
    next: int | None = None


class Listed(BaseModel):
    """A conversation in the list; `title` is the beginning of what was said first."""

    id: str
    title: str
    opened_at: datetime
    changed_at: datetime


class Conversations(BaseModel):
    """Conversations, the latest word first; `next` is the `after` of the next page, null at the end."""

    model_config = _like(
        conversations=[{"id": _CONVERSATION, "title": "My API calls fail.", "opened_at": _AT, "changed_at": _AT}],
        next=None,
    )

    conversations: list[Listed]
    next: str | None = None


class Ticket(BaseModel):
    """How a ticket stands."""

    ticket_id: str
    subject: str
    category: str
    priority: str
    status: str
    created_at: datetime
    sla_due_at: datetime


class TicketDetails(Ticket):
    """A ticket with its text."""

    model_config = _like(**_TICKET, description="All of them, since this morning.", updated_at=_AT)

    description: str
    updated_at: datetime


class Tickets(BaseModel):
    """The customer's tickets, the newest first."""

    model_config = _like(tickets=[_TICKET])

    tickets: list[Ticket]


class DemoCustomer(BaseModel):
    """A made-up customer, and the token by which anybody is them."""

    user_id: str
    name: str
    token: str


class DemoCustomers(BaseModel):
    """Whom anybody may be."""

    model_config = _like(customers=[{"user_id": "user_12345", "name": "Alex Kim", "token": "demo-user_12345"}])

    customers: list[DemoCustomer]
