"""How much one caller may do, and all together: in this process, so of several replicas each allows as much, unless
Valkey counts for all of them what a caller asks and has open.

Whoever asks for too much is told at once, before anything is done for them, and when to come again. Nothing waits for a
place here, so nothing grows old.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, Protocol

from gateway.leases import Lease
from runtime.api.problems import Problem
from runtime.api.rates import Counting, Rate, Requests

Kind = Literal["questions", "streams"]
"""What goes on for a while."""


class Common(Counting, Protocol):
    """Where all replicas count together."""

    async def hold(self, kind: Kind, user_id: str, most: int) -> Lease | None:
        """One more that is open; None if all replicas together hold so many."""
        ...

    def free(self, lease: Lease) -> None: ...


class Limits:
    """Requests at a `rate`, so many questions `waiting`, so many `streams`: counted in `common` while it is there."""

    def __init__(self, rate: Rate, waiting: int, streams: int, common: Common | None = None) -> None:
        self._common = common
        self.take = Requests(rate, common).take
        self._most: Mapping[Kind, int] = {"questions": waiting, "streams": streams}
        self._open: Counter[tuple[Kind, str]] = Counter()

    @asynccontextmanager
    async def held(self, kind: Kind, user_id: str) -> AsyncGenerator[None]:
        """Something of a caller's that goes on for a while. Raises: `Problem` 429 for one too many at a time."""
        with self._held_here(kind, user_id):
            if self._common is None:
                yield
                return
            lease = await self._common.hold(kind, user_id, self._most[kind])
            if lease is None:
                raise self._full(kind)
            try:
                yield
            finally:
                self._common.free(lease)

    @contextmanager
    def _held_here(self, kind: Kind, user_id: str) -> Generator[None]:
        if self._open[kind, user_id] >= self._most[kind]:
            raise self._full(kind)
        self._open[kind, user_id] += 1
        try:
            yield
        finally:
            self._open[kind, user_id] -= 1
            if not self._open[kind, user_id]:
                del self._open[kind, user_id]

    def _full(self, kind: Kind) -> Problem:
        return Problem("too_many", f"at most {self._most[kind]} {kind} at a time")


class Room:
    """For so many requests at a time, of everybody; more are sent away before they wait."""

    def __init__(self, most: int) -> None:
        self._most, self._inside = most, 0

    def enter(self) -> None:
        """Raises: `Problem` 503 when it is full."""
        if self._inside >= self._most:
            raise Problem("unavailable", "too much to do at the moment")
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1
