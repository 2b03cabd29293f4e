"""How often a caller may ask: in this process, so of several replicas each allows as much, unless all count together.

Whoever asks too much is told at once, before anything is done for them, and when to come again.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from runtime.api.problems import Problem

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


class Counting(Protocol):
    """Where all replicas count together."""

    async def take(self, user_id: str) -> Taken | None:
        """One request; None while it is away."""
        ...


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


class Requests:
    """Of callers, at a `rate`: counted in `common` while it is there."""

    def __init__(self, rate: Rate, common: Counting | None = None) -> None:
        self._rate, self._common = rate, common
        self._buckets = Buckets(rate)

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
