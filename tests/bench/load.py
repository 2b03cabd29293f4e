"""The load: a closed loop of so many askers at once, for so long; one client, bounded, stops by itself."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

SECONDS_FOR_ONE_RUN = 60


@dataclass(frozen=True)
class Target:
    """Where a variant is asked, what, and what a right answer holds."""

    url: str
    body: Callable[[int], dict[str, Any]]
    expected: str
    headers: Callable[[int], dict[str, str]] = lambda _: {}
    keyed: bool = True
    """Whether each question has an `Idempotency-Key`."""


@dataclass
class Load:
    """What came of it; the runs per second without the first wave and what was under way at the end."""

    latencies: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])
    runs_per_second: float = 0

    @property
    def runs(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Client:
    """Asks a target, again and again."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._asked = 0

    async def ask(self, target: Target) -> str:
        """One question; returns what was wrong with the answer, or nothing."""
        self._asked += 1
        headers = target.headers(self._asked) | ({"Idempotency-Key": uuid.uuid4().hex} if target.keyed else {})
        async with self._http.post(target.url, json=target.body(self._asked), headers=headers) as reply:
            text = await reply.text()
        return "" if reply.status == 200 and target.expected in text else f"{reply.status} {text[:300]}"

    async def load(self, target: Target, concurrency: int, seconds: float) -> Load:
        done = Load()
        stop = math.inf
        counted = 0

        async def asker() -> None:
            nonlocal stop, counted
            while (started := time.perf_counter()) < stop:
                wrong = await self.ask(target)
                ended = time.perf_counter()
                done.latencies.append(ended - started)
                done.wrong += [wrong] if wrong else []
                counted += concurrency < done.runs and ended <= stop
                if done.runs == concurrency:
                    stop = ended + seconds

        await asyncio.gather(*(asker() for _ in range(concurrency)))
        done.runs_per_second = counted / seconds
        return done


def client_session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=SECONDS_FOR_ONE_RUN)
    return aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
