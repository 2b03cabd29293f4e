"""A thousand streams through one gateway: its CPU and memory, and how late a reader is."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import aiohttp
import psutil

from contracts import ConversationRun, RunEvent
from router.steps import Moment
from router.told import Told
from tests.bench.cpu import used
from tests.bench.door import BELIEVING, gateway_for, signed
from tests.bench.watching import Room, room
from tests.parts.service import Service

LATE_BAR = 1.0


@dataclass
class Streams:
    """CPU in percents of one core memory of the gateway in MB, and by how many seconds readers were late."""

    streams: int
    cpu: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    memory: dict[str, float] = field(default_factory=dict[str, float])
    late: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def as_markdown(self) -> str:
        lines = [
            f"{self.streams} streams through one gateway. A line is late from when it stands in the database, a text",
            f"from when it was written (goal: at most {LATE_BAR:g} s for every reader).",
            "",
            "| | gateway, % of a core | conversations | PostgreSQL | gateway, MB |",
            "|---|---|---|---|---|",
        ]
        for what, cpu in self.cpu.items():
            cells = " | ".join(f"{cpu[name]:.0f}" for name in ("gateway", "conversations", "postgres"))
            lines.append(f"| {what} | {cells} | {self.memory[what]:.0f} |")
        lines += ["", "| | seen | p50 ms | p99 ms | max ms | met |", "|---|---|---|---|---|---|"]
        for what, seconds in self.late.items():
            late = sorted(seconds)
            p50, p99 = (late[int(len(late) * share)] * 1000 for share in (0.5, 0.99))
            met = "yes" if late[-1] <= LATE_BAR else "**no**"
            lines.append(f"| {what} | {len(late)} | {p50:.0f} | {p99:.0f} | {late[-1] * 1000:.0f} | {met} |")
        return "\n".join(lines)


async def streaming(folder: Path, streams: int = 1000, seconds: float = 10) -> Streams:
    """20 of the thousand see text being written, and every second each twentieth sees a line."""
    customers = [f"user_{number}" for number in range(streams)]
    found = Streams(streams)
    async with room(folder, **BELIEVING) as (here, told), AsyncExitStack() as stack:
        watch = f"http://127.0.0.1:{here.service.program.env['WATCH_PORT']}"
        gateway = gateway_for(folder, customers, CONVERSATIONS_URL=watch)
        await gateway.start()
        stack.push_async_callback(gateway.stop, 5)
        runs = await here.open(streams)
        late = _Late()
        opened = asyncio.Semaphore(0)
        reading = [asyncio.create_task(late.read(here.http, gateway.address, run, opened)) for run in runs]
        stack.callback(lambda: [task.cancel() for task in reading])
        for _ in runs:
            await asyncio.wait_for(opened.acquire(), 60)
        await _weigh(here, gateway, found, "nothing happens", seconds)
        telling = asyncio.create_task(_tell(told, runs))
        writing = [asyncio.create_task(_write(told, run)) for run in runs[:: max(1, streams // 20)]]
        stack.callback(lambda: [task.cancel() for task in (telling, *writing)])
        await _weigh(here, gateway, found, "lines and texts", seconds)
        found.late = {"lines": late.lines, "texts": late.texts}
        broken = [task for task in reading if task.done()]
        if broken:
            raise SystemExit(f"{len(broken)} streams ended, such as: {broken[0]}")
    return found


class _Late:
    """What all readers saw, and how late each of it was."""

    def __init__(self) -> None:
        self.lines: list[float] = []
        self.texts: list[float] = []

    async def read(
        self, http: aiohttp.ClientSession, gateway: str, run: ConversationRun, opened: asyncio.Semaphore
    ) -> None:
        url = f"{gateway}/api/v1/conversations/{run.conversation}/events"
        async with http.get(url, headers=signed(run.caller.user_id)) as reply:
            reply.raise_for_status()
            opened.release()
            async for part in reply.content.iter_any():
                self._note(part.decode(), time.time())

    def _note(self, part: str, now: float) -> None:
        self.lines += [now - datetime.fromisoformat(at).timestamp() for at in re.findall(r'"at": ?"([^"]+)"', part)]
        stamps = re.findall(r"<([0-9.]+)>", part)
        self.texts += [now - float(stamp) for stamp in stamps[-1:]]


async def _tell(told: Told, runs: list[ConversationRun]) -> None:
    for number in range(1_000_000):
        for run in runs[number % 20 :: 20]:
            told.tell(run, [RunEvent(key=f"line-{number}", kind="tool_started", body={"tool": "echo"})])
        await asyncio.sleep(1)


async def _write(told: Told, run: ConversationRun) -> None:
    with told.writing(run, [], Moment(time.time())) as show:
        assert show is not None
        text = ""
        while True:
            text = f"{text if len(text) < 10_000 else ''}some words <{time.time():.3f}> "
            show(text)
            await asyncio.sleep(1 / 30)


async def _weigh(here: Room, gateway: Service, found: Streams, what: str, seconds: float) -> None:
    pids = {"gateway": gateway.pid, "conversations": here.service.pid, "postgres": here.postgres.process.pid}
    known = {name: pid or 0 for name, pid in pids.items()}
    before = used(known)
    await asyncio.sleep(seconds)
    after = used(known)
    found.cpu[what] = {name: (after[name] - before[name]) / seconds * 100 for name in known}
    found.memory[what] = psutil.Process(gateway.pid).memory_info().rss / 1e6
