"""Events of a conversation for a client: whole frames as they come, and an end that says when to come again."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.reading import Conversations
from gateway.signals import TABLE

RETRY_MS = 1000
MAX_FRAME_BYTES = 1 << 20

_streams = TABLE.gauge("switchboard_gateway_streams")


class Leaving:
    """Whether this process is asked to end."""

    def __init__(self) -> None:
        self.now = asyncio.Event()


def end_frame(reason: str) -> bytes:
    """The last frame of a stream: why it ends, and when to come again."""
    retry = RETRY_MS + random.randrange(RETRY_MS)
    return f'retry: {retry}\nevent: end\ndata: {{"reason": "{reason}"}}\n\n'.encode()


class Watched(StreamingResponse):
    """A stream to a client. Closes what it reads from, whether it was read or not."""

    def __init__(self, frames: AsyncGenerator[bytes], kept: AsyncExitStack) -> None:
        super().__init__(frames, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._kept:
            await super().__call__(scope, receive, send)


class Stream:
    """One client's stream: opened before the answer begins, so that what is refused is refused."""

    def __init__(self, content: aiohttp.StreamReader, until: float | None, leaving: Leaving) -> None:
        self._content, self._until, self._leaving = content, until, leaving
        self._rest, self._last = b"", b""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, rooms: Conversations, conversation: str, token: str, after: str, until: float | None, leaving: Leaving
    ) -> AsyncGenerator["Stream"]:
        """`until` is when the client's own token ends. Raises: `Problem` if they may not watch it."""
        async with rooms.watch(conversation, token, after) as content:
            _streams.inc()
            try:
                yield cls(content, until, leaving)
            finally:
                _streams.dec()

    async def frames(self) -> AsyncGenerator[bytes]:
        """Whole frames, until the room ends the stream, the client's token does, or this process."""
        while True:
            part = await self._next()
            if isinstance(part, str):
                if b"event: end\n" not in self._last:
                    yield end_frame(part)
                return
            whole, boundary, self._rest = (self._rest + part).rpartition(b"\n\n")
            if boundary:
                self._last = whole
                yield whole + boundary
            elif len(self._rest) > MAX_FRAME_BYTES:
                return

    async def _next(self) -> bytes | str:
        """What came, or why nothing more does."""
        left = asyncio.create_task(self._leaving.now.wait())
        reading = asyncio.create_task(self._content.readany())
        seconds = None if self._until is None else max(0.0, self._until - time.time())
        try:
            await asyncio.wait([reading, left], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return "restart" if left.done() else "renew"
            return reading.result() or "restart"
        except (aiohttp.ClientError, TimeoutError, OSError):
            return "restart"
        finally:
            for task in (left, reading):
                task.cancel()
