"""Conversations: what was said, by whom, in which run. Some wait for a person, some are a person's, one is long."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from contracts import Caller, Disposition, Effect, Input, TurnStep
from conversations.control import Control, Stretch
from conversations.store import Written, digest
from runtime.postgres import Connection, Pool, caller_transaction
from standalone.seed.objects import Objects
from standalone.seed.tickets import STAFF
from standalone.seed.words import MARK, REASONS, follow_up, problem

USUAL_MESSAGES = 10
"""Of one conversation, on average, by its customer and by the agent."""
LONG_SHARE = 50
"""The first conversation has one of so many of all messages."""
MOST_AT_ONCE = 200

_KNOWN = "SELECT conversation_id FROM conversations WHERE conversation_id = ANY($1::text[])"
_COLUMNS = {
    "conversations": "conversation_id, user_id, epoch, next_entry, opened_at, changed_at, stretch, person, handed_at",
    "runs": "run, conversation_id, user_id, epoch, state, outcome, begun_at, ended_at",
    "entries": "conversation_id, position, user_id, key, kind, run, body, at",
    "inputs": "conversation_id, input_id, user_id, digest, invocation, position, state, run, answer, at",
    "steps": "conversation_id, run, turn, user_id, body",
}
"""By table, in the order in which they refer to one another."""

Row = dict[str, Any]


def key_of(number: int) -> str:
    return f"conv_demo{number:016}"


def sizes(messages: int) -> list[int]:
    """How many messages each conversation has: a long one, then as many as usual."""
    left, found = messages, [max(2, messages // LONG_SHARE)] if messages else []
    left -= sum(found)
    random = Random("sizes")
    while left > 0:
        found.append(min(left, random.randrange(2, 2 * USUAL_MESSAGES - 1, 2)))
        left -= found[-1]
    return found


@dataclass
class Talk:
    """One conversation while it is made: the rows of each table, and the state of its object."""

    key: str
    user_id: str
    at: datetime
    control: Control
    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in _COLUMNS})

    def entry(self, key: str, kind: str, run: str, body: Row) -> int:
        position = len(self.rows["entries"]) + 1
        row = {"position": position, "key": key, "kind": kind, "run": run, "body": body, "at": self.at}
        self.rows["entries"].append(self._of(row))
        return position

    def asks(self, text: str, number: int) -> str:
        """The customer says something, for which a run begins."""
        self.control.epoch += 1
        came, run = Input(text=text, input_id=f"demo-{number}"), self._run()
        position = self.entry(f"input/{came.input_id}", "message", run, {"text": text})
        answer = Written(answer=Disposition(disposition="started", run=run, position=position), coalesce_ms=0)
        row = {"input_id": came.input_id, "digest": digest(came), "invocation": "", "position": position}
        row |= {"state": "taken", "run": run, "answer": answer.model_dump(mode="json"), "at": self.at}
        self.rows["inputs"].append(self._of(row))
        self.rows["runs"].append(self._of({"run": run, "epoch": self.control.epoch, "state": "ended"}))
        self.rows["runs"][-1] |= {"outcome": "answered", "begun_at": self.at, "ended_at": None}
        return run

    def does(self, run: str) -> None:
        """What the run looked up, as its steps tell it."""
        call = {"call": "call_1", "tool": "query_user_database", "status": "ok", "target": "UserDatabase/query"}
        call |= {"arguments": json.dumps({"user_id": self.user_id}), "result": f"plan: pro. {MARK}", "ms": 12}
        step = TurnStep.model_validate({"turn": 1, "model": "demo", "prompt_tokens": 900, "ms": 800, "calls": [call]})
        self.rows["steps"].append(self._of({"run": run, "turn": 1, "body": step.model_dump()}))
        effect = Effect(tool="query_user_database", status="ok", call="call_1")
        self.entry(f"{run}/effect/1", "effect", run, effect.model_dump(exclude_none=True))

    def answers(self, run: str, text: str) -> None:
        self.entry(f"{run}/answer", "answer", run, {"text": text, "outcome": "answered", "tickets": []})
        self.rows["runs"][-1]["ended_at"] = self.at

    def is_handed_over(self, reason: str, asked: str) -> Stretch:
        self.control.epoch += 1
        stretch = Stretch(run=self._run(), epoch=self.control.epoch, told=True)
        self.control.person = stretch
        row = {"run": stretch.run, "epoch": stretch.epoch, "state": "active", "outcome": None, "ended_at": None}
        self.rows["runs"].append(self._of(row | {"begun_at": self.at}))
        body = {"speaker": "person", "person": "", "by": ""}
        self.entry(f"owner/{stretch.run}", "owner", stretch.run, body)
        packet = {"reason": f"{reason} {MARK}", "promised": "", "tried": [], "asked": [asked]}
        self.entry(f"{stretch.run}/packet", "packet", stretch.run, packet | {"tickets": [], "approvals": []})
        return stretch

    def is_taken(self, stretch: Stretch, name: str) -> None:
        stretch.name = name
        self.entry("owner/demo-taken", "owner", stretch.run, {"speaker": "person", "person": name, "by": name})
        self.entry("say/demo", "person", stretch.run, {"text": f"Hello, I am looking at it. {MARK}", "person": name})

    def ends(self, opened_at: datetime, handed_at: datetime | None) -> None:
        stretch = self.control.person
        row: Row = {"epoch": self.control.epoch, "next_entry": len(self.rows["entries"]) + 1, "handed_at": handed_at}
        row |= {"stretch": stretch.run if stretch else "", "person": stretch.name if stretch else ""}
        self.rows["conversations"].append(self._of(row | {"opened_at": opened_at, "changed_at": self.at}))

    def _run(self) -> str:
        return f"run_{self.key.removeprefix('conv_')}_{self.control.epoch}"

    def _of(self, row: Row) -> Row:
        return {"conversation_id": self.key, "user_id": self.user_id, **row}


def talk(number: int, messages: int, customers: Sequence[str], now: datetime) -> Talk:
    """The conversation of this number: always the same, but for its times."""
    random = Random(f"talk {number}")
    user_id, about = customers[number % len(customers)], problem(random, number)
    by_people = number > 0 and random.random() < 0.04
    ended = now - (timedelta(minutes=random.uniform(1, 90)) if by_people else timedelta(days=random.uniform(0.01, 60)))
    made = Talk(key_of(number), user_id, ended - timedelta(minutes=messages), Control(owner=Caller(user_id=user_id)))
    opened_at = made.at
    for turn in range((messages + 1) // 2):
        run = made.asks(about.words if not turn else follow_up(random), turn)
        if turn % 5 == 0:
            made.does(run)
        made.at += timedelta(minutes=1)
        if 2 * turn + 1 < messages:
            made.answers(run, about.answer)
        made.at += timedelta(minutes=1)
    made.at = min(made.at, ended)
    if by_people:
        stretch = made.is_handed_over(random.choice(REASONS), about.words)
        if random.random() < 0.4:
            made.is_taken(stretch, random.choice(STAFF))
    made.ends(opened_at, ended if by_people else None)
    return made


async def keep_talks(pool: Pool, objects: Objects, messages: int, customers: Sequence[str], now: datetime) -> int:
    """Write down the conversations that are not there yet; returns how many those were. Their objects know them first:
    one without its rows is not there for anybody, and is written down by the next try."""
    lengths, made = sizes(messages), 0
    for place, user_id in enumerate(customers):
        numbers = range(place, len(lengths), len(customers))
        for begin in range(0, len(numbers), MOST_AT_ONCE):
            some = numbers[begin : begin + MOST_AT_ONCE]
            async with caller_transaction(pool, user_id) as db:
                known = {row["conversation_id"] for row in await db.fetch(_KNOWN, [key_of(each) for each in some])}
                missing = [each for each in some if key_of(each) not in known]
                talks = [talk(each, lengths[each], customers, now) for each in missing]
                await objects.keep({each.key: each.control for each in talks})
                await _write(db, talks)
            made += len(missing)
    return made


async def _write(db: Connection, talks: Sequence[Talk]) -> None:
    for table, columns in _COLUMNS.items():
        rows = json.dumps([row for each in talks for row in each.rows[table]], default=datetime.isoformat)
        insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1)"  # noqa: S608
        await db.execute(insert, rows)
