"""Tool results: whatever came back as a tool message, read leniently, and only ever as data."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from demo_model.english.words import tokens, word_set
from demo_model.wire.conversation import Message, text_of
from demo_model.wire.shapes import as_list, as_object

_TAGGED = re.compile(r"<([A-Za-z_][\w-]*)[^<>]*>\s*(.*?)\s*</\1\s*>", re.DOTALL)
_PAIR = re.compile(r'"([A-Za-z_]\w*)"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false)')
_CONTENT_WORDS = word_set("result data output content value response payload")
_UNDECIDED = ("waiting_for_approval", "expired", "withdrawn")
_FINE = ("ok", "success", "done", "completed")
_ENVELOPE_KEYS = word_set("""
    tool name tool_name status ok success call_id tool_call_id id type note notice untrusted trusted truncated
    source warning is_error ms edited arguments
""")


@dataclass(frozen=True, slots=True)
class Result:
    """What one call gave: a value, or the error that was told instead. `decided` is what a person made of it."""

    tool: str
    arguments: str
    value: Any = None
    error: str | None = None
    decided: str = ""
    reason: str = ""


def results_of(messages: Iterable[Message]) -> list[Result]:
    """The results among some messages, each with the call that it answers."""
    calls: dict[str, dict[str, Any]] = {}
    found: list[Result] = []
    for message in messages:
        for call in as_list(message.get("tool_calls")) or []:
            calls[call["id"]] = call["function"]
        if message["role"] == "tool":
            function = calls.get(message["tool_call_id"], {})
            value = read(text_of(message))
            name, arguments = function.get("name", "tool"), function.get("arguments", "{}")
            found.append(Result(name, arguments, value, error_in(value), *_decided(text_of(message))))
    return found


def _decided(content: str) -> tuple[str, str]:
    """How a call stands that a person decides, and the reason; empty for any other."""
    fields = as_object(_json_in(content)) or {}
    reason = fields.get("reason")
    if fields.get("edited"):
        return "edited", ""
    if fields.get("status") == "denied" and isinstance(reason, str):
        return "denied", reason
    return (fields["status"] if fields.get("status") in _UNDECIDED else ""), ""


def read(content: str) -> Any:
    """The value inside a tool message: JSON, bare or wrapped in marks, prose or an envelope; else the text itself."""
    tagged = _TAGGED.search(content)
    value = _json_in(tagged.group(2) if tagged else content)
    for _ in range(3):
        inner = _inside(value)
        if inner is value:
            break
        value = _json_in(inner) if isinstance(inner, str) else inner
    return value


def _json_in(text: str) -> Any:
    text = text.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    decoder = json.JSONDecoder()
    starts = [place for place in (text.find("{"), text.find("[")) if place >= 0]
    for start in sorted(starts):
        try:
            return decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue
    pairs = _PAIR.findall(text) if starts else []
    return {key: json.loads(value, strict=False) for key, value in pairs} or text


def _inside(value: Any) -> Any:
    """The content of an envelope: one content key, and otherwise only keys that say things about it."""
    fields = as_object(value)
    if fields is None or error_in(fields):
        return value
    content = [key for key in fields if _CONTENT_WORDS & set(tokens(key))]
    if len(content) != 1 or not fields.keys() - content <= _ENVELOPE_KEYS:
        return value
    inner, state = fields[content[0]], fields.get("status")
    if state not in (None, *_FINE) and as_object(inner) is not None:
        return {"status": state, **inner}
    return inner


def error_in(value: Any) -> str | None:
    """What went wrong, if a result says that something did."""
    if isinstance(value, str):
        return value if re.match(r"\s*(?:error|failed|failure|exception|traceback)\b", value, re.IGNORECASE) else None
    result = as_object(value)
    if result is None:
        return None
    told: Any = result.get("error")
    flagged = result.get("ok") is False or result.get("success") is False or result.get("is_error") is True
    if not told and not flagged and result.get("status") not in ("error", "failed", "denied"):
        return None
    detail = as_object(told)
    if detail is not None:
        return str(detail.get("message") or detail.get("detail") or detail.get("code") or "an error")
    said = told if isinstance(told, str) else None
    more = next(
        (result[key] for key in ("message", "detail", "reason", "untrusted_data") if isinstance(result.get(key), str)),
        None,
    )
    return f"{said}: {more}" if said and more and more != said else said or more or "an error"


def ids_in(messages: Iterable[Message]) -> dict[str, Any]:
    """The ids that tools returned, latest last, by the name they were returned under."""
    found: dict[str, Any] = {}
    for message in messages:
        if message["role"] == "tool":
            _collect_ids(read(text_of(message)), found, depth=3)
    return found


def _collect_ids(value: Any, found: dict[str, Any], depth: int) -> None:
    if depth == 0:
        return
    for one in (as_list(value) or [])[:20]:
        _collect_ids(one, found, depth - 1)
    for key, one in (as_object(value) or {}).items():
        if key.endswith("_id") and isinstance(one, str | int):
            found[key] = one
        else:
            _collect_ids(one, found, depth - 1)
