"""What has changed in all conversations together, for the desk: which of them, which waits, which approvals."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple, Self

from conversations.watch.hub import TooMany
from runtime.defects import expect, tell
from runtime.postgres import UNUSABLE, Pool
from runtime.telemetry.logs import get_logger

POLL_SECONDS = 0.25
AWAY_SECONDS = 0.5
MOST = 500
"""Changes that are told one by one; of more, that everything may have changed."""
MOST_WATCHERS = 100
"""Consoles, not people."""
AT_ONCE = 5000

_SINCE = """
SELECT pg_current_snapshot()::text AS place,
    pg_snapshot_xmax($1::text::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_of_another_server, told.*
FROM (SELECT) AS now LEFT JOIN changed_since($1::text::pg_snapshot, $2) AS told ON true
"""
_NOW = "SELECT pg_current_snapshot()::text"
_FORGET = "SELECT forget_changes(now() - $1::interval, $2)"
_ID = re.compile(r"(\d{1,12})-(\d{1,19}:\d{1,19}:(?:\d{1,19}(?:,\d{1,19})*)?)", re.ASCII)

log = get_logger(__name__)
expect("conversations", "changes")


class Seen(NamedTuple):
    """How far a watcher knows everything: a snapshot of PostgreSQL, and when it was taken."""

    at: int
    snapshot: str

    def __str__(self) -> str:
        return f"{self.at}-{self.snapshot}"

    @classmethod
    def read(cls, told: str) -> Self:
        """The place of a frame's id. Raises: ValueError."""
        found = _ID.fullmatch(told)
        if found is None or not _is_snapshot(found[2]):
            raise ValueError("no id of a frame")
        return cls(int(found[1]), found[2])


def _is_snapshot(told: str) -> bool:
    """Whether PostgreSQL takes it for one: from, up to, and what was under way between them, in order."""
    first, last, between = told.split(":")
    under_way = [int(each) for each in between.split(",") if each]
    in_order = [int(first) - 1, *under_way, int(last)]
    return 0 < int(first) <= int(last) < 2**63 and in_order == sorted(set(in_order))


class Change(NamedTuple):
    """`entries` and `events` are the latest positions in a conversation; of others both are 0."""

    kind: str
    id: str
    entries: int
    events: int


class News(NamedTuple):
    """What has changed. Not `is_whole`: more than is told here."""

    changes: list[Change]
    seen: Seen
    is_whole: bool = True


class ChangeLog:
    """`kept` is for how long a change is known."""

    def __init__(self, pool: Pool, kept: timedelta) -> None:
        self._pool = pool
        self._kept = kept

    async def now(self) -> Seen:
        """Raises: what asyncpg raises when the database is away."""
        return Seen(int(time.time()), await self._pool.fetchval(_NOW))

    async def since(self, seen: Seen) -> News:
        """Raises: what asyncpg raises when the database is away, or when `seen` is no snapshot."""
        at = int(time.time())
        rows = await self._pool.fetch(_SINCE, seen.snapshot, MOST + 1)
        found = [Change(row["kind"], row["id"], row["entries"], row["events"]) for row in rows if row["kind"]]
        is_known = seen.at > at - self._kept.total_seconds() and not rows[0]["is_of_another_server"]
        is_whole = is_known and len(found) <= MOST
        return News(found if is_whole else [], Seen(at, rows[0]["place"]), is_whole)

    async def forget(self) -> None:
        """Raises: what asyncpg raises when the database is away."""
        while await self._pool.fetchval(_FORGET, self._kept, AT_ONCE) == AT_ONCE:
            pass


class Watcher:
    """What one console has not been told yet: of each thing the latest, however slowly it reads."""

    def __init__(self, seen: Seen) -> None:
        self._news = News([], seen)
        self.changed = asyncio.Event()

    @property
    def seen(self) -> Seen:
        return self._news.seen

    def take(self, news: News) -> None:
        known = {(each.kind, each.id): each for each in self._news.changes}
        for each in news.changes:
            known[each.kind, each.id] = max(each, known.get((each.kind, each.id), each))
        self._news = News(list(known.values()), news.seen, self._news.is_whole and news.is_whole)
        if news.changes or not news.is_whole:
            self.changed.set()

    def told(self) -> News:
        """What is new, once."""
        news = self._news
        self._news = News([], news.seen)
        self.changed.clear()
        return news


class ChangeHub:
    """One query every 250 ms for all consoles that watch here."""

    def __init__(self, log: ChangeLog) -> None:
        self.log = log
        self.ending = False
        self._watchers: set[Watcher] = set()
        self._seen: Seen | None = None
        self._joining = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watching(self, after: Seen | None) -> AsyncGenerator[Watcher]:
        """Raises: `TooMany`; what asyncpg raises when the database is away, or when `after` is no snapshot."""
        if len(self._watchers) >= MOST_WATCHERS:
            raise TooMany(of_caller=False)
        watcher = Watcher(await self._joined())
        self._watchers.add(watcher)
        try:
            if after is not None:  # from here on everything is told, so what was missed is asked for last
                watcher.take(await self.log.since(after))
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def end(self) -> None:
        self.ending = True
        for each in self._watchers:
            each.changed.set()

    async def _joined(self) -> Seen:
        """From when on everything is looked for."""
        async with self._joining:
            if self._polling is None or self._polling.done() or self._seen is None:
                self._seen = await self.log.now()
                self._polling = asyncio.create_task(self._poll())
        return self._seen

    async def _poll(self) -> None:
        """While anybody watches."""
        away = False
        while True:
            await asyncio.sleep(AWAY_SECONDS if away else POLL_SECONDS)
            if not self._watchers or self._seen is None:
                return
            try:
                news = await self.log.since(self._seen)
            except Exception as error:  # noqa: BLE001 - told, and looked again: others watch here
                if not away:
                    log.warning("events_not_seen", extra={"reason": type(error).__name__})
                    if not isinstance(error, UNUSABLE):
                        tell("conversations", "changes", error)
                away = True
                continue
            if away:
                log.info("events_seen_again")
            away, self._seen = False, news.seen
            for each in self._watchers:
                each.take(news)
