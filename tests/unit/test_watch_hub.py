"""Whoever watches goes on seeing, whatever a look at the database comes to."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from conversations.watch.hub import Hub
from conversations.watch.log import Asked, EventLog, News
from conversations.watch.place import Line, Place, Text
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


class Texts:
    """A log in which one conversation's text is about to begin, and which keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def news(self, asked: Sequence[Asked]) -> dict[int, News]:
        self.asked.append([each.conversation for each in asked])
        begun = "It" if len(self.asked) > 5 else ""
        return {
            place: News([], Text("run_1", 1, 1, begun), shown_at=datetime.now(UTC))
            for place, each in enumerate(asked)
            if each.conversation == "conv_begins"
        }


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


async def test_a_text_that_is_about_to_begin_is_looked_for_twice_as_often_until_it_has_begun() -> None:
    texts = Texts()
    hub = Hub(cast(EventLog, texts), most=2)
    with hub.watching("conv_begins", "user_1", Place()), hub.watching("conv_quiet", "user_2", Place()):

        async def looked() -> bool:
            return len(texts.asked) >= 9

        await eventually(looked)
    both, soon = ["conv_begins", "conv_quiet"], ["conv_begins"]
    assert texts.asked[:9] == [both, soon, both, soon, both, soon, both, both, both]
