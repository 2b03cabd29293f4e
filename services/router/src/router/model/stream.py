"""A completion that came as a stream of events, put together to the one object that it would have been."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

_LINE_END = re.compile(r"\r\n|\n|\r")
"""Nothing else ends a line of a stream, though more does in Python."""


def is_stream(text: str) -> bool:
    """Whether a body is a stream of server-sent events, asked for or not."""
    return text.startswith(("data:", "event:", "id:", "retry:"))


def put_together(text: str) -> dict[str, Any]:
    """The completion of a whole stream. One that broke off before its end is an `error`.

    Raises: ValueError when an event is no JSON.
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    done = False
    for data in _events(text):
        if data == "[DONE]":
            done = True
            break
        event = json.loads(data)
        if isinstance(event, dict):
            _add_event(whole, choices, cast(dict[str, Any], event))
    whole["choices"] = [choices[index] for index in sorted(choices)]
    if not done and not any(choice.get("finish_reason") for choice in whole["choices"]):
        whole.setdefault("error", {"message": "the stream ended early", "code": 502})
    return whole


def _events(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*_LINE_END.split(text), ""]:
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def _add_event(whole: dict[str, Any], choices: dict[int, dict[str, Any]], event: dict[str, Any]) -> None:
    found = event.pop("choices", None)
    whole.update({key: value for key, value in event.items() if value is not None})
    for each in cast(list[Any], found) if isinstance(found, list) else []:
        if not isinstance(each, dict):
            continue
        choice = cast(dict[str, Any], each)
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        into = choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        _add_delta(into["message"], choice.get("delta") or choice.get("message") or {})
        into["finish_reason"] = choice.get("finish_reason") or into["finish_reason"]


def _add_delta(message: dict[str, Any], delta: Any) -> None:
    if not isinstance(delta, dict):
        return
    for key, value in cast(dict[str, Any], delta).items():
        if key == "tool_calls" and isinstance(value, list):
            _add_calls(message.setdefault("tool_calls", []), cast(list[Any], value))
        elif key == "function_call" and isinstance(value, dict):
            _add_function(message.setdefault("function_call", {}), cast(dict[str, Any], value))
        elif isinstance(value, str) and key != "role" and isinstance(message.get(key), str):
            message[key] += value
        elif isinstance(value, list) and isinstance(message.get(key), list):
            message[key] += cast(list[Any], value)
        elif value is not None:
            message[key] = value


def _add_calls(calls: list[dict[str, Any]], parts: list[Any]) -> None:
    """A part belongs to the call of its index; without one, to the call of its id, else to the latest."""
    for each in parts:
        if not isinstance(each, dict):
            continue
        part = cast(dict[str, Any], each)
        call = _call_for(calls, part)
        told = part.get("function")
        function = cast(dict[str, Any], told) if isinstance(told, dict) else {}
        _add_function(call["function"], function)
        call.update({key: value for key, value in part.items() if key not in ("function", "index") and value})


def _add_function(into: dict[str, Any], part: dict[str, Any]) -> None:
    if part.get("name"):
        into["name"] = part["name"]
    if (arguments := part.get("arguments")) is not None:
        joined = isinstance(arguments, str) and isinstance(into.get("arguments"), str)
        into["arguments"] = into["arguments"] + arguments if joined else arguments


def _call_for(calls: list[dict[str, Any]], part: dict[str, Any]) -> dict[str, Any]:
    index, call_id = part.get("index"), part.get("id")
    for call in calls:
        if (index is not None and call["index"] == index) or (index is None and call_id and call.get("id") == call_id):
            return call
    if index is None and not call_id and calls:
        return calls[-1]
    calls.append({"index": index, "function": {}})
    return calls[-1]
