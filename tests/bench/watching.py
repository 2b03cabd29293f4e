"""What watching costs: how soon text is seen after it came from the model, and the CPU of a thousand watchers.

The path is the real one behind the model client: the router's `Told`, PostgreSQL, the room of the conversations in a
process of its own, and connections that read. The text is shown where a model client has just read a part of it.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from contracts import Caller, ConversationRun
from router.steps import Moment
from router.told import Told
from runtime.postgres import open_pool
from standalone.ports import free_port
from tests.bench.cpu import used
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.postgres import PostgresServer
from tests.parts.service import Service

WATCHERS, SECONDS, WRITERS = 1000, 10, 20
FIRST_TEXTS = 300
BAR_MS = 150


@dataclass
class Watching:
    """Milliseconds until the first text was seen, by how many runs write at once; percents of one core."""

    first: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    cpu: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def as_markdown(self) -> str:
        lines = [f"| {FIRST_TEXTS} first texts | p50 ms | p99 ms | max ms |", "|---|---|---|---|"]
        for runs, measured in self.first.items():
            sorted_ = sorted(measured)
            p50, p99 = (sorted_[int(len(sorted_) * share)] for share in (0.5, 0.99))
            lines.append(f"| {runs} at a time | {p50:.0f} | {p99:.0f} | {sorted_[-1]:.0f} |")
        lines += [f"\nBar: p99 at most {BAR_MS} ms.\n", "| what | conversations | postgres |", "|---|---|---|"]
        for what, cpu in self.cpu.items():
            lines.append(f"| {what} | {cpu['conversations']:.0f} % of a core | {cpu['postgres']:.0f} % |")
        return "\n".join(lines)


@dataclass(frozen=True)
class Room:
    """Where conversations are held for the bench."""

    database: ConversationsDatabase
    service: Service
    postgres: PostgresServer
    http: aiohttp.ClientSession

    async def open(self, count: int) -> list[ConversationRun]:
        """So many conversations with a run each."""
        runs = [
            ConversationRun(
                conversation=f"conv_{uuid.uuid4().hex}",
                run=f"run_{uuid.uuid4().hex}",
                epoch=1,
                caller=Caller(user_id=f"user_{number}"),
                inputs=[],
            )
            for number in range(count)
        ]
        rows = [[each.conversation, each.caller.user_id, each.run] for each in runs]
        columns = [list(column) for column in zip(*rows, strict=True)]
        opened = "INSERT INTO conversations (conversation_id, user_id, run, epoch) SELECT *, 1 FROM {}"
        begun = "INSERT INTO runs (conversation_id, user_id, run, epoch) SELECT *, 1 FROM {}"
        for statement in (opened, begun):
            await self.database.rows(statement.format("unnest($1::text[], $2::text[], $3::text[]) AS t"), *columns)
        return runs

    @asynccontextmanager
    async def watched(self, run: ConversationRun) -> AsyncGenerator[aiohttp.StreamReader]:
        port = self.service.program.env["WATCH_PORT"]
        url = f"http://127.0.0.1:{port}/conversations/{run.conversation}/events"
        async with self.http.get(url, headers={"X-User-Id": run.caller.user_id}) as reply:
            reply.raise_for_status()
            yield reply.content


@asynccontextmanager
async def room(folder: Path, **env: str) -> AsyncGenerator[tuple[Room, Told]]:
    """A room of its own, and the router's teller. `env` are settings of the room."""
    postgres = PostgresServer(folder, free_port(), "bench")
    async with AsyncExitStack() as stack:
        await postgres.start()
        stack.push_async_callback(postgres.stop, "immediate")
        database = await conversations_database(postgres, "watched")
        settings = {"DATABASE_URL": database.app, "TRUST_USER_ID": "true", "WATCH_PORT": str(free_port()), **env}
        service = Service("conversations", folder, settings)
        await service.start()
        stack.push_async_callback(service.stop, 5)
        connector = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        )
        told = Told(await stack.enter_async_context(open_pool(database.router, "conversations", size=4)))
        stack.push_async_callback(told.close)
        yield Room(database, service, postgres, http), told


async def watching(folder: Path) -> Watching:
    found = Watching()
    async with room(folder) as (here, told):
        for at_a_time in (1, 16):
            found.first[at_a_time] = await _first_texts(here, told, at_a_time)
        await _crowd(here, told, found)
    return found


async def _first_texts(room: Room, told: Told, at_a_time: int) -> list[float]:
    measured: list[float] = []
    for _ in range(FIRST_TEXTS // at_a_time):
        runs = await room.open(at_a_time)
        measured += await asyncio.gather(*(_first_text(room, told, run) for run in runs))
    return measured


async def _first_text(room: Room, told: Told, run: ConversationRun) -> float:
    """The model thinks for a while, then it writes 30 parts a second."""
    async with room.watched(run) as stream:
        with told.writing(run, [], Moment(time.time())) as show:
            assert show is not None
            await asyncio.sleep(0.3 + uuid.uuid4().int % 200 / 1000)
            began = time.perf_counter()
            seen = asyncio.create_task(_until(stream, b"word"))
            text = ""
            while not seen.done():
                text += "word "
                show(text)
                await asyncio.wait([seen], timeout=1 / 30)
            return (await seen - began) * 1000


async def _until(stream: aiohttp.StreamReader, words: bytes) -> float:
    async for line in stream:
        if words in line:
            break
    return time.perf_counter()


async def _crowd(room: Room, told: Told, found: Watching) -> None:
    runs = await room.open(WATCHERS)
    async with AsyncExitStack() as stack:
        reading = [asyncio.create_task(_read(room, run)) for run in runs]
        stack.callback(lambda: [task.cancel() for task in reading])
        await asyncio.sleep(5)
        found.cpu[f"{WATCHERS} watchers, nothing happens"] = await _cpu(room)
        writing = [asyncio.create_task(_write(told, run)) for run in runs[:WRITERS]]
        stack.callback(lambda: [task.cancel() for task in writing])
        await asyncio.sleep(1)
        found.cpu[f"{WATCHERS} watchers, {WRITERS} see text being written"] = await _cpu(room)


async def _read(room: Room, run: ConversationRun) -> None:
    async with room.watched(run) as stream:
        while await stream.readany():
            pass


async def _write(told: Told, run: ConversationRun) -> None:
    with told.writing(run, [], Moment(time.time())) as show:
        assert show is not None
        for number in range(100_000):
            show("many words " * (number % 300))
            await asyncio.sleep(1 / 30)


async def _cpu(room: Room) -> dict[str, float]:
    pids = {"conversations": room.service.pid or 0, "postgres": room.postgres.process.pid or 0}
    before = used(pids)
    await asyncio.sleep(SECONDS)
    after = used(pids)
    return {name: (after[name] - before[name]) / SECONDS * 100 for name in pids}
