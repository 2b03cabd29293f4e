"""A stand-in model that costs next to no CPU, so that the bench measures the services and not the model.

It speaks as much of HTTP/1.1 and chat completions as the OpenAI client needs: the scripted conversation has three
turns, told apart by how many assistant messages there are. `GET` tells how many calls it has served, how many seconds
it took for all of them, and which tools it was offered last; `PUT /latency` (seconds in the body) sets how long it
waits before each reply. A reply that is asked for as a stream comes in frames of a few letters. A question with
`poison: <kind>` in it gets a hostile first reply (`POISON`).
"""

import asyncio
import json
import os
import re
import time
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

TOOL_CALLS = [
    ("query_user_database", {"sections": ["profile", "plan", "usage", "recent_errors"]}),
    (
        "create_support_ticket",
        {"subject": "API calls are failing", "description": "All API calls of the customer fail since this morning."},
    ),
]
POISONED = re.compile(rb"poison: ([a-z_]+)")
POISON = {
    "deep_arguments": '{"sections": ' + "[" * 600 + "]" * 600 + "}",
    "lone_surrogate": '{"sections": ["\\ud800"]}',
    "no_json": "sections=profile " * 500,
    "long_arguments": '{"sections": ["' + "x" * 200_000 + '"]}',
}
"""Arguments of a call of the account tool, by what is wrong with them."""

LETTERS = 4
"""Of a text in one frame of a stream, about as many as a token has."""

TEXT = "Your API calls fail because of the limit of your plan. I created a ticket, and a person will look into it."


def completions() -> list[dict[str, Any]]:
    """The three replies."""
    calls = [_call(f"call_{number}", name, json.dumps(args)) for number, (name, args) in enumerate(TOOL_CALLS)]
    said: list[tuple[str | None, list[Any] | None, str]] = [(None, [call], "tool_calls") for call in calls]
    said.append((TEXT, None, "stop"))
    return [_completion(*one) for one in said]


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def poison(arguments: str) -> bytes:
    """A reply that asks for one tool, with these arguments."""
    return _response(_completion(None, [_call("call_0", TOOL_CALLS[0][0], arguments)], "tool_calls"))


def _completion(text: str | None, calls: list[Any] | None, finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if calls:
        message["tool_calls"] = calls
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": "gpt-4.1-mini-2026-04-14",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 40,
            "total_tokens": 1240,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }


def streamed(completion: dict[str, Any]) -> bytes:
    """The same reply as server-sent events, in one write: an endpoint's pauses are no work of ours."""
    whole = completion["choices"][0]
    message = whole["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": part} for part in _parts(message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls", ())):
        name = {"name": call["function"]["name"], "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": name}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
            for part in _parts(call["function"]["arguments"])
        ]
    about = {name: completion[name] for name in ("id", "created", "model", "service_tier", "system_fingerprint")}
    about["object"] = "chat.completion.chunk"
    frames: list[dict[str, Any]] = [
        {**about, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}], "usage": None}
        for delta in deltas
    ]
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": whole["finish_reason"]}
    frames += [{**about, "choices": [end], "usage": None}, {**about, "choices": [], "usage": completion["usage"]}]
    body = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    return head + body


def _parts(text: str) -> list[str]:
    return [text[start : start + LETTERS] for start in range(0, len(text), LETTERS)]


def _response(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Model:
    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.latency = 0.0
        self.tools: list[Any] = []
        self.replies = [_response(one) for one in completions()]
        self.streams = [streamed(one) for one in completions()]
        self.poison = {kind.encode(): poison(arguments) for kind, arguments in POISON.items()}

    def reply(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST"):
            self.calls += 1
            request = json.loads(body)
            self.tools = request["tools"]
            turn = [message["role"] for message in request["messages"]].count("assistant")
            if kind := POISONED.search(body):
                return self.replies[-1] if turn else self.poison[kind[1]]
            return (self.streams if request.get("stream") else self.replies)[turn]
        if head.startswith(b"PUT /latency"):
            self.latency = float(body)
        return _response({"calls": self.calls, "seconds": self.seconds, "tools": self.tools})


class Connection(asyncio.Protocol):
    def __init__(self, model: Model) -> None:
        self._model = model
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, gap, rest = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if not gap or len(rest) < size:
            return
        self._received = rest[size:]
        asyncio.get_running_loop().create_task(self._answer(head, rest[:size]))

    async def _answer(self, head: bytes, body: bytes) -> None:
        came = time.perf_counter()
        reply = self._model.reply(head, body)
        if head.startswith(b"POST") and self._model.latency:
            await asyncio.sleep(self._model.latency)
        if self._transport and not self._transport.is_closing():
            self._transport.write(reply)
        if head.startswith(b"POST"):
            self._model.seconds += time.perf_counter() - came


async def main() -> None:
    model = Model()
    port = int(os.environ["PORT"])
    server = await asyncio.get_running_loop().create_server(lambda: Connection(model), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
