"""Scripted conversations: what to reply at each turn, counted by the assistant messages that the request carries.

So a request that is repeated gets the same reply again, whoever repeats it and however often.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from demo_model.double.faults import FAULTS, Armed
from demo_model.wire.replies import Call, Reply
from demo_model.wire.shapes import as_list, as_object


class BadScript(ValueError):
    """An admin request that cannot be followed; the text says why."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A body to be sent as it is."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """One scripted reply: exactly one of the three, or none of them, which means the model's own reply."""

    reply: Reply | None = None
    raw: Raw | None = None
    fault: Armed | None = None
    latency_seconds: float = 0.0
    chunk_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """The replies of conversations whose first user message contains `match`; past the end the last one repeats. To be
    summarised is no turn."""

    match: str
    replies: tuple[ScriptedReply, ...]
    summary: ScriptedReply = ScriptedReply()

    def at(self, turns: int) -> ScriptedReply:
        return self.replies[min(turns, len(self.replies) - 1)]


def read_script(asked: Any) -> Script:
    """A script from the body of `POST /admin/script`."""
    fields = as_object(asked) or {}
    replies = as_list(fields.get("replies"))
    match = fields.get("match") or ""
    if not replies or not isinstance(match, str):
        raise BadScript('a script is {"match": "<text, optional>", "replies": [<reply>, ...]}')
    summary = read_reply(fields.get("summary", {"natural": True}))
    return Script(match, tuple(read_reply(one, turn) for turn, one in enumerate(replies)), summary)


def read_reply(asked: Any, turn: int = 0) -> ScriptedReply:
    """One reply: `text`, `tool_calls`, `body` (with `status`, `headers`), `fault` (with `params`), or `natural`."""
    fields = as_object(asked)
    if fields is None:
        raise BadScript("a reply is an object")
    latency = number(fields.get("latency_seconds", 0), "latency_seconds")
    pause = number(fields.get("chunk_seconds", 0), "chunk_seconds")
    if "fault" in fields:
        spoilt = read_fault({**fields, "name": fields["fault"]})
        return ScriptedReply(fault=spoilt, latency_seconds=latency, chunk_seconds=pause)
    if "body" in fields or "status" in fields:
        return ScriptedReply(raw=_raw(fields), latency_seconds=latency)
    if "text" in fields or "tool_calls" in fields:
        return ScriptedReply(reply=_reply(fields, turn), latency_seconds=latency, chunk_seconds=pause)
    if fields.get("natural"):
        return ScriptedReply(latency_seconds=latency, chunk_seconds=pause)
    raise BadScript("a reply has one of: text, tool_calls, body, status, fault, natural")


def read_fault(asked: Any) -> Armed:
    """A fault from the body of `POST /admin/fault`."""
    fields = as_object(asked) or {}
    name, match, turn = fields.get("name"), fields.get("match") or "", fields.get("turn")
    if name not in FAULTS:
        raise BadScript(f"no fault {name!r}; there are: {', '.join(sorted(FAULTS))}")
    if not isinstance(match, str) or not (turn is None or isinstance(turn, int)):
        raise BadScript("`match` is a text, `turn` a number of assistant messages")
    params = as_object(fields.get("params") or {})
    if params is None:
        raise BadScript("`params` is an object")
    return Armed(str(name), int(number(fields.get("times", 1), "times")), match, turn, params)


def number(value: Any, name: str) -> float:
    """A number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadScript(f"`{name}` is a number, 0 or more")
    return value


def _reply(fields: dict[str, Any], turn: int) -> Reply:
    text = fields.get("text")
    if text is not None and not isinstance(text, str):
        raise BadScript("`text` is a text")
    calls = as_list(fields.get("tool_calls") or [])
    if calls is None:
        raise BadScript("`tool_calls` is a list")
    return Reply(text, tuple(_call(one, turn, number) for number, one in enumerate(calls)))


def _call(asked: Any, turn: int, number: int) -> Call:
    fields = as_object(asked) or {}
    if not isinstance(fields.get("name"), str):
        raise BadScript('a tool call is {"name", "arguments": <object or raw text>, "id": <optional>}')
    arguments = fields.get("arguments", {})
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Call(str(fields.get("id") or f"call_{turn}_{number}"), fields["name"], raw)


def _raw(fields: dict[str, Any]) -> Raw:
    body = fields.get("body", "")
    headers = as_object(fields.get("headers") or {}) or {}
    kind = "text/plain" if isinstance(body, str) else "application/json"
    return Raw(
        status=int(number(fields.get("status", 200), "status")),
        body=body.encode(errors="surrogatepass") if isinstance(body, str) else json.dumps(body).encode(),
        headers={"Content-Type": kind, **{key: str(value) for key, value in headers.items()}},
    )
