"""`python -m tests.bench.waiting`: many calls wait for a yes while everything is killed and started again; then
they are approved, so many a second.

Each is a run of a conversation of its own. What is told is by the database's clock: from the decision that was written
until the outcome stands in the conversation.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import jwt
import psutil

from standalone.process import Process
from tests.bench.hall import Hall, hall
from tests.parts.board import calls, text
from tests.parts.restate import request
from tests.parts.service import Service

RUNS, RATE, AT_A_TIME, UNANSWERED = 10_000, 50.0, 16, 64
"""`UNANSWERED`: decisions under way at once, at most, so that a room that is slower than the rate is not buried."""
APPROVAL_WAIT = "1"
"""Seconds that a run waits itself: what goes on afterwards is the call that waits."""

WISH = "Please mark it, if somebody says yes."
STAFF_KEY = "a-key-of-the-bench-long-enough-for-staff"
TOKEN_SECONDS = 600
"""As long as a token of staff may live."""
QUIET_SECONDS = 10
PATIENCE = 120
"""Seconds that the last outcome may take, and a tenth of one more for each run."""
SERVICE_BAR, RESTATE_BAR, FINISH_BAR = 128, 512, 2.0
"""MB of one of our services, MB of Restate, seconds from a decision to its outcome for 99 of 100."""

_WAITING = "SELECT count(*) FROM approvals WHERE status = 'pending'"
_RUNNING = "SELECT count(*) FROM conversations WHERE run <> ''"
_OPEN = "SELECT approval_id, digest FROM approvals WHERE status = 'pending' ORDER BY random()"
_TOLD = "SELECT count(*) FROM entries WHERE kind = 'approval' AND key LIKE '%/outcome' AND (body ->> 'done')::boolean"
_SECONDS = """
SELECT extract(epoch FROM e.at - a.decided_at)::float8 AS seconds
FROM approvals a
JOIN entries e ON e.conversation_id = a.conversation_id AND e.key = 'approval/' || a.approval_id || '/outcome'
ORDER BY 1
"""


@dataclass
class Waited:
    """What was measured, by process: memory in MB, while all wait and after everything was started again; processor
    time in ms of one approval, without what the process uses while nothing happens."""

    runs: int
    rate: float
    started: float = 0
    back: float = 0
    decided: float = 0
    waiting: dict[str, float] = field(default_factory=dict[str, float])
    again: dict[str, float] = field(default_factory=dict[str, float])
    seconds: list[float] = field(default_factory=list[float])
    cost: dict[str, float] = field(default_factory=dict[str, float])
    marked: int = 0
    doubled: int = 0

    @property
    def is_complete(self) -> bool:
        return len(self.seconds) == self.marked == self.runs and not self.doubled

    def _share(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]

    def as_markdown(self) -> str:
        lines = [
            f"{self.runs} calls wait for a person, started in {self.started:.0f} s. Services and Restate are killed "
            f"and started again; all answer after {self.back:.1f} s. Then {self.rate:g} a second "
            f"are to be approved, {UNANSWERED} at once at most; all had been decided after {self.decided:.0f} s.",
            "",
            "| | MB while all wait | MB after the start | processor ms of an approval |",
            "|---|---|---|---|",
            *(
                f"| {name} | {size:.0f} | {self.again[name]:.0f} | {self.cost.get(name, 0):.1f} |"
                for name, size in self.waiting.items()
            ),
            "",
        ]
        if self.seconds:
            p50, p99 = (self._share(share) for share in (0.5, 0.99))
            lines.append(f"From the decision to its outcome: p50 {p50:.2f} s, p99 {p99:.2f} s (goal {FINISH_BAR:g} s).")
        made = f"effects: {self.marked}, {self.doubled} of them doubled"
        lines.append(f"Outcomes: {len(self.seconds)} of {self.runs}; {made}.")
        lines.append(f"Goals: {SERVICE_BAR} MB a service, {RESTATE_BAR} MB Restate.")
        return "\n".join(lines)


async def waiting(folder: Path, runs: int, rate: float) -> Waited:
    found = Waited(runs, rate)
    async with hall(folder, {"STAFF_KEYS": STAFF_KEY}, APPROVAL_WAIT=APPROVAL_WAIT) as here:
        await _offer(here)
        began = time.monotonic()
        await _start_runs(here, runs)
        await _until(lambda: _is(here, _WAITING, runs), 60)
        await _until(lambda: _is(here, _RUNNING, 0), 60)
        found.started = time.monotonic() - began
        await asyncio.sleep(QUIET_SECONDS)
        found.waiting = _memory(here)
        began = time.monotonic()
        await _kill_everything(here)
        found.back = time.monotonic() - began
        await asyncio.sleep(QUIET_SECONDS)
        idle = _busy(here)
        await asyncio.sleep(QUIET_SECONDS)
        found.again, before, began = _memory(here), _busy(here), time.monotonic()
        await _approve(here, rate)
        found.decided = time.monotonic() - began
        await _until(lambda: _is(here, _TOLD, runs), PATIENCE + runs / 10, may_fail=True)
        quiet = (time.monotonic() - began) / QUIET_SECONDS
        found.cost = {
            name: (ms - before[name] - quiet * (before[name] - idle[name])) / runs for name, ms in _busy(here).items()
        }
        found.seconds = [row["seconds"] for row in await here.database.rows(_SECONDS)]
        await _count_marks(here, found)
    return found


async def _offer(here: Hall) -> None:
    tools = await here.board.launch("tests.parts.undo_tools")
    await here.board.restate.register(tools.url)
    replies = [calls(("mark_if_approved", {"name": "it"})), text("Somebody looks at it.")]
    reply = await request("POST", f"{here.board.model.url}/admin/script", {"match": WISH, "replies": replies})
    assert reply.status_code == 200, reply.text

    async def offered() -> bool:
        told = (await request("GET", f"{here.board.registry.url}/tools")).json()
        return "mark_if_approved" in [tool["name"] for tool in told["tools"]]

    await _until(offered, 20)
    await asyncio.sleep(1)  # a poll of the router's


async def _start_runs(here: Hall, runs: int) -> None:
    """So many at a time as are at work, so that it is calls that wait, and not questions."""
    turn = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with turn:
            talk = here.talk()
            talk.user_id = f"customer_{number}"
            await talk.say(WISH)
            await _until(lambda: _is_quiet(here, talk.key), 60)

    for first in range(0, runs, 1000):
        await asyncio.gather(*(one(number) for number in range(first, min(first + 1000, runs))))
        print(f"{min(first + 1000, runs)} wait", file=sys.stderr, flush=True)


async def _is_quiet(here: Hall, conversation: str) -> bool:
    sql = "SELECT run = '' FROM conversations WHERE conversation_id = $1"
    return bool(await here.looking.fetchval(sql, conversation))


async def _is(here: Hall, sql: str, count: int) -> bool:
    return await here.looking.fetchval(sql) == count


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float, *, may_fail: bool = False) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            if may_fail:
                return
            raise TimeoutError(f"not within {seconds:g} s")
        await asyncio.sleep(0.1)


def _processes(here: Hall) -> Mapping[str, Process]:
    board = here.board
    parts: dict[str, Process] = {"router": board.router, "registry": board.registry, "conversations": here.room}
    return parts | {"Restate": board.restate.process}


def _memory(here: Hall) -> dict[str, float]:
    """Resident MB of each process, with its children."""
    return {name: _resident(process.pid or 0) / 1e6 for name, process in _processes(here).items()}


def _resident(pid: int) -> int:
    process = psutil.Process(pid)
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def _busy(here: Hall) -> dict[str, float]:
    """Processor time in ms that each process has used."""
    return {name: _used(process.pid or 0) * 1000 for name, process in _processes(here).items()}


def _used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def _kill_everything(here: Hall) -> None:
    services: list[Service] = [here.board.router, here.board.registry, here.room]
    await asyncio.gather(*(service.kill() for service in services), here.board.restate.kill())
    await here.board.restate.start()
    await asyncio.gather(*(service.start() for service in services))


async def _approve(here: Hall, rate: float) -> None:
    """At this rate, as long as not too many wait for an answer."""
    under_way = asyncio.Semaphore(UNANSWERED)
    rows = await here.database.rows(_OPEN)
    began = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE + len(rows) / 10)) as http:

        async def decide(number: int, row: Mapping[str, str]) -> None:
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            async with under_way:
                while await is_too_late(row):
                    pass

        async def is_too_late(row: Mapping[str, str]) -> bool:
            """A decision that waits in Restate for longer than its token lives is made again, by a fresh one."""
            body = {**row, "choice": "approve", "staff_token": _token()}
            url = f"{here.board.restate.ingress_url}/restate/call/Approvals/decide"
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            async with http.post(url, json=body, headers=headers) as reply:
                told = await reply.text()
                late = "staff_token_expired" in told
                assert late or reply.status == 200, told
                return late

        await asyncio.gather(*(decide(number, row) for number, row in enumerate(rows)))


def _token() -> str:
    now = int(time.time())
    claims = {"sub": "anna", "aud": "switchboard-staff", "iat": now, "exp": now + TOKEN_SECONDS, "roles": ["approver"]}
    return jwt.encode(claims, STAFF_KEY, "HS256")


async def _count_marks(here: Hall, found: Waited) -> None:
    """The tool's own ledger: made once each."""
    rows = await here.board.restate.query(
        "SELECT count(1) AS marked, count(CASE WHEN value_utf8 NOT LIKE '%\"made\":1,%' THEN 1 END) AS doubled "
        "FROM state WHERE service_name = 'Marks' AND key = 'standing'",
        seconds=60,
    )
    found.marked, found.doubled = rows[0]["marked"], rows[0]["doubled"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.waiting", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many wait; {RUNS} by default")
    parser.add_argument("--rate", type=float, default=RATE, help=f"how many are approved a second; {RATE:g} by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waiting-") as folder:
        found = asyncio.run(waiting(Path(folder), options.runs, options.rate))
    print(found.as_markdown())
    sys.exit(not found.is_complete)


if __name__ == "__main__":
    main()
