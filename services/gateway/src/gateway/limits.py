"""How much one caller may do, and all together: in this process, so of several replicas each allows as much, unless
Valkey counts for all of them what a caller asks and has open.

Whoever asks for too much is told at once, before anything is done for them, and when to come again. Nothing waits for a
place here, so nothing grows old.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from gateway.leases import Lease
from gateway.problems import Problem

Kind = Literal["questions", "streams"]
"""What goes on for a while."""

KEPT_CALLERS = 100_000
WINDOW_SECONDS = 60


class Rate(NamedTuple):
    """`per_minute` requests of one caller in the long run, of which `burst` may come at once."""

    per_minute: int
    burst: int

    @property
    def per_second(self) -> float:
        return self.per_minute / WINDOW_SECONDS


class Taken(NamedTuple):
    """Whether a request may pass, and how many more may now."""

    passes: bool
    left: float


class Common(Protocol):
    """Where all replicas count together."""

    async def take(self, user_id: str) -> Taken | None:
        """One request; None while it is away."""
        ...

    async def hold(self, kind: Kind, user_id: str, most: int) -> Lease | None:
        """One more that is open; None if all replicas together hold so many."""
        ...

    def free(self, lease: Lease) -> None: ...


@dataclass
class Bucket:
    """What a caller may still ask, as of then."""

    left: float
    at: float


class Buckets:
    """One for each caller who asked of late, in this process."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._kept: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, user_id: str) -> Taken:
        now = time.monotonic()
        bucket = self._kept.get(user_id) or Bucket(self._rate.burst, now)
        left = min(self._rate.burst, bucket.left + (now - bucket.at) * self._rate.per_second)
        passes = left >= 1
        taken = Taken(passes, left - passes)
        self.keep(user_id, taken.left)
        return taken

    def keep(self, user_id: str, left: float) -> None:
        self._kept.pop(user_id, None)
        self._kept[user_id] = Bucket(left, time.monotonic())
        if len(self._kept) > KEPT_CALLERS:
            self._kept.popitem(last=False)


class Limits:
    """Requests at a `rate`, so many questions `waiting`, so many `streams`: counted in `common` while it is there."""

    def __init__(self, rate: Rate, waiting: int, streams: int, common: Common | None = None) -> None:
        self._rate, self._common = rate, common
        self._most: Mapping[Kind, int] = {"questions": waiting, "streams": streams}
        self._buckets = Buckets(rate)
        self._open: Counter[tuple[Kind, str]] = Counter()

    async def take(self, user_id: str) -> dict[str, str]:
        """One request; the headers that tell how much is left. Raises: `Problem` 429 for one too many."""
        taken = await self._taken(user_id)
        if not taken.passes:
            raise self._too_many(taken.left)
        return self._told(taken.left)

    async def _taken(self, user_id: str) -> Taken:
        """What all replicas know is kept here, so that a caller gains little when Valkey goes away."""
        taken = await self._common.take(user_id) if self._common else None
        if taken is None:
            return self._buckets.take(user_id)
        self._buckets.keep(user_id, taken.left)
        return taken

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

    def _too_many(self, left: float) -> Problem:
        problem = Problem("too_many", "too many requests")
        wait = math.ceil((1 - left) / self._rate.per_second)
        problem.headers |= {**self._told(left), "Retry-After": str(max(1, wait))}
        return problem

    def _told(self, left: float) -> dict[str, str]:
        """As the IETF's draft of the RateLimit header fields has them."""
        full_in = math.ceil((self._rate.burst - left) / self._rate.per_second)
        return {
            "RateLimit-Policy": f'"caller";q={self._rate.per_minute};w={WINDOW_SECONDS}',
            "RateLimit": f'"caller";r={int(left)};t={full_in}',
        }


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
