"""Restate's clock against ours. A timer goes to Restate as an absolute time by our clock, and rings by Restate's.

The registry says what time it is at Restate. How far that is ahead of us is measured again and again, added to each
timer and each delayed send, told as a metric, and warned of.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import aiohttp
from prometheus_client import Gauge
from pydantic import ValidationError
from restate.extensions import current_context
from yarl import URL

from contracts import Clock
from runtime.endpoint import RestateService
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import SHARED

EVERY_SECONDS = 15.0
UNTIL_KNOWN_SECONDS = 1.0
TIMEOUT = aiohttp.ClientTimeout(total=5)
SLOWEST_SECONDS = 1.0
"""A reply that took longer measures nothing."""
NOTHING_SECONDS = 1.0
"""Clocks that are less apart are left alone: the measure itself is not better."""
MUCH_SECONDS = 5.0

log = get_logger(__name__)


@cache
def _shown_skew() -> Gauge:
    """Only who watches the clock tells how far off it is."""
    return SHARED.gauge("switchboard_clock_skew_seconds")


class Skew:
    """How far Restate's clock is ahead of this process's, in seconds, as last measured."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.known = False

    def measured(self, ahead: float) -> None:
        if abs(ahead) >= MUCH_SECONDS > abs(self.ahead):
            log.warning("clock_skewed", extra={"ahead_seconds": round(ahead, 1)})
        self.ahead, self.known = ahead, True
        _shown_skew().set(ahead)

    def corrected(self, millis: int) -> int:
        """What to ask for, so that so many milliseconds pass."""
        return millis if abs(self.ahead) < NOTHING_SECONDS else max(0, millis + round(self.ahead * 1000))


SKEW = Skew()


@asynccontextmanager
async def watching_clock(session: aiohttp.ClientSession, registry: str) -> AsyncGenerator[None]:
    """Measure while the block runs; `registry` is the URL of something that the registry serves."""
    _shown_skew()
    task = asyncio.create_task(_watch(session, URL(registry).parent / "clock"))
    try:
        yield
    finally:
        task.cancel()


async def _watch(session: aiohttp.ClientSession, url: URL) -> None:
    while True:
        ahead = await measure(session, url)
        if ahead is not None:
            SKEW.measured(ahead)
        await asyncio.sleep(EVERY_SECONDS if SKEW.known else UNTIL_KNOWN_SECONDS)


async def measure(session: aiohttp.ClientSession, url: URL) -> float | None:
    """None when nobody says it, or says it too late."""
    asked, began = time.time(), time.monotonic()
    try:
        async with session.get(url, timeout=TIMEOUT) as reply:
            reply.raise_for_status()
            told = Clock.model_validate_json(await reply.read())
    except (aiohttp.ClientError, TimeoutError, ValidationError):
        return None
    took = time.monotonic() - began
    return None if took > SLOWEST_SECONDS else told.now - (asked + took / 2)


def keep_time(service: RestateService) -> None:
    """From now on timers and delayed sends of this service ring when they should."""
    for handler in cast(Any, service).handlers.values():
        handler.context_managers = [_around, *(handler.context_managers or [])]


@asynccontextmanager
async def _around() -> AsyncGenerator[None]:
    vm: Any = cast(Any, current_context()).vm
    sleep, send = vm.sys_sleep, vm.sys_send

    def sleep_rightly(millis: int, name: str | None = None) -> Any:
        return sleep(SKEW.corrected(millis), name)

    def send_rightly(*what: Any, delay: int | None = None, **how: Any) -> Any:
        return send(*what, delay=None if delay is None else SKEW.corrected(delay), **how)

    vm.sys_sleep, vm.sys_send = sleep_rightly, send_rightly
    yield
