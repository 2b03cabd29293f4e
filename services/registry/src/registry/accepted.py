"""What was accepted of the tools that others brought, kept where no tool reaches it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts import Tool
from registry.kept import NotKept, Store
from registry.pins import NOWHERE, Withdrawn, changes, digest, family, said
from registry.tools import NotOffered
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

Mode = Literal["first_seen", "named", "any"]

MAX_KEPT = 3_000
"""Characters of what a tool said that are kept, to show later what has changed: 200 tools fit into one ConfigMap."""


class AcceptedTool(BaseModel):
    """One tool as it was accepted."""

    model_config = ConfigDict(frozen=True)

    handler: str
    """`Service/handler`; it keeps the name of the tool."""
    digest: str
    said: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Empty if it is too long to be kept."""
    deployment: str = ""
    """Where it has to live; empty: anywhere."""

    @staticmethod
    def of(tool: Tool, deployment: str = "") -> "AcceptedTool":
        kept = AcceptedTool(
            handler=f"{tool.service}/{tool.handler}", digest=digest(tool), said=said(tool), deployment=deployment
        )
        fits = len(kept.model_dump_json()) <= MAX_KEPT
        return kept if fits else kept.model_copy(update={"said": {}})

    def difference(self, tool: Tool) -> str:
        """What has changed since, to read."""
        return changes(self.said, said(tool)) if self.said else f"digest: {self.digest} -> {digest(tool)}"


class Accepted:
    """What was accepted, as it was read last, and whether what is seen first is accepted too.

    Without a store it is forgotten when this process ends.
    """

    def __init__(self, mode: Mode = "any", store: Store | None = None) -> None:
        self._mode = mode
        self._store = store
        self._read = False
        self._fault = ""
        self._seen: dict[str, AcceptedTool] = {}
        self.tools: dict[str, AcceptedTool] = {}

    async def refresh(self) -> None:
        """Read it anew. If that fails, what was read before stays in force; without any it raises `NotKept`."""
        if self._store is None or self._mode == "any":
            return
        try:
            texts = (await self._store.read()).texts
        except NotKept as error:
            self._tell(str(error))
            if not self._read:
                raise
            return
        self._read, self._fault = True, ""
        self.tools = {name: parsed(text) for name, text in texts.items()} | self._seen

    def check(self, tool: Tool, uri: str) -> None:
        """Raises `NotOffered` unless this tool, living there, is what was accepted, or is accepted now."""
        if self._mode == "any":
            return
        accepted = self.tools.get(tool.name)
        if accepted is None and self._mode == "named":
            raise NotOffered("nobody has accepted it")
        if accepted is None:
            self._seen[tool.name] = self.tools[tool.name] = AcceptedTool.of(tool)
        else:
            _compare(accepted, tool, uri)

    async def keep_seen(self) -> None:
        """Write down what was seen for the first time; what cannot be written is tried again at the next poll."""
        if self._store is None:
            self._seen.clear()
            return
        try:
            for name, accepted in list(self._seen.items()):
                await self._store.write({name: accepted.model_dump_json()})
                log.info("tool_accepted", extra={"tool": name, "digest": accepted.digest})
                del self._seen[name]
        except NotKept as error:
            self._tell(str(error))

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            log.warning("accepted_not_kept", extra={"reason": fault})
        self._fault = fault


def _compare(accepted: AcceptedTool, tool: Tool, uri: str) -> None:
    if accepted.deployment and family(uri) != family(accepted.deployment):
        raise Withdrawn(f"{tool.service} moved to {uri or NOWHERE}; it was accepted at {accepted.deployment}")
    if accepted.digest != digest(tool):
        raise Withdrawn(f"it is not what was accepted ({digest(tool)}): {accepted.difference(tool)}")


def parsed(text: str) -> AcceptedTool:
    """What cannot be read is something that no tool is like."""
    try:
        return AcceptedTool.model_validate_json(text)
    except ValidationError:
        return AcceptedTool(handler="", digest="unreadable")
