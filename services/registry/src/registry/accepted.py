"""What was accepted of the tools that others brought, kept where no tool reaches it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts import Tool
from registry.cluster import Cluster, ClusterError
from registry.pins import NOWHERE, Withdrawn, changes, digest, family, said
from registry.tools import NotOffered
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

Mode = Literal["first_seen", "named", "any"]

MAX_KEPT = 3_000
"""Characters of what a tool said that are kept, to show later what has changed: 200 tools fit into one ConfigMap."""


class NotKept(Exception):
    """What was accepted cannot be read or written; the message says where and why."""


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


class Store(Protocol):
    """A place that outlives this process. Both raise `NotKept`."""

    async def read(self) -> Mapping[str, str]: ...

    async def write(self, name: str, text: str) -> None: ...


class Folder:
    """One file for each tool."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Mapping[str, str]:
        try:
            return {file.stem: file.read_text() for file in self._path.glob("*.json")}
        except (OSError, UnicodeDecodeError) as error:
            raise NotKept(f"{self._path} cannot be read: {error}") from error

    async def write(self, name: str, text: str) -> None:
        """Complete or not at all."""
        file = self._path / f"{name}.json"
        unfinished = file.with_suffix(f".{os.getpid()}")
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(text)
            unfinished.replace(file)
        except OSError as error:
            raise NotKept(f"{file} cannot be written: {error.strerror}") from error


class ConfigMap:
    """One entry for each tool, so that two who write change nothing of each other's."""

    def __init__(self, cluster: Callable[[], Cluster], name: str) -> None:
        self._cluster = cluster
        self._name = name

    async def read(self) -> Mapping[str, str]:
        try:
            async with self._cluster() as cluster:
                return await cluster.config(self._name)
        except ClusterError as error:
            raise NotKept(f"ConfigMap {self._name}: {error}") from error

    async def write(self, name: str, text: str) -> None:
        try:
            async with self._cluster() as cluster:
                await cluster.set_config(self._name, {name: text})
        except ClusterError as error:
            raise NotKept(f"ConfigMap {self._name}: {error}") from error


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
            texts = await self._store.read()
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
                await self._store.write(name, accepted.model_dump_json())
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
