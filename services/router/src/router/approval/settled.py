"""What became of a call that a person decides, and how it stands until then."""

from pydantic import BaseModel

from contracts import ApprovalStatus
from router.turn import Result


class Settled(BaseModel):
    """What became of it: how they decided, and what the model reads."""

    approval: ApprovalStatus
    result: Result


class Stands(BaseModel):
    """How it stands: whether a person has said yes, and what became of it, once that is known."""

    approved: bool = False
    settled: Settled | None = None
