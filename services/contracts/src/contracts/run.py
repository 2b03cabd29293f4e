"""The agent's runs of all conversations as staff see them, and how a member of staff stops one."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from contracts.audit import place_of
from contracts.conversation import INPUT_ID
from contracts.people import ByStaff
from contracts.question import USER_ID

RunKind = Literal["all", "running", "failed"]
"""`failed`: ended with neither an answer, nor a stop, nor a hand-over."""
RunState = Literal["running", "stopping", "failed", "ended"]


class StopRun(ByStaff):
    """Stop this run and no other. The same stop with the same `act_id` is made once."""

    act_id: INPUT_ID = Field(description="The client's own name for it.")
    expected_run: str = Field(min_length=1, max_length=64, description="The run that is meant, as it was shown.")
    why: str = Field(min_length=1, max_length=500, description="For the audit; the customer is not told.")


class RunStopped(BaseModel):
    """Which run was stopped, and the place of the line by which the customer is told."""

    run: str
    position: int


class RunsQuery(ByStaff):
    """Which runs to tell, the latest first. `cursor` is the `next` of the page before."""

    kind: RunKind = "all"
    user_id: USER_ID | None = Field(default=None, description="Of this customer alone.")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = Field(default="", max_length=128, pattern=r"^([0-9]{1,17}~[A-Za-z0-9_-]{1,64})?$")

    @property
    def before(self) -> tuple[datetime | None, str]:
        """When the last run of the page before began, and its name."""
        return place_of(self.cursor)


class RunLine(BaseModel):
    """One run in a list. `seconds` is how long it took, or has been at work. `turns` and tokens are None while nobody
    knows them: it is at work, or was cut short. `stopped_by` is the member of staff who stopped it, and `why` what
    for."""

    conversation: str
    user_id: str
    run: str
    state: RunState
    outcome: str = ""
    begun_at: str
    seconds: float
    turns: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    invocation: str = ""
    trace_id: str = ""
    stopped_by: str = ""
    why: str = ""


class RunsPage(BaseModel):
    """`next` is where the next page begins, empty at the end."""

    runs: list[RunLine]
    next: str = ""
