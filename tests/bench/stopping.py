"""How soon a run is silent after a stop, over many stops at random moments.

Silent is a run that has settled: its model's connection is closed, and nothing more is asked. The model asks for a tool
and then writes a text for seconds, so that stops meet runs wherever they are.
"""

import asyncio
import random
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.hall import Hall, hall
from tests.parts.board import calls, text, until
from tests.parts.conversations import Talk
from tests.parts.restate import request

STOPS, AT_A_TIME = 200, 4
LONGEST = 1.2
"""Seconds into a run until which it is stopped."""
BAR_SECONDS = 1.0


@dataclass
class Stopping:
    """Seconds from the stop until its answer and until silence, of those that met a run; `late`: model calls that began
    after a stop was answered."""

    silent: list[float] = field(default_factory=list[float])
    answered: list[float] = field(default_factory=list[float])
    late: int = 0

    def as_markdown(self) -> str:
        lines = ["| stops | p50 ms | p99 ms | max ms |", "|---|---|---|---|"]
        for what, measured in (("answered", self.answered), ("silent and settled", self.silent)):
            ordered = sorted(measured)
            p50, p99 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
            lines.append(f"| {len(measured)}: {what} | {p50:.0f} | {p99:.0f} | {1000 * ordered[-1]:.0f} |")
        told = f"Model calls that began after a stop: {self.late}. Bar: p99 at most {1000 * BAR_SECONDS:.0f} ms."
        return "\n".join([*lines, "", told])


async def stopping(folder: Path, stops: int) -> Stopping:
    found, chance = Stopping(), random.Random(8)
    async with hall(folder) as here:
        waiting = asyncio.Semaphore(AT_A_TIME)

        async def one(after: float) -> None:
            async with waiting:
                await _stop(here, after, found)

        await asyncio.gather(*(one(chance.uniform(0, LONGEST)) for _ in range(stops)))
    return found


async def _stop(here: Hall, after: float, found: Stopping) -> None:
    talk, topic = here.talk(), f"topic {uuid.uuid4().hex}"
    slow = {"chunk_seconds": 0.05, "latency_seconds": 0.2}
    replies = [calls(("echo", {"text": "a"})) | slow, text("many words " * 400) | slow]
    await request("POST", f"{here.board.model.url}/admin/script", {"match": topic, "replies": replies})
    await talk.say(topic)
    await asyncio.sleep(after)
    began, clock = time.monotonic(), time.time()
    await talk.stop()
    found.answered.append(time.monotonic() - began)
    answered_at = time.time()
    ended_at = await until(lambda: _ended(here, talk), 30)
    if ended_at > clock:
        found.silent.append(ended_at - clock)
    await asyncio.sleep(0.5)
    found.late += sum(call["time"] > answered_at for call in await here.board.ledger(topic))


async def _ended(here: Hall, talk: Talk) -> float | None:
    """When all runs of the conversation had settled, by the database's clock, which is this machine's."""
    sql = "SELECT extract(epoch FROM max(ended_at))::float8 FROM runs WHERE conversation_id = $1 AND state = 'ended'"
    return await here.looking.fetchval(sql, talk.key)
