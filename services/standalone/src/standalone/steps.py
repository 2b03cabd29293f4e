"""The steps of one run, read from Restate's own journal while they happen."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

JOURNAL = "SELECT entry_lite_json, appended_at FROM sys_journal WHERE id = '{}' ORDER BY index"
INVOCATION = "SELECT id FROM sys_invocation WHERE target_service_name = 'ToolRouter' AND idempotency_key = '{}'"
SHOWN_RUNS = ("model turn", "tool ")


@dataclass(frozen=True)
class Step:
    """A model turn or a tool call; `seconds` is None while it runs."""

    name: str
    seconds: float | None


class Journal:
    """Follows the run that was started with one idempotency key."""

    def __init__(self, http: aiohttp.ClientSession, admin_url: str, idempotency_key: str) -> None:
        self._http = http
        self._admin_url = admin_url
        self._key = idempotency_key
        self._invocation: str | None = None
        self._tools: dict[tuple[str, str], str] | None = None

    async def steps(self) -> list[Step]:
        """What the run has done so far; nothing before it has begun."""
        if self._invocation is None:
            found = await self._query(INVOCATION.format(self._key))
            self._invocation = found[0]["id"] if found else None
        if self._invocation is None:
            return []
        if self._tools is None:
            self._tools = await self._tool_names()
        return read_steps(await self._query(JOURNAL.format(self._invocation)), self._tools)

    async def _query(self, sql: str) -> list[dict[str, Any]]:
        headers = {"Accept": "application/json"}
        async with self._http.post(f"{self._admin_url}/query", json={"query": sql}, headers=headers) as reply:
            reply.raise_for_status()
            return (await reply.json())["rows"]

    async def _tool_names(self) -> dict[tuple[str, str], str]:
        async with self._http.get(f"{self._admin_url}/services") as reply:
            reply.raise_for_status()
            services = (await reply.json())["services"]
        return {
            (service["name"], handler["name"]): handler["metadata"].get("tool.name", handler["name"])
            for service in services
            for handler in service["handlers"]
            if handler.get("metadata", {}).get("mcp.type") == "tool"
        }


def read_steps(rows: list[dict[str, Any]], tools: dict[tuple[str, str], str]) -> list[Step]:
    """Pairs each command with its completion. Calls of what is not a tool are the router's own affair."""
    entries = [(json.loads(row["entry_lite_json"]), datetime.fromisoformat(row["appended_at"])) for row in rows]
    completed = {
        entry["Notification"]["id"].get("CompletionId"): at for entry, at in entries if "Notification" in entry
    }
    steps: list[Step] = []
    for entry, at in entries:
        name, completion = _shown(entry.get("Command", {}), tools)
        if name:
            end = completed.get(completion)
            steps.append(Step(name, (end - at).total_seconds() if end else None))
    return steps


def _shown(command: dict[str, Any], tools: dict[tuple[str, str], str]) -> tuple[str | None, int | None]:
    if run := command.get("Run"):
        return (run["name"] if run["name"].startswith(SHOWN_RUNS) else None), run["completion_id"]
    for kind, completion in (("Call", "result_completion_id"), ("OneWayCall", "invocation_id_completion_id")):
        if call := command.get(kind):
            target = next(iter(call["invocation_target"].values()))
            tool = tools.get((target["name"], target["handler"]))
            return (f"tool {tool}" if tool else None), call[completion]
    return None, None
