"""A conversation of five questions against five one-shot runs, and what it costs that somebody watches.

All three are measured once in each round, one after the other and beginning with another one, in one installation: only
the router's model is a stand-in.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp

from tests.bench.cpu import Pids, used
from tests.bench.hall import Hall, hall
from tests.parts.board import USER
from tests.parts.conversations import Talk

QUESTIONS, AT_A_TIME, IN_A_ROUND = 5, 8, 24
QUESTION = "Hello, good morning, number {}."
WATCHED, UNWATCHED, ONE_SHOT = "a conversation, watched", "a conversation", "one-shot runs"

Asking = Callable[[Hall, aiohttp.ClientSession], Awaitable[list[float]]]


@dataclass
class Talking:
    """Seconds for one question, and CPU seconds of all servers for one, by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    cpu: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def as_markdown(self) -> str:
        lines = [
            f"Five questions one after the other, {AT_A_TIME} at a time. CPU: all servers but the stand-in model.\n",
            "| five questions by | p50 ms a question | p99 ms | CPU ms a question | CPU against one-shot runs, range |",
            "|---|---|---|---|---|",
        ]
        for name, measured in self.seconds.items():
            ordered, cpu = sorted(measured), self.cpu[name]
            p50, p99 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
            ratios = [mine / its for mine, its in zip(cpu, self.cpu[ONE_SHOT], strict=True)]
            against = f"{median(ratios):.2f} x, {min(ratios):.2f}..{max(ratios):.2f}"
            lines.append(f"| {name} | {p50:.0f} | {p99:.0f} | {1000 * median(cpu):.1f} | {against} |")
        return "\n".join(lines)


async def talking(folder: Path, rounds: int) -> Talking:
    found = Talking()
    ways: list[tuple[str, Asking]] = [(ONE_SHOT, _one_shot), (UNWATCHED, _unwatched), (WATCHED, _watched)]
    async with hall(folder) as here, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        for _, ask in ways:
            await _round(here, http, ask)
        for number in range(rounds):
            for name, ask in ways[number % 3 :] + ways[: number % 3]:
                before = used(_pids(here))
                seconds = await _round(here, http, ask)
                after = used(_pids(here))
                found.seconds.setdefault(name, []).extend(seconds)
                spent = sum(after[part] - before[part] for part in _pids(here))
                found.cpu.setdefault(name, []).append(spent / len(seconds))
    found.seconds = {name: found.seconds[name] for name, _ in ways}
    return found


def _pids(here: Hall) -> Pids:
    board = here.board
    parts = {
        "restate": board.restate.process.pid,
        "router": board.router.pid,
        "registry": board.registry.pid,
        "conversations": here.room.pid,
        "postgres": here.postgres.process.pid,
    }
    return {name: pid or 0 for name, pid in parts.items()}


async def _round(here: Hall, http: aiohttp.ClientSession, ask: Asking) -> list[float]:
    waiting = asyncio.Semaphore(AT_A_TIME)

    async def one() -> list[float]:
        async with waiting:
            return await ask(here, http)

    told = await asyncio.gather(*(one() for _ in range(IN_A_ROUND)))
    return [seconds for each in told for seconds in each]


async def _one_shot(here: Hall, http: aiohttp.ClientSession) -> list[float]:
    url, taken = f"{here.board.restate.ingress_url}/ToolRouter/route", list[float]()
    for number in range(QUESTIONS):
        began = time.perf_counter()
        body = {"message": QUESTION.format(number), "user_id": USER}
        async with http.post(url, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}) as reply:
            assert (await reply.json())["outcome"] == "answered"
        taken.append(time.perf_counter() - began)
    return taken


async def _unwatched(here: Hall, http: aiohttp.ClientSession) -> list[float]:
    """Its answers are looked for in the database: whoever does not watch has to ask."""
    talk, taken = here.talk(), list[float]()
    for number in range(QUESTIONS):
        began = time.perf_counter()
        await _say(here, http, talk, number)
        await _answered(here, talk, number + 1)
        taken.append(time.perf_counter() - began)
    return taken


async def _watched(here: Hall, http: aiohttp.ClientSession) -> list[float]:
    """Its answers are seen, with the text while it is written."""
    talk, taken = here.talk(), list[float]()
    began = time.perf_counter()
    await _say(here, http, talk, 0)
    async with _stream(here, http, talk) as stream:
        for number in range(QUESTIONS):
            if number:
                began = time.perf_counter()
                await _say(here, http, talk, number)
            async for line in stream:
                if line.startswith(b"event: answer"):
                    break
            taken.append(time.perf_counter() - began)
    return taken


@asynccontextmanager
async def _stream(here: Hall, http: aiohttp.ClientSession, talk: Talk) -> AsyncGenerator[aiohttp.StreamReader]:
    url = f"http://127.0.0.1:{here.room.program.env['WATCH_PORT']}/conversations/{talk.key}/events"
    async with http.get(url, headers={"X-User-Id": talk.user_id}) as reply:
        reply.raise_for_status()
        yield reply.content


async def _say(here: Hall, http: aiohttp.ClientSession, talk: Talk, number: int) -> None:
    url = f"{here.board.restate.ingress_url}/Conversation/{talk.key}/input"
    body = {
        "text": QUESTION.format(number),
        "input_id": uuid.uuid4().hex,
        "user_id": talk.user_id,
        "when_busy": "queue",
    }
    async with http.post(url, json=body) as reply:
        assert reply.status == 200, await reply.text()


async def _answered(here: Hall, talk: Talk, count: int) -> None:
    sql = "SELECT count(*) FROM entries WHERE conversation_id = $1 AND kind = 'answer'"
    while await here.looking.fetchval(sql, talk.key) < count:
        await asyncio.sleep(0.02)
