"""How much one caller may do, and all together: in this process, so of several replicas each allows as much.

Whoever asks for too much is told at once, before anything is done for them, and when to come again.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.problems import Problem

KEPT_CALLERS = 100_000
WINDOW_SECONDS = 60


@dataclass
class Bucket:
    """What a caller may still ask, as of then."""

    left: float
    at: float


class Limits:
    """`per_minute` requests of one caller, of which `burst` may come at once."""

    def __init__(self, per_minute: int, burst: int, waiting: int, streams: int) -> None:
        self._per_second, self._per_minute, self._burst = per_minute / WINDOW_SECONDS, per_minute, burst
        self._most = {"questions": waiting, "streams": streams}
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._open: Counter[tuple[str, str]] = Counter()

    def take(self, user_id: str) -> dict[str, str]:
        """One request; the headers that tell how much is left. Raises: `Problem` 429 for one too many."""
        now = time.monotonic()
        bucket = self._buckets.pop(user_id, None) or Bucket(self._burst, now)
        self._buckets[user_id] = bucket
        if len(self._buckets) > KEPT_CALLERS:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left < 1:
            raise self._too_many(bucket)
        bucket.left -= 1
        return self._told(bucket)

    @contextmanager
    def held(self, kind: str, user_id: str) -> Generator[None]:
        """Something of a caller's that goes on for a while. Raises: `Problem` 429 for one too many at a time."""
        if self._open[kind, user_id] >= self._most[kind]:
            raise Problem("too_many", f"at most {self._most[kind]} {kind} at a time")
        self._open[kind, user_id] += 1
        try:
            yield
        finally:
            self._open[kind, user_id] -= 1
            if not self._open[kind, user_id]:
                del self._open[kind, user_id]

    def _too_many(self, bucket: Bucket) -> Problem:
        problem = Problem("too_many", "too many requests")
        wait = math.ceil((1 - bucket.left) / self._per_second)
        problem.headers |= {**self._told(bucket), "Retry-After": str(max(1, wait))}
        return problem

    def _told(self, bucket: Bucket) -> dict[str, str]:
        """As the IETF's draft of the RateLimit header fields has them."""
        full_in = math.ceil((self._burst - bucket.left) / self._per_second)
        return {
            "RateLimit-Policy": f'"caller";q={self._per_minute};w={WINDOW_SECONDS}',
            "RateLimit": f'"caller";r={int(bucket.left)};t={full_in}',
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
