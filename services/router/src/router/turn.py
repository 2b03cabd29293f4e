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


class Need(BaseModel):
    """A person has to say yes to this call before it is made. `why` is for staff, `role` is who may decide.

    `parameters` is the offered schema as JSON, which an edited call has to fit, and `fixed` names the arguments that
    nobody may edit.
    """

    approval_id: str
    why: str
    role: str = "approver"
    rules: list[str] = Field(default_factory=list[str])
    parameters: str = "{}"
    fixed: list[str] = Field(default_factory=list[str])


class Plan(BaseModel):
    """What the router will do with one call: `error` is told to the model instead of a call, `fault` says its kind.

    `body` is the final JSON for the tool, and `token` tells it for whom it is called. `apart`: an invocation of its own
    makes the call. `task_id` names the call if it outlives its turn; `once` is its key at Restate, which opens the
    result: nobody is told. `makes_ticket`: the `ticket_id` of its result is a ticket of this run. `timeout` is in
    seconds, from its start on. `arguments` and `own_id` are the model's own, and `foreign` what else its endpoint put
    into the call: they go back to it. `repaired` says what was mended in the arguments. `approval`: a person decides
    whether the call is made; `shadowed` are the rules by which one would, if they were not only tried out.
    `compensate`: the handler that undoes it. `trusted`: what stands in its result may be a destination.
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
    approval: Need | None = None
    shadowed: list[str] = Field(default_factory=list[str])
    compensate: str | None = None
    trusted: bool = False


class Limits(BaseModel):
    """The budgets of one run. `compact`: tokens of its older part past which that is summarised; 0: never before the
    model says that it is too long. `approval_wait`: so many seconds a run waits for a person's decision;
    `approval_seconds`: after so many nobody may decide any more."""

    turns: int
    calls: int
    tokens: int
    seconds: float
    errors: int
    compact: int = 0
    approval_wait: float = 10
    approval_seconds: float = 86_400


class RunFacts(BaseModel):
    """What is fixed before anything else, once: the caller, the budgets, the time, the names of model and prompt.

    `conversation` is the one that the run belongs to, `ticket_pattern` what the id of a ticket looks like.
    `question_effects`: so many kinds of effects are chosen for a question; 0: it may make any. `approval_shadow`: the
    rules for approvals that can be tried out only count. `traceparent` is the trace context of the attempt that fixed
    it; empty when there was none, None without tracing.
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
    question_effects: int = 0
    approval_shadow: bool = False
    traceparent: str | None = None


class Turn(BaseModel):
    """One model turn: the assistant's message and the plan of each of its calls.

    `inputs`: what the customer said meanwhile, which the model read before it.
    `again`: why the model is asked once more. `outcome` is set when this turn ended the run without an answer. `model`
    is what the endpoint says it is, `endpoint` our name for it; `foreign` is what else stood in the message, for that
    endpoint alone. `prompt` is the digest of the system prompt that it read. `may_make`: the effects that the run may
    make without a person; None: any.
    """

    inputs: list[str] = Field(default_factory=list[str])
    text: str = ""
    plans: list[Plan] = Field(default_factory=list[Plan])
    may_make: list[str] | None = None
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
