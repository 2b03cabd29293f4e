"""Serving: one Restate endpoint on HTTP/2 that leaves cleanly on SIGTERM.

Three things that the plain `asyncio.run(serve(app))` lacks, each seen to lose work or to hang:
the signal must reach both the SDK and the server, a thread must end a process whose loop hangs in shutdown,
and hypercorn must survive a DATA frame of a stream that it has just refused
(https://github.com/pgjones/hypercorn/issues/197).
"""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, cast

import h2.events
import hypercorn.asyncio
import uvloop
from h2.settings import SettingCodes
from hypercorn.config import Config
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol
from restate.server import install_shutdown_hook

from runtime.clock import keep_time
from runtime.defects import guard_handlers
from runtime.endpoint import AsgiApp, RestateService, endpoint
from runtime.settings import RestateServiceSettings, WebSettings
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import watch_loop
from runtime.telemetry.tracing import end_tracing

ABORT_TIMEOUT = timedelta(minutes=10)
RETENTION = timedelta(days=1)

STREAMS_PER_CONNECTION = 16
UNLIMITED = 2**30
"""As many streams as HTTP/2 has ids for. hypercorn breaks a connection that has had more requests than its limit, or
has more streams at a time, with all that is in flight on it."""
EXIT_MARGIN_SECONDS = 2

log = get_logger(__name__)


def run(service: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on uvloop, which takes a sixth off a run's CPU."""
    uvloop.run(service)


async def serve(settings: RestateServiceSettings, services: Sequence[RestateService]) -> None:
    """Answer Restate until SIGTERM or SIGINT, then let running attempts go on for `drain_seconds`."""
    for service in services:
        guard_handlers(service)
        keep_time(service)
    _freeze_what_is_loaded()
    watching = asyncio.create_task(watch_loop())
    try:
        await _serve(settings, endpoint(services, settings))
    finally:
        watching.cancel()
        await end_tracing()


async def serve_web(settings: WebSettings, app: AsgiApp) -> None:
    """Answer anybody's HTTP/1.1 and HTTP/2 until SIGTERM or SIGINT, then let requests go on for `drain_seconds`."""
    _freeze_what_is_loaded()
    stop = _stop_on_signals(settings.drain_seconds)
    log.info("serving", extra={"port": settings.port})
    _guard_refused_streams()
    _name_what_is_too_long()
    watching = asyncio.create_task(watch_loop())
    try:
        await _hypercorn(app, _web_config(settings), stop)
    finally:
        watching.cancel()


def _freeze_what_is_loaded() -> None:
    """What is loaded by now stays for good: the garbage collector need not walk it again and again."""
    gc.collect()
    gc.freeze()


async def _serve(settings: RestateServiceSettings, app: AsgiApp) -> None:
    stop = _stop_on_signals(settings.drain_seconds)
    log.info("serving", extra={"port": settings.port, "revision": settings.revision})
    if settings.server == "granian":
        from runtime.granian import serve_with_granian

        await serve_with_granian(app, settings, stop)
        return
    _guard_refused_streams()
    _take_what_comes_before_the_settings()
    config = _web_config(settings)
    config.h2_max_concurrent_streams = UNLIMITED
    await _hypercorn(app, config, stop)


async def _hypercorn(app: AsgiApp, config: Config, stop: asyncio.Event) -> None:
    run = cast(Any, hypercorn.asyncio).serve  # its annotations are those of all its frameworks at once
    await run(app, config, shutdown_trigger=stop.wait)


def _stop_on_signals(drain_seconds: float) -> asyncio.Event:
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        timer = threading.Timer(drain_seconds + EXIT_MARGIN_SECONDS, os._exit, (1,))
        timer.daemon = True
        timer.start()

    at_the_end(end)
    return stop


def at_the_end(end: Callable[[], None]) -> None:
    """Call it when the process is asked to end, before anything is waited for."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(asyncio.get_running_loop(), end, signum)


def _web_config(settings: WebSettings) -> Config:
    config = Config()
    config.bind = [f"{settings.host}:{settings.port}"]
    config.graceful_timeout = settings.drain_seconds
    config.keep_alive_max_requests = UNLIMITED
    config.include_server_header = False
    config.include_date_header = False
    config.errorlog = logging.getLogger("hypercorn")
    return config


def _guard_refused_streams() -> None:
    handle_events: Any = H2Protocol._handle_events  # pyright: ignore[reportPrivateUsage]
    if getattr(handle_events, "guarded", False):
        return

    async def guarded(self: H2Protocol, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self.connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            else:
                await handle_events(self, [event])

    guarded.guarded = True  # pyright: ignore[reportFunctionMemberAccess]
    H2Protocol._handle_events = guarded  # pyright: ignore[reportPrivateUsage]


def _name_what_is_too_long() -> None:
    """414 where hypercorn says 431 of a head that grows too long while its first line, the address, has no end."""
    refuse: Any = H11Protocol._send_error_response  # pyright: ignore[reportPrivateUsage]
    if getattr(refuse, "exact", False):
        return

    async def exact(self: H11Protocol, status_code: int) -> None:
        begun, _ = self.connection.trailing_data
        is_address = status_code == 431 and b"\n" not in begun
        await refuse(self, 414 if is_address else status_code)

    exact.exact = True  # pyright: ignore[reportFunctionMemberAccess]
    H11Protocol._send_error_response = exact  # pyright: ignore[reportPrivateUsage]


def _take_what_comes_before_the_settings() -> None:
    """Ask for at most `STREAMS_PER_CONNECTION`, and count from when the client has read that, as RFC 9113, 6.5.3 says.

    hypercorn counts from the start: it breaks the new connection of a client that begins with more at once, and Restate
    does so after each pause. What runs on it by then is done again, a paid model call too.
    """
    initiate: Any = H2Protocol.initiate
    if getattr(initiate, "patient", False):
        return

    async def patient(self: H2Protocol, *arguments: Any, **options: Any) -> None:
        connection = self.connection
        begin = connection.initiate_connection

        def begin_and_ask_for_less() -> None:
            begin()
            connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_PER_CONNECTION})

        connection.initiate_connection = begin_and_ask_for_less
        await initiate(self, *arguments, **options)

    patient.patient = True  # pyright: ignore[reportFunctionMemberAccess]
    H2Protocol.initiate = patient
