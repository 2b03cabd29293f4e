"""Replies: what the model says, and that on the wire, as one JSON object or as server-sent chunks."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MODEL = "switchboard-demo"

Completion = dict[str, Any]

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
    """The same completion as server-sent events."""
    choice: dict[str, Any] = whole["choices"][0]
    message: dict[str, Any] = choice["message"]
    yield _event(whole, {"role": "assistant", "content": None if message["content"] is None else ""})
    for piece in _pieces(message["content"] or ""):
        yield _event(whole, {"content": piece})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield _event(
            whole, {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]}
        )
        for piece in _pieces(call["function"]["arguments"]):
            yield _event(whole, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _event(whole, {}, choice["finish_reason"])
    if with_usage:
        yield _data({**_head(whole), "choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _event(whole: Completion, delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _data({**_head(whole), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _head(whole: Completion) -> dict[str, Any]:
    return {"id": whole["id"], "object": "chat.completion.chunk", "created": whole["created"], "model": whole["model"]}


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + encode(value) + b"\n\n"
