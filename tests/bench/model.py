"""A stand-in model that costs next to no CPU, so that the bench measures the services and not the model.

It speaks as much of HTTP/1.1 and chat completions as the OpenAI client needs: the scripted conversation has three
turns, told apart by how many assistant messages there are. `GET` tells how many calls it has served, how many seconds
it took for all of them, and which tools it was offered last; `PUT /latency` (seconds in the body) sets how long it
waits before each reply.
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
TEXT = "Your API calls fail because of the limit of your plan. I created a ticket, and a person will look into it."


def replies() -> list[bytes]:
    """The three replies, ready to be sent."""
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(TOOL_CALLS)
    ]
    said: list[tuple[str | None, list[Any] | None, str]] = [(None, [call], "tool_calls") for call in calls]
    said.append((TEXT, None, "stop"))
    return [_response(_completion(*one)) for one in said]


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


def _response(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Model:
    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.latency = 0.0
        self.tools: list[Any] = []
        self.replies = replies()

    def reply(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST"):
            self.calls += 1
            request = json.loads(body)
            self.tools = request["tools"]
            roles = [message["role"] for message in request["messages"]]
            return self.replies[roles.count("assistant")]
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
