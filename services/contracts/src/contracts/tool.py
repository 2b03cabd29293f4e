"""The tool contract: what the registry offers and the router enforces.

The metadata keys that a handler sets to become a tool are listed in the README, "Add a tool".
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

Mode = Literal["call", "send"]

TOOL_NAME = r"^[a-zA-Z0-9_-]{1,64}$"
DEFAULT_TIMEOUT_SECONDS = 60.0
DEFAULT_MAX_RESULT_BYTES = 32768
DEFAULT_MAX_PER_RUN = 5
APPROVAL = r"(?s)^(never|required|provenance|(provenance,)?when:.*\S.*)$"


class Tool(BaseModel):
    """A tool on offer: what the model sees, and the policy that the router enforces.

    `parameters` is the closed JSON schema (an object, `additionalProperties: false`) without the bound properties.
    `bind` maps a top-level property to where its value comes from (`caller.user_id`).
    `key` is None for services, else `caller.user_id`, `argument:<name>` or `run`.
    `workflow`: the handler is the main handler of a workflow, which keeps its result by its key.
    `concurrent`: this effect need not wait for the calls before it in one message, nor those after it for this one.
    `max_per_run`: so many effects of it one run may make.
    `pinned`: it is on offer in every turn, however many tools there are.
    `steady`: the registry keeps its service registered, so that a call of it never meets nobody.
    `ticket`: the `ticket_id` of its result is a ticket that the run made.
    `approval`: when a person has to say yes before it is called; `contracts.rule` reads it.
    `destinations`: the properties that say where an effect goes, which `provenance` looks at.
    `trusted`: its results hold nothing that others have written, so what stands in them may be a destination.
    `compensate`: the handler of the same service that undoes it.
    A local tool has neither service nor handler.
    """

    name: str = Field(pattern=TOOL_NAME)
    description: str = ""
    parameters: dict[str, Any]
    service: str | None = None
    handler: str | None = None
    key: str | None = None
    workflow: bool = False
    bind: dict[str, str] = Field(default_factory=dict[str, str])
    mode: Mode = "call"
    readonly: bool = False
    concurrent: bool = False
    ticket: bool = False
    approval: str = Field(default="never", pattern=APPROVAL)
    destinations: list[str] = Field(default_factory=list[str])
    trusted: bool = False
    compensate: str | None = None
    pinned: bool = False
    steady: bool = False
    max_per_run: int = Field(default=DEFAULT_MAX_PER_RUN, gt=0)
    timeout: float = Field(default=DEFAULT_TIMEOUT_SECONDS, gt=0)
    roles: list[str] = Field(default_factory=list[str])
    max_result_bytes: int = Field(default=DEFAULT_MAX_RESULT_BYTES, gt=0)


class LeftOut(BaseModel):
    """A handler that wants to be a tool and is not offered, and why. `withdrawn`: it is not what was accepted."""

    tool: str
    handler: str
    reason: str
    withdrawn: bool = False


class Catalogue(BaseModel):
    """`GET /tools`: the tools on offer now, sorted by name, and what was left out.

    `switched_off` names what the operators' policy forbids; it holds for local tools too.
    """

    tools: list[Tool] = Field(default_factory=list[Tool])
    left_out: list[LeftOut] = Field(default_factory=list[LeftOut])
    switched_off: list[str] = Field(default_factory=list[str])
