"""The policy file: switches tools off, tightens them, renames them, pins their names to a service.

It is merged over what tools say about themselves, and the tighter of the two holds, unless it says `override = true`.
"""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts import Rule, Tool
from contracts.tool import APPROVAL
from registry.tools import NotOffered, check_rules
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

SWITCHED_OFF = "switched off by the policy"

_HANDLER = r"^[^/]+/[^/]+$"
_NAME = r"^[a-zA-Z0-9_-]*\*?[a-zA-Z0-9_-]*$"


_SAID = {
    *("timeout", "max_result_bytes", "max_per_run", "roles", "readonly", "pinned"),
    *("approval", "destinations", "trusted"),
}
"""What replaces, or tightens, what the tool says about itself."""


class PolicyError(Exception):
    """The file cannot be used; the message is one line that says where and why."""


class ToolPolicy(BaseModel):
    """What the operators say about one tool, by its name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    enabled: bool = True
    service: str | None = Field(default=None, min_length=1)
    deployment: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    accepted: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    timeout: float | None = Field(default=None, gt=0)
    max_result_bytes: int | None = Field(default=None, gt=0)
    max_per_run: int | None = Field(default=None, gt=0)
    roles: list[str] | None = Field(default=None, min_length=1)
    readonly: bool | None = None
    pinned: bool | None = None
    approval: str | None = Field(default=None, pattern=APPROVAL)
    destinations: list[str] | None = Field(default=None, min_length=1)
    trusted: bool | None = None
    override: bool = False

    def applied(self, tool: Tool) -> Tool:
        """The tool under this policy; raises `NotOffered`."""
        if not self.enabled:
            raise NotOffered(SWITCHED_OFF)
        wanted = self.wanted(tool)
        tighter = wanted if self.override else _tighter(tool, wanted)
        if tool.roles and not tighter.roles:  # no roles would mean everybody
            raise NotOffered("the policy leaves no role that may use it")
        check_rules(tighter)
        return tighter

    def wanted(self, tool: Tool) -> Tool:
        """What the policy asks for, looser or not."""
        said = self.model_dump(include=_SAID, exclude_none=True)
        if self.approval is not None:
            said["approval"] = Rule.of(self.approval).text
        if not self.override:
            said |= self._joined(tool)
        return tool.model_copy(update=said)

    def _joined(self, tool: Tool) -> dict[str, Any]:
        """Of what goes together with what the tool says: both destinations, and a person is asked by either rule."""
        joined: dict[str, Any] = {}
        if self.destinations is not None:
            joined["destinations"] = list(dict.fromkeys([*tool.destinations, *self.destinations]))
        own, more = Rule.of(tool.approval), Rule.of(self.approval or "never")
        if more != Rule() and not own.required:
            joined["approval"] = own.or_else(more).text
        return joined


class Policy(BaseModel):
    """`names` has other names for tools: `Service/handler = "name"`, or `Service/* = "prefix_*"` for all of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tools: dict[str, ToolPolicy] = Field(default_factory=dict[str, ToolPolicy])
    names: dict[Annotated[str, Field(pattern=_HANDLER)], Annotated[str, Field(pattern=_NAME)]] = Field(
        default_factory=dict[str, str]
    )

    @model_validator(mode="after")
    def _one_name_for_one_tool(self) -> Self:
        for handler, name in self.names.items():
            if handler.endswith("/*") != ("*" in name):
                raise ValueError(f"names: {handler!r} = {name!r}: a `*` stands in both or in neither")
        return self

    def name_of(self, service: str, handler: str, own_name: str) -> str:
        """The name that the model reads."""
        whole_service = self.names.get(f"{service}/*", "*").replace("*", own_name)
        return self.names.get(f"{service}/{handler}", whole_service)

    def of(self, tool: str) -> ToolPolicy:
        return self.tools.get(tool, ToolPolicy())

    def switched_off(self) -> list[str]:
        return sorted(name for name, policy in self.tools.items() if not policy.enabled)


def _tighter(tool: Tool, wanted: Tool) -> Tool:
    return tool.model_copy(
        update={
            "timeout": min(tool.timeout, wanted.timeout),
            "max_result_bytes": min(tool.max_result_bytes, wanted.max_result_bytes),
            "max_per_run": min(tool.max_per_run, wanted.max_per_run),
            "roles": [role for role in wanted.roles if role in tool.roles] if tool.roles else wanted.roles,
            "readonly": tool.readonly and wanted.readonly,
            "pinned": wanted.pinned,
            "approval": tool.approval if tool.approval == "required" or wanted.approval == "never" else wanted.approval,
            "destinations": wanted.destinations,
            "trusted": tool.trusted and wanted.trusted,
        }
    )


class PolicyFile:
    """The policy in force: read at start, where a fault ends the process, and again whenever the file changes.

    `switched_off` are tools that are off whatever the file says.
    """

    def __init__(
        self, path: Path | None, local_tools: Collection[str] = (), switched_off: Collection[str] = ()
    ) -> None:
        self._path = path
        self._local_tools = local_tools
        self._switched_off = switched_off
        self._text = ""
        self._fault: str | None = None
        self.policy = self._without_switched_off(Policy())
        if path is not None:
            self._take_over(path, _text(path))

    def refresh(self) -> None:
        """Take over a changed file; a fault in it leaves the last good policy in force and is logged once."""
        if self._path is None:
            return
        try:
            text = _text(self._path)
            if text != self._text:
                self._take_over(self._path, text)
                log.info("policy_changed", extra={"tools": sorted(self.policy.tools)})
            self._fault = None
        except PolicyError as error:
            if self._fault != str(error):
                log.warning("policy_refused", extra={"reason": str(error), "in_force": "the last good policy"})
            self._fault = str(error)

    def _take_over(self, path: Path, text: str) -> None:
        policy = _parsed(path, text)
        for name in self._local_tools:
            if policy.of(name) not in (ToolPolicy(), ToolPolicy(enabled=False)):
                raise PolicyError(f"policy file {path}: tools.{name}: a local tool can only be switched off")
        self.policy, self._text = self._without_switched_off(policy), text

    def _without_switched_off(self, policy: Policy) -> Policy:
        off = {name: policy.of(name).model_copy(update={"enabled": False}) for name in self._switched_off}
        return policy.model_copy(update={"tools": policy.tools | off})


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"policy file {path} cannot be read: {error}") from error


def _parsed(path: Path, text: str) -> Policy:
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy file {path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PolicyError(f"policy file {path}: {where}: {first['msg']}") from error
