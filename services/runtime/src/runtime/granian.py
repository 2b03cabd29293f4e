"""Granian, the faster server: HTTP/2 in Rust, on our event loop. It keeps what `serve` promises about SIGTERM."""

import asyncio
import atexit
import os
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP2Settings
from granian.server.embed import Server

from runtime.endpoint import AsgiApp
from runtime.settings import RestateServiceSettings

STREAMS_PER_CONNECTION = 16
CLOSE_SECONDS = 1


async def serve_with_granian(app: AsgiApp, settings: RestateServiceSettings, stop: asyncio.Event) -> None:
    """Answer until `stop`, then take nothing new and let what runs go on for `drain_seconds`."""
    attempts = _Attempts(app)
    server = Server(
        attempts,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        http2_settings=HTTP2Settings(max_concurrent_streams=STREAMS_PER_CONNECTION),
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    await stop.wait()
    await attempts.drain(settings.drain_seconds)
    server.stop()
    await asyncio.wait({serving}, timeout=CLOSE_SECONDS)
    # Its threads abort the process when they meet an interpreter that is being taken down (seen in 1 of 10 exits).
    atexit.register(os._exit, 0)


class _Attempts:
    """Counts what runs, and refuses what is new while it drains.

    Granian's own graceful stop says GOAWAY at once; Restate then drops what still runs on that connection.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._draining:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"this process is leaving"})
            return
        self._running += 1
        self._idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def drain(self, seconds: float) -> None:
        self._draining = True
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return
