"""All that is watched in this process: one query every 100 ms for all of it, and what it found for each watcher.
Halfway between, one more asks for texts that are about to begin: a first text is what somebody waits for.

A watcher has no queue. It takes what is there when it has sent what it had: a slow one is shown fewer steps of a text,
and reads events from the database again that are no more kept here.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from conversations.signals import TABLE
from conversations.watch.log import Asked, EventLog, News
from conversations.watch.place import REPLACES_TEXT, Line, Place, Text
from runtime.defects import expect, tell
from runtime.postgres import UNUSABLE
from runtime.telemetry.logs import get_logger

POLL_SECONDS = 0.1
AWAY_SECONDS = 0.5
FORGET_SECONDS = 60
KEPT = 256
"""Events of a conversation that are kept for those who watch it."""
MAX_WATCHERS_OF_CALLER = 20

_watchers = TABLE.gauge("switchboard_watchers")
_lag = TABLE.histogram("switchboard_event_lag_seconds")

log = get_logger(__name__)
expect("conversations", "watch")


class TooMany(Exception):
    """No more watchers are let in: of this caller (`of_caller`), or at all."""

    def __init__(self, *, of_caller: bool) -> None:
        super().__init__()
        self.of_caller = of_caller


class Watched:
    """One conversation while somebody watches it."""

    def __init__(self, conversation: str, user_id: str, position: int) -> None:
        self.conversation = conversation
        self.user_id = user_id
        self.watchers = 0
        self.gone = False
        self.is_current = False
        """Whether all that was there at the last look is here, so that whatever comes is new."""
        self._position = position
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._text: Text | None = None
        self._shown_at: datetime | None = None
        self._changed = asyncio.Event()

    @property
    def asked(self) -> Asked:
        return Asked(self.conversation, self.user_id, self._position, self._shown_at)

    @property
    def awaits_text(self) -> bool:
        """Whether an attempt has begun that has written nothing yet."""
        return self._text is not None and not self._text.text

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change."""
        return self._changed

    def take(self, news: News) -> None:
        """Text that is not there any more, as after a crash of PostgreSQL, stays until other text or the log comes."""
        for line in news.lines:
            self._lines.append(line)
            self._position = line.position
            if self._text and line.kind in REPLACES_TEXT and line.run == self._text.run:
                self._text = None
        before = self._text
        if not news.has_more:
            self._text = news.text or (None if news.shown_at else self._text)
            self._shown_at = news.shown_at
        self.gone = news.gone
        if news.lines or news.gone or self._text != before:
            self.wake()

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, place: Place) -> tuple[list[Line], Text | None] | None:
        """What a watcher at this place has not been sent; None when older events are missing here."""
        if place.position >= self._position:
            return [], self._text
        if not self._lines or self._lines[0].position > place.position + 1:
            return None
        return [line for line in self._lines if line.position > place.position], self._text


class Hub:
    def __init__(self, events: EventLog, most: int) -> None:
        self.events = events
        self.ending = False
        self._most = most
        self._watched: dict[tuple[str, str], Watched] = {}
        self._of_caller: Counter[str] = Counter()
        self._polling: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, conversation: str, user_id: str, place: Place) -> Generator[Watched]:
        """Raises: `TooMany`."""
        if self._of_caller.total() >= self._most or self._of_caller[user_id] >= MAX_WATCHERS_OF_CALLER:
            raise TooMany(of_caller=self._of_caller.total() < self._most)
        key = (conversation, user_id)
        watched = self._watched.setdefault(key, Watched(*key, place.position))
        watched.watchers += 1
        self._of_caller[user_id] += 1
        _watchers.inc()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            yield watched
        finally:
            _watchers.dec()
            watched.watchers -= 1
            self._of_caller -= Counter([user_id])
            if not watched.watchers:
                del self._watched[key]

    def end(self) -> None:
        """Every watcher is told to come again, and leaves."""
        self.ending = True
        for watched in self._watched.values():
            watched.wake()

    async def forget(self, after: timedelta, more: Callable[[], Awaitable[None]]) -> None:
        """Forget old events, and whatever `more` forgets, every minute, until cancelled."""
        while True:
            try:
                await self.events.forget(after)
                await more()
            except UNUSABLE as error:
                log.warning("events_not_forgotten", extra={"reason": type(error).__name__})
            await asyncio.sleep(FORGET_SECONDS)

    async def _poll(self) -> None:
        """While anybody watches."""
        clock = asyncio.get_running_loop().time
        due, away = clock(), False
        while self._watched:
            due = max(due + POLL_SECONDS, clock())
            try:
                await self._look(list(self._watched.values()))
                await asyncio.sleep(max(0.0, due - POLL_SECONDS / 2 - clock()))
                if awaited := [each for each in self._watched.values() if each.awaits_text]:
                    await self._look(awaited)
                if away:
                    log.info("events_seen_again")
                away = False
            except Exception as error:  # noqa: BLE001 - told, and looked again: others watch here
                if not away:
                    log.warning("events_not_seen", extra={"reason": type(error).__name__})
                    if not isinstance(error, UNUSABLE):
                        tell("conversations", "watch", error)
                away, due = True, clock() + AWAY_SECONDS
            await asyncio.sleep(max(0.0, due - clock()))

    async def _look(self, asked: Sequence[Watched]) -> None:
        found = await self.events.news([each.asked for each in asked])
        for place, watched in enumerate(asked):
            news = found.get(place, News([]))
            if news.lines and watched.is_current:
                _lag.observe(news.age)
            watched.is_current = not news.has_more
            if place in found:
                watched.take(news)
