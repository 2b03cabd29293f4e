"""Whoever watches goes on seeing, whatever a look at the database comes to."""

from collections.abc import Sequence
from typing import cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from conversations.watch.hub import Hub
from conversations.watch.log import Asked, EventLog, News
from conversations.watch.place import Line, Place
from runtime.postgres import UNUSABLE
from tests.parts.polling import eventually


class Events:
    """A log that can be read once it has failed."""

    def __init__(self, failure: Exception) -> None:
        self._failures = [failure]

    async def news(self, asked: Sequence[Asked]) -> dict[int, News]:
        if self._failures:
            raise self._failures.pop()
        return {0: News([Line(1, "run_started", "run_1", 1, "", "{}")])}


def defects() -> float:
    labels = {"service": "conversations", "handler": "watch"}
    return REGISTRY.get_sample_value("switchboard_defects_total", labels) or 0.0


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12"),
        asyncpg.CannotConnectNowError("starting up"),
        KeyError("a defect of ours"),
    ],
)
async def test_a_look_that_fails_is_not_the_last(failure: Exception) -> None:
    hub = Hub(cast(EventLog, Events(failure)), most=1)
    with hub.watching("conv_1", "user_1", Place()) as watched:

        async def seen() -> bool:
            return bool((watched.after(Place()) or ([], None))[0])

        before = defects()
        await eventually(seen)
        assert defects() - before == (not isinstance(failure, UNUSABLE))
