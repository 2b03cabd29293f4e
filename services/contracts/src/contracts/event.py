"""What whoever watches a conversation is told of its runs."""

from typing import Any, Literal

from pydantic import BaseModel, Field

RunEventKind = Literal["turn", "tool_started", "tool_finished"]
"""What a run tells of itself; that it began and how it ended, its conversation tells.

- `turn`: the model has decided; `turn`, `text` and `tools` say what. `last`: the answer follows
- `tool_started`, `tool_finished`: a call of a tool, by its name; at its end with `status` and, if any, `ticket_id`
"""


class RunEvent(BaseModel):
    """One line of a conversation's log. `key` is one and the same however often it is told in a run."""

    key: str
    kind: RunEventKind
    body: dict[str, Any] = Field(default_factory=dict[str, Any])
