"""Server-sent events over one connection: frames, heartbeats, and an end that nobody takes for all there is."""

import asyncio
import random

from aiohttp import web

from conversations.watch.place import end_frame

HEARTBEAT_SECONDS = 15
SLOW_SECONDS = 30
"""A watcher that takes nothing for so long is left; it can come again and go on."""
RETRY_MS = 1000
HEARTBEAT = b":\n\n"


async def begin(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    return response


async def write(response: web.StreamResponse, frames: bytes) -> None:
    """Raises: TimeoutError when the watcher takes nothing, OSError when it is gone."""
    async with asyncio.timeout(SLOW_SECONDS):
        await response.write(frames)


async def wait(response: web.StreamResponse, changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await changed.wait()
    except TimeoutError:
        await write(response, HEARTBEAT)


async def end(response: web.StreamResponse, reason: str) -> None:
    """Not all at the same moment: each watcher is told another one at which to come again."""
    await write(response, end_frame(reason, RETRY_MS + random.randrange(RETRY_MS)))


def break_off(request: web.Request) -> None:
    """Without the end of the body, so that nobody takes what was sent for all there is."""
    if request.transport is not None:
        request.transport.abort()
