"""Replies: what the model says, and that on the wire, as one JSON object or as server-sent chunks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from demo_model.wire.shapes import as_list, as_object

MODEL = "switchboard-demo"

Completion = dict[str, Any]

DONE = b"data: [DONE]\n\n"

_BYTES_PER_TOKEN = 4
_PIECE = 24


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it goes over the wire; `arguments` is JSON text, or whatever a script wants there."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says in one turn."""

    text: str | None = None
    calls: tuple[Call, ...] = field(default=())

    @property
    def outcome(self) -> str:
        """The reply in a few words, for the ledger."""
        return f"calls {', '.join(call.name for call in self.calls)}" if self.calls else "text"


def tokens_of(request: bytes) -> int:
    return len(request) // _BYTES_PER_TOKEN


def completion(reply: Reply, request_bytes: int, number: int) -> Completion:
    """A reply as a chat completion; tokens are counted as quarters of bytes."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    said = len(reply.text or "")
    if reply.calls:
        message["tool_calls"] = [_call(call) for call in reply.calls]
        said += sum(len(call.name) + len(call.arguments) for call in reply.calls)
    prompt, answer = request_bytes // _BYTES_PER_TOKEN, said // _BYTES_PER_TOKEN
    return {
        "id": f"chatcmpl-demo-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if reply.calls else "stop",
            }
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
    }


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def encode(value: Any) -> bytes:
    """Compact JSON; anything beyond ASCII is escaped, so that even half a surrogate can be sent."""
    return json.dumps(value, separators=(",", ":")).encode()


def chunks(whole: Completion, *, with_usage: bool) -> Iterator[bytes]:
    """The same completion, be it a spoilt one, as server-sent events; its texts come in pieces."""
    for choice in as_list(whole.get("choices")) or []:
        yield from _choice_chunks(whole, as_object(choice) or {})
    if with_usage and "usage" in whole:
        yield _data({**_head(whole), "choices": [], "usage": whole["usage"]})
    yield DONE


def _choice_chunks(whole: Completion, choice: dict[str, Any]) -> Iterator[bytes]:
    message = as_object(choice.get("message")) or {}
    index = choice.get("index", 0)

    def event(delta: dict[str, Any], finish: Any = None) -> bytes:
        return _data({**_head(whole), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})

    first = "" if isinstance(message.get("content"), str) else message.get("content")
    yield event({"role": message.get("role", "assistant"), "content": first})
    for name, value in message.items():
        if name == "tool_calls":
            for place, call in enumerate(as_list(value) or []):
                yield from (event({"tool_calls": [part]}) for part in _call_parts(place, as_object(call) or {}))
        elif isinstance(value, str) and name != "role":
            yield from (event({name: piece}) for piece in _pieces(value))
        elif value is not None and name not in ("role", "content"):
            yield event({name: value})
    yield event({}, choice.get("finish_reason"))


def _call_parts(place: int, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A call as its parts: at first all but its arguments, then these."""
    function = as_object(call.get("function")) or {}
    arguments = function.get("arguments")
    first = "" if isinstance(arguments, str) else arguments
    yield {"index": place, **call, "function": {**function, "arguments": first}}
    for piece in _pieces(arguments) if isinstance(arguments, str) else ():
        yield {"index": place, "function": {"arguments": piece}}


def error_event(message: str) -> bytes:
    """What takes the place of the rest of a stream when its server fails."""
    return _data({"error": {"message": message, "type": "server_error", "param": None, "code": None}}) + DONE


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _head(whole: Completion) -> dict[str, Any]:
    kept = {name: whole[name] for name in ("id", "created", "model") if name in whole}
    return {"object": "chat.completion.chunk", **kept}


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + encode(value) + b"\n\n"
