"""What a run did, for staff who want to know why: each turn of the model, and each call that it decided."""

from pydantic import BaseModel, Field

from contracts.answer import CallStatus


class CallStep(BaseModel):
    """One call. `arguments` are canonical JSON and `result` is what the model read of it, both cut where they are long.
    `sources` names what the result rests on. `ms` is None where nobody has measured it."""

    call: str
    tool: str
    status: CallStatus
    target: str = ""
    arguments: str = ""
    result: str = ""
    sources: list[str] = Field(default_factory=list[str])
    ms: int | None = None


class TurnStep(BaseModel):
    """One turn: what the model wrote, and the calls that it decided. `model` is what its endpoint says it is."""

    turn: int
    text: str = ""
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    ms: int | None = None
    calls: list[CallStep] = Field(default_factory=list[CallStep])
