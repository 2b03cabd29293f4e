"""What a conversation costs that grows: bytes for each question, over 500 of them; and one of 100 calls."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.hall import Hall, hall
from tests.parts.board import until
from tests.parts.conversations import Talk
from tests.parts.fake_endpoint import Body, Told, fake_endpoint, refuses, says

CALLS, RESULT_BYTES = 100, 8_000
WINDOW = 32_000
"""Tokens that the model takes in the conversation of 100 calls."""
TABLES = ("entries", "inputs", "runs", "events", "summaries")
SENTENCE = (
    "Our nightly job number {number} failed again, and I would like to know what it has to do with the last one. "
)


@dataclass
class Stored:
    """What one part of a conversation has left behind, by question."""

    questions: int
    seconds: float
    state: int
    journal: float
    rows: float
    row_bytes: float
    summaries: int


@dataclass
class Growing:
    """By the number of the last question of each part; then the conversation of calls."""

    parts: dict[int, Stored] = field(default_factory=dict[int, Stored])
    calls: str = ""

    def as_markdown(self) -> str:
        lines = [
            "| questions | ms each | Restate state, bytes | journal, bytes each | PostgreSQL, rows each | bytes each "
            "| summaries |",
            "|---|---|---|---|---|---|---|",
        ]
        before = 0
        for last, each in self.parts.items():
            lines.append(
                f"| {before + 1} to {last} | {1000 * each.seconds / each.questions:.0f} | {each.state} "
                f"| {each.journal:.0f} | {each.rows:.1f} | {each.row_bytes:.0f} | {each.summaries} |"
            )
            before = last
        return "\n".join([*lines, "", self.calls])


async def growing(folder: Path, questions: int) -> Growing:
    found = Growing()
    async with hall(folder / "questions") as here:
        await _questions(here, questions, found)
    found.calls = await _calls(folder / "calls")
    return found


LIMITS = {
    "MAX_TURNS": str(CALLS + 5),
    "MAX_CALLS": str(CALLS + 5),
    "MAX_TOKENS": "10000000",
    "MAX_SECONDS": "900",
}


async def _questions(here: Hall, questions: int, found: Growing) -> None:
    talk, asked = here.talk(), 0
    part = max(1, questions // 5)
    while asked < questions:
        began, before, made = time.monotonic(), await _left(here, talk), await _summaries(here)
        for number in range(asked + 1, asked + part + 1):
            await talk.say(SENTENCE.format(number=number) * 3)
            await talk.answers(number, 60)
        asked += part
        seconds = time.monotonic() - began
        await talk.settled()
        await until(lambda: _all_over(here), 60)
        after = await _left(here, talk)
        journal, rows, row_bytes = ((now - then) / part for now, then in zip(after, before, strict=True))
        state = len(str(await talk.control()))
        made = await _summaries(here) - made
        found.parts[asked] = Stored(part, seconds, state, journal, rows, row_bytes, made)


async def _left(here: Hall, talk: Talk) -> tuple[float, float, float]:
    """Bytes in journals, rows and bytes in PostgreSQL."""
    sql = "SELECT sum(raw_length) AS bytes FROM sys_journal"
    journal = float((await here.board.restate.query(sql, 60))[0].get("bytes") or 0)
    rows = row_bytes = 0.0
    for table in TABLES:
        counted = f"SELECT count(*) AS n, coalesce(sum(pg_column_size(t)), 0) AS bytes FROM {table} t"
        (found,) = await here.database.rows(f"{counted} WHERE conversation_id = $1", talk.key)
        rows, row_bytes = rows + float(found["n"]), row_bytes + float(found["bytes"])
    return journal, rows, row_bytes


async def _summaries(here: Hall) -> int:
    return sum(call["outcome"] == "summary" for call in await here.board.ledger(""))


async def _all_over(here: Hall) -> bool:
    sql = "SELECT count(1) AS going FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled')"
    return (await here.board.restate.query(sql, 60))[0]["going"] == 0


class Reader:
    """A model with a small window that reads a long log in so many calls, and then answers."""

    def __init__(self) -> None:
        self.made = self.summaries = self.refused = self.longest = self.tokens = 0

    def answer(self, asked: Body) -> Told:
        tokens = len(json.dumps(asked)) // 4
        if tokens > WINDOW:
            self.refused += 1
            return refuses(400, "Too long.", code="context_length_exceeded")
        self.longest, self.tokens = max(self.longest, tokens), self.tokens + tokens
        if not asked.get("tools"):
            self.summaries += 1
            return says(f"{self.made} parts were read, and nothing was found in them.")
        if self.made == CALLS:
            return says("Nothing was found.")
        self.made += 1
        arguments = json.dumps({"part": self.made, "size": RESULT_BYTES})
        function = {"name": "read_much", "arguments": arguments}
        return says(None, "tool_calls", tool_calls=[{"id": f"c{self.made}", "type": "function", "function": function}])


async def _calls(folder: Path) -> str:
    """One run of 100 calls, each in a turn of its own, whose results are far more than the model takes."""
    reader = Reader()
    async with fake_endpoint(reader.answer) as model, hall(folder, OPENAI_BASE_URL=model.url, **LIMITS) as here:
        tools = await here.board.launch("tests.bench.reading")
        await here.board.restate.register(tools.url)
        await asyncio.sleep(3)  # until it is on offer
        talk, began = here.talk(), time.monotonic()
        await talk.say("Is there anything about the outage in the log? Please read all of it.")
        (said,) = await talk.answers(1, 600)
        seconds = time.monotonic() - began
        await talk.settled()
        await until(lambda: _all_over(here), 60)
        journal, rows, row_bytes = await _left(here, talk)
        results = CALLS * RESULT_BYTES // 4
        return (
            f"One run of {reader.made} calls with {results:,} tokens of results, by a model that takes {WINDOW:,}: "
            f"“{said}” after {seconds:.0f} s. {reader.summaries} summaries; {reader.refused} requests were too long, "
            f"the longest other had {reader.longest:,} tokens, all together {reader.tokens:,}. Left behind: journal "
            f"{journal / 1000:.0f} kB, PostgreSQL {rows:.0f} rows and {row_bytes / 1000:.0f} kB, Restate state "
            f"{len(str(await talk.control()))} bytes."
        )
