"""An OpenAI-compatible endpoint in the test's own process: a function answers each request."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from demo_model.wire.replies import chunks

Body = dict[str, Any]


@dataclass
class Told:
    """What the endpoint answers: a completion, an error, or any bytes.

    A completion comes as a stream where one is asked for. `events`: the bytes of a stream instead, each after `pause`
    seconds; then the connection ends, or `stays` open.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    events: list[bytes] | None = None
    pause: float = 0.0
    stays: bool = False


@dataclass
class FakeEndpoint:
    """Its address, and what it was asked."""

    url: str
    requests: list[Body] = field(default_factory=list[Body])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    paths: list[str] = field(default_factory=list[str])
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left a connection that stayed open."""


@asynccontextmanager
async def fake_endpoint(answer: Callable[[Body], Told]) -> AsyncGenerator[FakeEndpoint]:
    """Serves while the block runs."""
    fake = FakeEndpoint("")

    async def chat(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        fake.requests.append(asked)
        fake.headers.append(dict(request.headers))
        fake.paths.append(request.path_qs)
        told = answer(asked)
        if (events := _events(told, asked)) is not None:
            return await _stream(request, told, events, fake.left)
        body = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
        return web.Response(status=told.status, body=body, headers={"Content-Type": "application/json"} | told.headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()


def _events(told: Told, asked: Body) -> list[bytes] | None:
    if told.events is not None or not asked.get("stream") or not isinstance(told.body, dict) or told.status != 200:
        return told.events
    return list(chunks(told.body, with_usage="stream_options" in asked)) if "choices" in told.body else None


async def _stream(request: web.Request, told: Told, events: list[bytes], left: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | told.headers)
    await response.prepare(request)
    for event in events:
        await asyncio.sleep(told.pause)
        await response.write(event)
    while told.stays and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.01)
    if told.stays:
        left.set()
    return response


def says(text: str | None = "done", finish: str | None = "stop", **message: Any) -> Told:
    """A completion with one message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text} | message, "finish_reason": finish}
    return Told({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}, "model": "fake"})


def refuses(status: int, message: str, *, headers: dict[str, str] | None = None, **error: Any) -> Told:
    """An error as OpenAI words it."""
    return Told({"error": {"message": message, "type": "invalid_request_error"} | error}, status, headers or {})
