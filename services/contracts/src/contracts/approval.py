"""Approvals: a person's yes or no to one call, before it is made."""

import hashlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from contracts.conversation import CONVERSATION_ID
from contracts.people import ByStaff
from contracts.question import Caller

APPROVAL_ID = Annotated[str, StringConstraints(pattern=r"^appr_[A-Za-z0-9]{16,64}$")]
"""The key of an approval. It opens the call's result at Restate's ingress: staff are told it, customers never."""

DIGEST = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of arguments in canonical JSON (RFC 8785), in lower-case hex."""


def digest_of(arguments: str) -> str:
    """The `DIGEST` of arguments in canonical JSON."""
    return hashlib.sha256(arguments.encode()).hexdigest()


REASON_CHARACTERS = 500

ApprovalStatus = Literal["pending", "approved", "edited", "denied", "expired", "withdrawn"]
"""How an approval stands.

- `pending`: nobody has decided
- `approved`: the call is made as it was planned
- `edited`: it is made with other arguments, which a person wrote
- `denied`: a person said no
- `expired`: nobody decided in time
- `withdrawn`: its conversation wanted the call no more, before anybody decided
"""

Choice = Literal["approve", "deny", "edit"]


class Proposal(BaseModel):
    """A call that is not made until a person says yes.

    `arguments` are all that the tool will read, in canonical JSON, and `digest` is theirs. `fixed` names those that
    nobody may edit; the others have to fit `parameters`, the offered schema as JSON. `run` and `epoch` name the run of
    the conversation that asks; a single question has no conversation. `invocation` is what waits, `message` what the
    customer had asked.
    """

    approval_id: APPROVAL_ID
    conversation: CONVERSATION_ID | None = None
    run: str
    epoch: int = 0
    call: str
    invocation: str
    caller: Caller
    tool: str
    arguments: str
    digest: DIGEST
    fixed: list[str] = Field(default_factory=list[str])
    parameters: str
    message: str = ""
    why: str
    role: str
    expires_in: float = Field(gt=0)


class ApprovalWanted(BaseModel):
    """Which approval; nothing more is to be said about it."""

    approval_id: APPROVAL_ID


class ApprovalState(BaseModel):
    """How an approval stands, for the call that waits for it.

    `digest` is that of the planned arguments; `arguments` are those to make the call with, once it may be made.
    `seconds_left` until nobody may decide it any more, by the clock of the database. `reason` is whoever decided's.
    """

    status: ApprovalStatus
    digest: str = ""
    arguments: str = ""
    seconds_left: float = 0
    reason: str = ""


class ApprovalOutcome(BaseModel):
    """What became of a call after its run had left it. `text` is for the customer, `told` for the model.

    `left`: the run that asked does not wait for it any more, so that the conversation tells it.
    """

    approval_id: APPROVAL_ID
    run: str
    tool: str
    task_id: str = ""
    status: ApprovalStatus
    done: bool = False
    text: str
    told: str
    left: bool = False


class ApprovalsQuery(ByStaff):
    """Which approvals to list: those that wait for a decision, or those that do not; `cursor` is a former page's
    `next`."""

    limit: int = Field(default=50, ge=1, le=200)
    decided: bool = False
    cursor: str = Field(default="", max_length=96, pattern=r"^([0-9]{1,17}~appr_[A-Za-z0-9]{16,64})?$")


class ApprovalQuery(ByStaff):
    """Which approval to show."""

    approval_id: APPROVAL_ID


class Decide(ByStaff):
    """Decide an approval. `digest` is that of the arguments that were shown, so that nobody decides what they have not
    seen. `arguments` are all those of an edited call that are not fixed."""

    approval_id: APPROVAL_ID
    digest: DIGEST
    choice: Choice
    reason: str = Field(default="", max_length=REASON_CHARACTERS, description="Why; the agent reads it.")
    arguments: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.choice == "edit") != (self.arguments is not None):
            raise ValueError("arguments belong to an edit, and an edit has arguments")
        if self.choice == "deny" and not self.reason.strip():
            raise ValueError("a denial has a reason")
        return self


class Edited(BaseModel):
    """Arguments that a person wrote for a call, to be checked as the model's own are. `fixed` are those that stay."""

    arguments: dict[str, Any]
    parameters: str
    fixed: dict[str, Any] = Field(default_factory=dict[str, Any])


class Fitted(BaseModel):
    """All arguments of the edited call in canonical JSON, or what is wrong with them."""

    arguments: str = ""
    complaint: str = ""


class Ruling(BaseModel):
    """What was decided. The same decision by the same person gets the same answer."""

    approval_id: str
    status: ApprovalStatus
    by: str
    at: str


class ApprovalLine(BaseModel):
    """One approval as staff see it in a list."""

    approval_id: str
    status: ApprovalStatus
    tool: str
    user_id: str
    conversation: str | None
    role: str
    why: str
    asked_at: str
    expires_at: str


class ApprovalPage(BaseModel):
    """Those that expire first come first; of decided ones the latest. `next` is the cursor of the page after it, empty
    at the end."""

    approvals: list[ApprovalLine]
    next: str = ""


class Change(BaseModel):
    """An argument that a person has edited; None stands for none."""

    name: str
    before: Any = None
    after: Any = None


class ApprovalShown(ApprovalLine):
    """One approval, with all that is decided about."""

    run: str
    message: str
    arguments: dict[str, Any]
    digest: str
    fixed: list[str]
    parameters: dict[str, Any]
    decided_by: str
    decided_at: str
    reason: str
    changes: list[Change]
