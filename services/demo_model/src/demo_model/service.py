"""The stand-in model as a process: serves until SIGTERM or SIGINT."""

import asyncio
import signal
import sys

from aiohttp import web

from demo_model.double.ledger import Ledger
from demo_model.server import DemoModel, build
from demo_model.settings import DemoModelSettings
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.telemetry.metrics import serve_metrics, watch_loop

SHUTDOWN_SECONDS = 0.1

log = get_logger("demo_model")


async def serve(settings: DemoModelSettings) -> None:
    """Serve until told to stop; replies that are still being held back are dropped."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ledger = Ledger(settings.ledger_file)
    model = DemoModel(ledger, settings.latency_seconds, settings.context_tokens)
    app = build(model, admin_endpoints=settings.admin_endpoints)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, settings)
        log.info("serving", extra={"host": settings.host, "port": settings.port})
        watching = asyncio.create_task(watch_loop())
        await stop.wait()
        watching.cancel()
    finally:
        await runner.cleanup()
        ledger.close()


async def _listen(runner: web.AppRunner, settings: DemoModelSettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        sys.exit(f"setting PORT: cannot listen on {settings.host}:{settings.port}: {error.strerror}")


def main() -> None:
    settings = DemoModelSettings.read()
    configure_logs("demo_model", settings.log_level)
    serve_metrics(settings, "demo_model")
    asyncio.run(serve(settings))
