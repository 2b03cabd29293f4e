"""The example status page on a port of its own: the stand-in has it too, but does not run beside a real model."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from demo_model.status_page import STATUS_PATH, show_status


@asynccontextmanager
async def serve_status_page(port: int) -> AsyncGenerator[None]:
    """Serves the page on loopback for as long as the context is open."""
    app = web.Application()
    app.add_routes([web.get(STATUS_PATH, show_status)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()
