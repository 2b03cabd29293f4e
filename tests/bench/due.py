"""The due times of many tickets: how late each comes through kills of Restate and the room, and a clock that jumps."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from standalone.ports import free_port
from standalone.process import Process
from tests.bench.load import client_session
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service
from tests.parts.tickets import tickets_database

GOAL_SECONDS = 5.0
REPLY_SECONDS = 1800.0
"""What is promised of each; tickets are made as if that long ago, so that the due times come soon."""
LEAD_SECONDS = 20.0
JUMPS = (30.0, -30.0)
AT_ONCE = 50
LOOKS_PER_SECOND = 25
"""So many are planned on a busy machine, too, before the first comes."""

_MAKE = """
INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, created_at, sla_due_at,
    clock_since, reply_due_at, solve_due_at, reply_reminded_at, solve_reminded_at, next_look_at)
SELECT 'due' || n, 'user_' || n, 'Due', 'Words', 'bug', 'normal', begun, begun + $4 * interval '2 s', begun,
    begun + $4 * interval '1 s', begun + $4 * interval '2 s', begun, begun, begun + $4 * interval '1 s'
FROM (SELECT n, to_timestamp($1::float8 - $4 + n * ($2::float8 / $3::int)) AS begun
      FROM generate_series(1, $3::int) AS n) AS each
RETURNING ticket_id
"""
_FIRED = """
SELECT ticket_id, action, extract(epoch FROM at - reply_due_at)::float8 AS late, extract(epoch FROM at)::float8 AS at
FROM tickets JOIN audit USING (ticket_id) WHERE action <> 'create'
"""


@dataclass(frozen=True)
class Due:
    """How late each came, in seconds; those first that no kill could delay."""

    tickets: int
    window: float
    calm: list[float]
    disturbed: list[float]
    lost: int
    doubled: int
    early: int
    others: int
    away: list[float]

    @property
    def held(self) -> bool:
        return not (self.lost or self.doubled or self.early or self.others)

    def as_markdown(self) -> str:
        lines = [
            f"{self.tickets} due times within {self.window:.0f} s; what was killed was away for "
            f"{', '.join(f'{each:.1f}' for each in self.away)} s: Restate, the tickets' room (back with a clock"
            f" {JUMPS[0]:+.0f} s), the room again (back with a clock {JUMPS[1]:+.0f} s).",
            "",
            "| | due times | p50 s late | p99 s late | latest | over 5 s |",
            "|---|---|---|---|---|---|",
            _row("no kill near", self.calm),
            _row("within 10 s of a kill", self.disturbed),
            "",
            f"lost {self.lost}, twice {self.doubled}, before their time {self.early}, anything else {self.others}",
        ]
        return "\n".join(lines)


def _row(name: str, late: list[float]) -> str:
    if not late:
        return f"| {name} | 0 | | | | |"
    late = sorted(late)
    over = sum(each > GOAL_SECONDS for each in late)
    p50, p99 = late[len(late) // 2], late[min(len(late) - 1, int(len(late) * 0.99))]
    return f"| {name} | {len(late)} | {p50:.2f} | {p99:.2f} | {late[-1]:.2f} | {over} |"


async def falling_due(folder: Path, *, tickets: int, window: float) -> Due:
    parts = Parts(folder)
    await parts.start()
    try:
        begins = time.time() + LEAD_SECONDS + tickets / LOOKS_PER_SECOND
        made = await parts.database.rows(_MAKE, begins, window, tickets, REPLY_SECONDS)
        await parts.have_looked_after([row["ticket_id"] for row in made])
        if time.time() > begins:
            raise SystemExit("this machine is too slow: due times came while they were planned")
        disturbed = list[tuple[float, float]]()
        for share, disturb in ((0.3, parts.kill_restate), (0.5, parts.jump), (0.7, parts.jump)):
            await asyncio.sleep(max(0.0, begins + share * window - time.time()))
            killed = time.time()
            await disturb()
            disturbed.append((killed, time.time()))
        await asyncio.sleep(max(0.0, begins + window - time.time()))
        await parts.over(tickets)
        return await _counted(parts, tickets, window, disturbed)
    finally:
        await parts.stop()


class Parts:
    """PostgreSQL, Restate, the registry, which says what time it is there, and the tickets' room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres = PostgresServer(folder, free_port(), "bench")
        self._restate = RestateServer(folder)
        admin = self._restate.admin_url
        self._registry = Service("registry", folder, {"RESTATE_ADMIN_URL": admin, "CATALOGUE_POLL_SECONDS": "1"})
        self._port = free_port()
        self._jumps = iter(JUMPS)
        self._room: Service | None = None

    async def start(self) -> None:
        await self._postgres.start()
        self.database = await tickets_database(self._postgres, "due")
        await self._restate.start()
        await self._registry.start()
        self._room = await self._tickets("tickets")
        await self._restate.register(self._room.url)
        reply = await request("PATCH", f"{self._restate.admin_url}/services/TicketLife", {"public": True})
        assert reply.status_code == 200, reply.text

    async def stop(self) -> None:
        parts: list[Process | None] = [self._room, self._registry, self._restate.process, self._postgres.process]
        for part in parts:
            if part:
                await part.kill()

    async def have_looked_after(self, ticket_ids: list[str]) -> None:
        """As whoever makes or changes a ticket has it done."""
        waiting = iter(ticket_ids)

        async def some() -> None:
            for ticket_id in waiting:
                url = f"{self._restate.ingress_url}/TicketLife/{ticket_id}/look"
                async with http.post(url, json={}) as reply:
                    assert reply.status == 200, await reply.text()

        async with client_session() as http:
            await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def kill_restate(self) -> None:
        await self._restate.process.kill()
        await self._restate.start()

    async def jump(self) -> None:
        """The room comes back on a machine whose clock is wrong."""
        assert self._room
        await self._room.kill()
        shift = str(next(self._jumps))
        self._room = await self._tickets("tests.parts.shifted_rooms", ROOM="tickets", CLOCK_SHIFT=shift)

    async def over(self, tickets: int) -> None:
        """Returns once all have come, or nothing more has for long."""
        come, since = -1, time.monotonic()
        while come < tickets and time.monotonic() - since < 60:
            [row] = await self.database.rows("SELECT count(*) FROM tickets WHERE reply_escalated_at IS NOT NULL")
            if row["count"] > come:
                come, since = row["count"], time.monotonic()
            await asyncio.sleep(1)

    async def _tickets(self, module: str, **env: str) -> Service:
        room = Service(
            module,
            self._folder,
            {
                "DATABASE_URL": self.database.app,
                "ACCEPTED_URL": f"{self._registry.address}/accepted",
                "FIRST_REPLY_HOURS": f"urgent=1 high=1 normal={REPLY_SECONDS / 3600} low=24",
                "SOLUTION_HOURS": f"urgent=2 high=2 normal={2 * REPLY_SECONDS / 3600} low=72",
                **env,
            },
            name=f"{module}-{self._port}",
            port=self._port,
        )
        await room.start()
        return room


async def _counted(parts: Parts, tickets: int, window: float, disturbed: list[tuple[float, float]]) -> Due:
    rows = await parts.database.rows(_FIRED)
    came = Counter(row["ticket_id"] for row in rows if row["action"] == "escalate_reply")
    late = [(row["late"], row["at"] - row["late"]) for row in rows if row["action"] == "escalate_reply"]

    def is_near(due: float) -> bool:
        return any(killed - 10 <= due <= back + 10 for killed, back in disturbed)

    return Due(
        tickets=tickets,
        window=window,
        calm=[each for each, due in late if not is_near(due)],
        disturbed=[each for each, due in late if is_near(due)],
        lost=tickets - len(came),
        doubled=sum(count - 1 for count in came.values()),
        early=sum(each < 0 for each, _ in late),
        others=len(rows) - came.total(),
        away=[back - killed for killed, back in disturbed],
    )
