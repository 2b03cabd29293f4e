"""What admins switched, and when tools came, went or changed: kept where all replicas read the same."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, Field, ValidationError

from contracts import Catalogue, Tool, ToolAct, ToolChange, ToolSwitch
from registry.kept import Entries, NotKept, Raced, Store
from registry.pins import said
from runtime.errors import Refused
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

MOST_ACTS = 200
"""So many are kept, and those by which a tool is off now."""
MOST_CHANGES = 100
TRIES = 5
SHOWN_CHARACTERS = 80
TOLD_CHARACTERS = 400

_ACT = "act."
_TOOLS = "tools"

Check = Callable[[ToolSwitch], None]
"""Raises `Refused` for what cannot be switched so."""


class Seen(BaseModel):
    """What each tool on offer said when it was last looked at, shortened, and what changed before, the newest first."""

    since: str = ""
    tools: dict[str, dict[str, str]] = Field(default_factory=dict[str, dict[str, str]])
    changes: list[ToolChange] = Field(default_factory=list[ToolChange])

    def after(self, now: Catalogue, at: str) -> "Seen":
        """The same when these are the tools. Of the first ones nobody knows what they said before."""
        tools = {tool.name: _shortened(tool) for tool in now.tools}
        if not self.since:
            return Seen(since=at, tools=tools)
        came = [ToolChange(tool=name, what="came", at=at) for name in sorted(tools.keys() - self.tools.keys())]
        went = [
            ToolChange(tool=name, what="went", told=_why_gone(name, now), at=at)
            for name in sorted(self.tools.keys() - tools.keys())
        ]
        changed = [
            ToolChange(tool=name, what="changed", told=_difference(self.tools[name], tools[name]), at=at)
            for name in sorted(tools.keys() & self.tools.keys())
            if tools[name] != self.tools[name]
        ]
        changes = [*came, *went, *changed, *self.changes]
        return Seen(since=self.since, tools=tools, changes=changes[:MOST_CHANGES])


class Record:
    """As it was read last. Without a store nothing is known, and nothing can be switched."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._read = False
        self._fault = ""
        self._told: Catalogue | None = None
        self.acts: list[ToolAct] = []
        """The oldest first."""
        self.seen = Seen()

    @property
    def off(self) -> dict[str, ToolAct]:
        """What is switched off now, and by which act."""
        return {name: act for name, act in _latest(self.acts).items() if not act.on}

    async def refresh(self) -> None:
        """Read it anew. If that fails, what was read before stays in force; without any it raises `NotKept`."""
        if self._store is None:
            return
        try:
            async with self._lock:
                await self._look(self._store)
        except NotKept as error:
            self._tell(error)
            if not self._read:
                raise

    async def switch(self, asked: ToolSwitch, who: str, check: Check) -> ToolAct:
        """What was done under this name before, or now. Raises: `Refused`, `NotKept`."""
        if self._store is None:
            raise NotKept("there is no place to keep it: set RECORD_DIR or RECORD_CONFIGMAP")
        async with self._lock:
            for _ in range(TRIES):
                version = await self._look(self._store)
                if known := self._repeated(asked, who):
                    return known
                check(asked)
                try:
                    return await self._add(self._store, asked, who, version)
                except Raced:
                    continue
        raise NotKept("others write all the time")

    async def keep_changes(self, now: Catalogue) -> None:
        """Write down what has come, gone or changed since this process looked last; what fails is tried again."""
        if self._store is None or now == self._told:
            return
        try:
            async with self._lock:
                version = await self._look(self._store)
                seen = self.seen.after(now, datetime.now(UTC).isoformat())
                if seen != self.seen:
                    await self._store.write({_TOOLS: seen.model_dump_json()}, version)
                self.seen, self._told = seen, now
        except Raced:
            return
        except NotKept as error:
            self._tell(error)

    async def _look(self, store: Store) -> str:
        """Reads it; returns the version of what was read."""
        found = await store.read()
        self.acts, self.seen = _acts(found), _seen(found)
        self._read, self._fault = True, ""
        return found.version

    def _repeated(self, asked: ToolSwitch, who: str) -> ToolAct | None:
        known = next((act for act in self.acts if act.act_id == asked.act_id), None)
        if known and (known.tool, known.on, known.why, known.who) != (asked.tool, asked.on, asked.why, who):
            raise Refused(409, "act_id_taken", "this act_id was something else", "act_id")
        return known

    async def _add(self, store: Store, asked: ToolSwitch, who: str, version: str) -> ToolAct:
        at = datetime.now(UTC)
        if self.acts:  # clocks of two replicas may differ: the last act counts
            at = max(at, datetime.fromisoformat(self.acts[-1].at) + timedelta(microseconds=1))
        told = asked.model_dump(exclude={"staff_token"})
        act = ToolAct(who=who, at=at.isoformat(timespec="microseconds"), **told)
        acts = [*self.acts, act]
        kept = _within_bounds(acts)
        removed = {f"{_ACT}{each.act_id}": None for each in acts if each not in kept}
        await store.write({f"{_ACT}{act.act_id}": act.model_dump_json(), **removed}, version)
        self.acts = kept
        log.info("tool_switched", extra={"tool": act.tool, "on": act.on, "who": who, "act": act.act_id})
        return act

    def _tell(self, error: NotKept) -> None:
        if str(error) != self._fault:
            log.warning("record_not_kept", extra={"reason": str(error)})
        self._fault = str(error)


def _latest(acts: list[ToolAct]) -> dict[str, ToolAct]:
    """The last act on each tool."""
    return {act.tool: act for act in acts}


def _within_bounds(acts: list[ToolAct]) -> list[ToolAct]:
    in_force = [act for act in _latest(acts).values() if not act.on]
    return [act for act in acts if act in acts[-MOST_ACTS:] or act in in_force]


def _acts(found: Entries) -> list[ToolAct]:
    """Raises `NotKept` for one that cannot be read: what it switched off must not come on."""
    acts = [_act(name, text) for name, text in found.texts.items() if name.startswith(_ACT)]
    return sorted(acts, key=lambda act: act.at)


def _act(name: str, text: str) -> ToolAct:
    try:
        return ToolAct.model_validate_json(text)
    except ValidationError as error:
        raise NotKept(f"the entry {name} is no act") from error


def _seen(found: Entries) -> Seen:
    """What cannot be read is begun anew."""
    try:
        return Seen.model_validate_json(found.texts.get(_TOOLS, "{}"))
    except ValidationError:
        return Seen()


def _shortened(tool: Tool) -> dict[str, str]:
    return {key: _short(value) for key, value in said(tool).items()}


def _short(value: object) -> str:
    """Of a long value its beginning and its digest, so that any difference shows."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _difference(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    keys = [key for key in dict.fromkeys([*now, *before]) if before.get(key) != now.get(key)]
    told = "; ".join(f"{key}: {before.get(key, 'nothing')} -> {now.get(key, 'nothing')}" for key in keys)
    return _cut(told)


def _why_gone(name: str, now: Catalogue) -> str:
    return next((_cut(entry.reason) for entry in now.left_out if entry.tool == name), "nobody offers it any more")


def _cut(text: str) -> str:
    return text if len(text) <= TOLD_CHARACTERS else f"{text[:TOLD_CHARACTERS]}…"
