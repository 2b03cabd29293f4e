"""What a run is made of: turns, the plans of their calls, and what became of these."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from contracts import Caller, CallStatus, Outcome

Fault = Literal["unknown_tool", "bad_arguments", "forbidden", "refused", "failed", "timeout"]
"""Why a call has no result: the first three are found while it is planned, the others while it is made."""

CallKind = Literal["refused", "local", "read", "effect", "started"]
"""What is done with a call; there is a class for each in `router.calls`.

- `refused`: it is not made, and the model is told why
- `local`: it runs in the router
- `read`: its result is waited for, and it is cancelled at its timeout
- `effect`: its result is waited for, and it goes on after its timeout
- `started`: it is started and goes on by itself
"""


Again = Literal["", "cut", "empty", "spent", "half_call", "bad_call", "too_long"]
"""Why a turn is no end, though it has no calls, and the model is asked once more, each time in other words.

- `cut`: its text stopped at the length limit
- `empty`: it said nothing
- `spent`: it said nothing before the length limit
- `half_call`: it stopped within a call; no call of it is made
- `bad_call`: it wrote a call that neither the endpoint nor we can read
- `too_long`: the conversation did not fit into the model, which said nothing; a part of it is summarised first
"""


class WantedCall(BaseModel):
    """A tool call as the model wrote it; nothing of it is trusted.

    `arguments` should be a JSON object in a string. `id` is the endpoint's name for it, `foreign` what else it held.
    """

    name: str
    arguments: str
    id: str = ""
    foreign: dict[str, Any] = Field(default_factory=dict[str, Any])


class Plan(BaseModel):
    """What the router will do with one call: `error` is told to the model instead of a call, `fault` says its kind.

    `body` is the final JSON for the tool, and `token` tells it for whom it is called. `apart`: an invocation of its own
    makes the call. `task_id` names the call if it outlives its turn; `once` is its key at Restate, which opens the
    result: nobody is told. `makes_ticket`: the `ticket_id` of its result is a ticket of this run. `timeout` is in
    seconds, from its start on. `arguments` and `own_id` are the model's own, and `foreign` what else its endpoint put
    into the call: they go back to it. `repaired` says what was mended in the arguments.
    """

    call_id: str
    tool: str
    arguments: str
    own_id: str = ""
    foreign: dict[str, Any] = Field(default_factory=dict[str, Any])
    repaired: list[str] = Field(default_factory=list[str])
    kind: CallKind = "refused"
    error: str | None = None
    fault: Fault | None = None
    service: str = ""
    handler: str = ""
    key: str | None = None
    workflow: bool = False
    apart: bool = False
    concurrent: bool = False
    body: str = ""
    timeout: float = 0
    max_result_bytes: int = 0
    task_id: str = ""
    once: str = ""
    makes_ticket: bool = False
    token: str = ""


class Limits(BaseModel):
    """The budgets of one run. `compact`: tokens of its older part past which that is summarised; 0: never before the
    model says that it is too long."""

    turns: int
    calls: int
    tokens: int
    seconds: float
    errors: int
    compact: int = 0


class Begun(BaseModel):
    """What is settled before anything else, once: the caller, the budgets, the time, the names of model and prompt.

    `conversation` is the one that the run belongs to, `ticket_pattern` what the id of a ticket looks like.
    `traceparent` is the trace context of the attempt that settled it; empty when there was none, None without tracing.
    `check_customer` is the handler that has to know the caller first, empty when nobody has to be asked, and
    `check_token` what it is told.
    """

    caller: Caller
    limits: Limits
    started_at: float
    check_customer: str = ""
    check_token: str = ""
    model: str = ""
    prompt: str = ""
    conversation: str = ""
    ticket_pattern: str = ""
    traceparent: str | None = None


class Turn(BaseModel):
    """One model turn: the assistant's message and the plan of each of its calls.

    `inputs`: what the customer said meanwhile, which the model read before it.
    `again`: why the model is asked once more. `outcome` is set when this turn ended the run without an answer. `model`
    is what the endpoint says it is, `endpoint` our name for it; `foreign` is what else stood in the message, for that
    endpoint alone. `prompt` is the digest of the system prompt that it read.
    """

    inputs: list[str] = Field(default_factory=list[str])
    text: str = ""
    plans: list[Plan] = Field(default_factory=list[Plan])
    again: Again = ""
    endpoint: str = ""
    foreign: dict[str, Any] = Field(default_factory=dict[str, Any])
    outcome: Outcome | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""
    prompt: str = ""

    @property
    def was_read(self) -> bool:
        """Whether the model read what it was asked."""
        return self.again != "too_long"

    @property
    def is_last(self) -> bool:
        return self.outcome is not None or not (self.plans or self.again)


Part = Literal["past", "turns"]
"""What is summarised: what was said before the run, or what the run has done so far."""


class Summary(BaseModel):
    """An older part in prose: the runs up to an epoch, or so many turns of this one. Without a text there is none: no
    model would write it."""

    part: Part
    upto: int
    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Result(BaseModel):
    """What became of one call. `content` is what the model reads; `ticket_id` is of the tool's own result."""

    call_id: str
    tool: str
    status: CallStatus
    content: str
    fault: Fault | None = None
    ticket_id: str | None = None
