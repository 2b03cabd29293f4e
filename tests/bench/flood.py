"""A flood at the door: of one caller at ten times what one may, of everybody at ten times what can be answered."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp

from gateway.settings import GatewaySettings
from tests.bench.door import both_ways
from tests.bench.load import Target, client_session
from tests.bench.parts import CUSTOMERS, world

GOODPUT_BAR, SLOWER_BAR = 0.8, 2.0
"""At least this share of the peak, at most so many times the quiet p99."""
POLITE_PER_SECOND = 4.0
AT_THE_PEAK = 16


@dataclass
class Flood:
    """Seconds that polite callers waited, alone and beside one who floods; answers a second, by what else was asked."""

    quiet: list[list[float]] = field(default_factory=list[list[float]])
    beside: list[list[float]] = field(default_factory=list[list[float]])
    peak: list[float] = field(default_factory=list[float])
    flooded: list[float] = field(default_factory=list[float])
    overrun: list[float] = field(default_factory=list[float])
    flooder: Counter[int] = field(default_factory=Counter[int])
    everybody: Counter[int] = field(default_factory=Counter[int])

    def as_markdown(self) -> str:
        quiet, beside = (median(_percentile(each, 0.99) for each in phases) for phases in (self.quiet, self.beside))
        lines = [
            "| medians of the rounds | measured | goal | met |",
            "|---|---|---|---|",
            f"| p99 of polite callers, alone | {1000 * quiet:.0f} ms | | |",
            f"| beside one who asks 10 times what one may | {1000 * beside:.0f} ms, {beside / quiet:.2f} x "
            f"| at most {SLOWER_BAR:g} x | {_met(beside <= SLOWER_BAR * quiet)} |",
            f"| answers a second, peak | {median(self.peak):.1f} | | |",
            self._share("beside one who asks 10 times what one may", self.flooded),
            self._share("everybody together asks 10 times the peak", self.overrun),
        ]
        told = f"one who floods: {_told(self.flooder)}; everybody together: {_told(self.everybody)}"
        return "\n".join([*lines, "", f"Answers by status; {told}."])

    def _share(self, what: str, good: list[float]) -> str:
        share = median(good) / median(self.peak)
        met = _met(share >= GOODPUT_BAR)
        return f"| {what} | {median(good):.1f}, {share:.2f} x | at least {GOODPUT_BAR:g} x | {met} |"


def _told(counts: Counter[int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))


def _percentile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _met(met: bool) -> str:
    return "yes" if met else "**no**"


async def flooded(folder: Path, rounds: int = 3, seconds: float = 20) -> Flood:
    """Every phase in each round; the gateway has its usual bounds."""
    found = Flood()
    async with world(folder) as here, client_session() as http:
        ours = (await both_ways(here))[1]
        asker = _Asker(http, ours.target)
        await asyncio.gather(*(asker.ask(number) for number in range(len(CUSTOMERS))))
        for _ in range(rounds):
            found.quiet.append(await asker.politely(seconds))
            async with asker.flood(found.flooder):
                found.beside.append(await asker.politely(seconds))
            found.peak.append(await asker.goodput(seconds))
            async with asker.flood(found.flooder):
                found.flooded.append(await asker.goodput(seconds))
            found.overrun.append(await asker.overrun(10 * median(found.peak), seconds, found.everybody))
            await asyncio.sleep(5)
    return found


class _Asker:
    """Asks as this customer or that, at a rate, whatever becomes of it."""

    def __init__(self, http: aiohttp.ClientSession, target: Target) -> None:
        self._http, self._target = http, target

    async def ask(self, number: int) -> int:
        """The status of the answer; 0 when there was none."""
        headers = {**self._target.headers(number), "Idempotency-Key": uuid.uuid4().hex}
        try:
            async with self._http.post(self._target.url, json=self._target.body(number), headers=headers) as reply:
                await reply.read()
                return reply.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def politely(self, seconds: float) -> list[float]:
        """How long everybody but the one who floods waits, in turns, each far below what they may. Raises: SystemExit
        when one is not answered."""
        waited, wrong = list[float](), Counter[int]()

        async def one(number: int) -> None:
            began = time.perf_counter()
            status = await self.ask(1 + number % (len(CUSTOMERS) - 1))
            waited.append(time.perf_counter() - began)
            wrong[status] += status != 200

        await _at_a_rate(POLITE_PER_SECOND, seconds, one)
        if wrong.total():
            raise SystemExit(f"polite callers were not answered: {_told(wrong)}")
        return waited

    @asynccontextmanager
    async def flood(self, seen: Counter[int]) -> AsyncGenerator[None]:
        """One caller asks ten times what one may, once what may come at once is used up."""
        per_second = 10 * GatewaySettings.model_fields["requests_per_minute"].default / 60

        async def one(_: int) -> None:
            seen[await self.ask(0)] += 1

        flooding = asyncio.create_task(_at_a_rate(per_second, 3600, one))
        try:
            yield
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)

    async def goodput(self, seconds: float) -> float:
        """Answers a second, of so many polite callers who ask again as soon as they are answered."""
        until, good = time.perf_counter() + seconds, 0

        async def one(number: int) -> None:
            nonlocal good
            while time.perf_counter() < until:
                number += AT_THE_PEAK
                status = await self.ask(1 + number % (len(CUSTOMERS) - 1))
                good += status == 200 and time.perf_counter() < until

        await asyncio.gather(*(one(number) for number in range(AT_THE_PEAK)))
        return good / seconds

    async def overrun(self, per_second: float, seconds: float, seen: Counter[int]) -> float:
        """Answers a second when everybody together asks at this rate, once that has gone on for a while."""
        settled, over = time.perf_counter() + seconds / 2, time.perf_counter() + seconds
        good = 0

        async def one(number: int) -> None:
            nonlocal good
            status = await self.ask(number)
            seen[status] += 1
            good += status == 200 and settled < time.perf_counter() < over

        await _at_a_rate(per_second, seconds, one)
        return good / (over - settled)


async def _at_a_rate(per_second: float, seconds: float, one: Callable[[int], Coroutine[None, None, None]]) -> None:
    """Begin one after the other, whether or not the ones before have ended; wait for all of them."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as all_of_them:
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            all_of_them.create_task(one(number))
