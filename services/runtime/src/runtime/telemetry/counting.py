"""Gauges of what stands in a database: counted anew every few seconds, absent while nobody knows."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from restate import TerminalError
from restate.exceptions import RetryableError

from runtime.telemetry.metrics import Samples, Snapshot


@asynccontextmanager
async def counting(
    told: Snapshot, count: Callable[[], Awaitable[Mapping[str, Samples]]], seconds: float, broke: Callable[[], None]
) -> AsyncGenerator[None]:
    """Meanwhile `told` tells what `count` finds, anew every `seconds`.

    `count` may raise `RetryableError` or `TerminalError`, which are logged and counted already; of anything else
    `broke` is told, while it is handled.
    """
    task = asyncio.create_task(_keep_counting(told, count, seconds, broke))
    try:
        yield
    finally:
        task.cancel()


async def _keep_counting(
    told: Snapshot, count: Callable[[], Awaitable[Mapping[str, Samples]]], seconds: float, broke: Callable[[], None]
) -> None:
    try:
        while True:
            try:
                told.tell(await count())
            except (RetryableError, TerminalError):  # no number is better than an old one
                told.tell({})
            except Exception:  # noqa: BLE001 - told, and counted again
                broke()
                told.tell({})
            await asyncio.sleep(seconds)
    finally:
        told.tell({})
