"""Undoing what a run did: the call of each effect that can be undone, and what became of it."""

from typing import Literal

from pydantic import BaseModel, Field

from contracts.conversation import CONVERSATION_ID
from contracts.people import ByStaff
from contracts.question import Caller

UndoStatus = Literal["undoing", "undone", "not_undone"]
"""`not_undone`: nothing can undo it, or what undoes it has refused."""


class Undo(BaseModel):
    """The call that undoes one effect: `handler` of the effect's own service, with the effect's own key and arguments.

    `call` and `run_id` are what the effect's tool was told of itself. `apart`: as the effect, an invocation of its own
    makes the call.
    """

    call: str
    run_id: str
    tool: str
    service: str
    handler: str
    key: str | None = None
    body: str
    apart: bool = False


class UndoNoted(BaseModel):
    """A run is about to make an effect that can be undone."""

    run: str
    undo: Undo


class UndoWanted(BaseModel):
    """These effects of a run are to be undone, in this order. `change` names this one wish."""

    conversation: CONVERSATION_ID
    run: str
    change: str
    caller: Caller
    effects: list[Undo]


class Undone(BaseModel):
    """What became of one of them; `why` is what the tool said that refused."""

    run: str
    change: str
    call: str
    tool: str
    status: UndoStatus
    why: str = ""


class UndoRun(ByStaff):
    """Stop a run, if it is at work, and undo what it did."""

    run: str = Field(default="", max_length=64, description="Which run; empty: the one at work, else the latest.")


class Undoing(BaseModel):
    """The run that is being undone. `stopping`: it is at work, and is undone when it has settled. `effects` are the
    tools whose effects are undone, `left` those of which nothing can be undone."""

    run: str
    stopping: bool = False
    effects: list[str] = Field(default_factory=list[str])
    left: list[str] = Field(default_factory=list[str])
