"""What members of staff see of the tools, and how an admin switches one off."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from contracts.people import ByStaff
from contracts.tool import TOOL_NAME

MOST_REASON = 300
"""Characters of a reason: what was switched has to fit into one ConfigMap."""

ACT_ID = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

ToolState = Literal["on", "off", "forbidden", "left_out"]
"""
- `on`: the model is offered it
- `off`: an admin has switched it off at the desk
- `forbidden`: the operators' policy has it switched off; the desk cannot change that
- `left_out`: its handler cannot be a tool, or is not what was accepted
"""

ToolOrigin = Literal["agent", "product", "others"]
"""Of the agent itself, of the product's own services, or of somebody else's."""


class ToolsQuery(ByStaff):
    """All tools."""


class ToolSwitch(ByStaff):
    """Switch a tool off, or on again. The same with the same `act_id` is done once."""

    tool: str = Field(pattern=TOOL_NAME)
    on: bool
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_REASON)]
    act_id: ACT_ID = Field(description="The client's own name for it.")


class ToolAct(BaseModel):
    """A tool was switched off, or on again, and by whom."""

    act_id: str
    tool: str
    on: bool
    who: str
    why: str
    at: str


class ToolLine(BaseModel):
    """One tool, where it comes from and how it stands. `why` says it of what is not on; `act` switched it off.

    `switchable`: an admin may switch it off or, where there is an `act`, on again.
    """

    name: str
    state: ToolState
    description: str = ""
    origin: ToolOrigin = "others"
    handler: str = ""
    address: str = ""
    readonly: bool = False
    approval: str = "never"
    roles: list[str] = Field(default_factory=list[str])
    withdrawn: bool = False
    why: str = ""
    act: ToolAct | None = None
    switchable: bool = False


class ToolChange(BaseModel):
    """A tool came, went or says something else; `told` says what differs, or why it went."""

    tool: str
    what: Literal["came", "went", "changed"]
    told: str = ""
    at: str


class ToolsShown(BaseModel):
    """All tools, and what changed, the newest first. What was before `since` nobody knows."""

    tools: list[ToolLine]
    changes: list[ToolChange]
    acts: list[ToolAct]
    since: str = ""
