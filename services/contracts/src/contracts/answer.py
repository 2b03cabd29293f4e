"""The answer to a question: always with what was done, whatever ended the run."""

from typing import Literal

from pydantic import BaseModel, Field

CallStatus = Literal["ok", "error", "denied", "unknown"]
"""`unknown`: the call did not end in time; it lives on as a task, and its effect may still come."""

Outcome = Literal[
    "answered",
    "turns_exhausted",
    "calls_exhausted",
    "tokens_exhausted",
    "time_exhausted",
    "errors_exhausted",
    "model_unavailable",
    "model_misconfigured",
    "tools_unavailable",
    "failed",
    "stopped",
    "handed_over",
]
"""`failed`: a defect of ours; the people who run the service are told. `stopped`: its conversation wants no answer.
`handed_over`: a person goes on."""


class CallRecord(BaseModel):
    """One tool call as the client sees it; `ms` is wall time from the decision until its result was seen."""

    call_id: str
    tool: str
    turn: int
    status: CallStatus
    ms: int


class Usage(BaseModel):
    """What the run spent; tokens as the model's server counted them."""

    turns: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Answer(BaseModel):
    """What `ToolRouter.route` returns for every question it accepted. `model` spoke last, as its endpoint names it;
    `request` is the question's own."""

    text: str
    outcome: Outcome
    calls: list[CallRecord] = Field(default_factory=list[CallRecord])
    tickets: list[str] = Field(default_factory=list[str])
    usage: Usage = Field(default_factory=Usage)
    model: str = ""
    request: str | None = None
