"""Tickets in all states: each lives through what staff, its customer and the clock do, by the rules of the room."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any, NamedTuple

from contracts import TicketState
from runtime.postgres import Connection, Pool, caller_transaction
from standalone.seed.words import ANSWERS, NOTES, problem
from tickets.life import Change, LifeRules, Standing, begun
from tickets.looking import SWITCHBOARD, by_staff
from tickets.rules import categorize, prioritize
from tickets.store import args_hash

KEY = "demo/ticket/"
"""What the keys of seeded tickets begin with."""
STAFF = ("anna", "ben", "carla")
MOST_AT_ONCE = 500

_KNOWN = "SELECT workflow_key FROM tickets WHERE workflow_key = ANY($1::text[])"
_FIELDS = [name for name in Standing.__dataclass_fields__ if name not in ("ticket_id", "user_id")]
_COLUMNS = ", ".join(
    ["workflow_key", "user_id", "subject", "description", "sla_due_at", "created_at", "updated_at", *_FIELDS]
)
_TICKETS = f"""
INSERT INTO tickets ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::tickets, $1)
ON CONFLICT (workflow_key) DO NOTHING RETURNING workflow_key, ticket_id
"""  # noqa: S608
_AUDIT = """
INSERT INTO audit (ticket_id, who, action, args_hash, note, at)
SELECT ticket_id, who, action, args_hash, note, at FROM jsonb_populate_recordset(NULL::audit, $1)
"""
_MESSAGES = """
INSERT INTO messages (ticket_id, user_id, kind, who, words, at)
SELECT ticket_id, user_id, kind, who, words, at FROM jsonb_populate_recordset(NULL::messages, $1)
"""
_ACT_AS = "SELECT set_config('app.desk', $1, true)"

_ENDS: tuple[tuple[TicketState, int], ...] = (
    ("new", 12),
    ("open", 18),
    ("waiting", 15),
    ("solved", 20),
    ("closed", 35),
)
"""How many of a hundred tickets end in which state, as far as the clock lets them."""


Act = Callable[[Change], object]


class Told(NamedTuple):
    """One line of a ticket's history; `words` are what was said with it."""

    at: datetime
    acting: str
    action: str
    note: str
    kind: str
    words: str


@dataclass
class Lived:
    """A ticket and its history."""

    key: str
    subject: str
    words: str
    created_at: datetime
    row: Standing
    told: list[Told] = field(default_factory=list[Told])


def lived(number: int, customers: Sequence[str], rules: LifeRules, now: datetime) -> Lived:
    """The ticket of this number: always the same, but for its times."""
    random = Random(f"ticket {number}")
    told, user_id = problem(random, number), customers[number % len(customers)]
    ends: list[TicketState] = [state for state, _ in _ENDS]
    [end] = random.choices(ends, [share for _, share in _ENDS])
    hours = {"new": 10, "open": 30, "waiting": 120, "solved": 140, "closed": 24 * 60}[end]
    at = now - timedelta(hours=random.uniform(0, hours), minutes=5)
    category = categorize(told.words)
    row = begun(user_id, category, prioritize(f"{told.subject}\n{told.words}", category), at)
    ticket = Lived(f"{KEY}{number:06}", told.subject, told.words, at, row)
    life = _Life(ticket, rules, now)
    life.does(at, "customer", lambda change: (change.tell("create"), change.plan()))
    if end != "new":
        life.goes_on(random, end, told.answer)
    life.comes_to(now)
    return ticket


class _Life:
    """One ticket's, act by act; what falls due in between is done in between."""

    def __init__(self, ticket: Lived, rules: LifeRules, now: datetime) -> None:
        self._ticket, self._rules, self._now = ticket, rules, now

    def does(self, at: datetime, acting: str, act: Act, kind: str = "", words: str = "") -> None:
        change = Change(self._ticket.row, self._rules, at)
        act(change)
        for place, (action, note) in enumerate(change.done):
            self._ticket.told.append(Told(at, acting, action, note, "" if place else kind, words))

    def comes_to(self, at: datetime) -> None:
        row = self._ticket.row
        while row.next_look_at is not None and row.next_look_at <= at:
            self.does(row.next_look_at, SWITCHBOARD, Change.look)

    def goes_on(self, random: Random, end: TicketState, answer: str) -> None:
        """Somebody takes it, writes, hears from its customer, and brings it to its end, all before now."""
        who = random.choice(STAFF)
        moments = self._moments(random, 6)
        self._next(moments, who, lambda change: change.assign(who, reassign=True))
        if random.random() < 0.3:
            self._next(moments, who, Change.note, "note", random.choice(NOTES))
        if end == "open" and random.random() < 0.5:
            return
        if self._next(moments, who, lambda change: change.reply(who, "waiting"), "reply", answer) and end != "waiting":
            customer = self._ticket.row.user_id
            self._next(moments, customer, Change.answer, "answer", random.choice(ANSWERS))
        if end in ("solved", "closed"):
            self._next(moments, who, lambda change: change.reply(who, "solved"), "reply", "It is solved, then.")
        if end == "closed":
            self._next(moments, who, lambda change: change.change(who, None, None, "closed", "as agreed"))

    def _next(self, moments: Iterator[datetime], who: str, act: Act, kind: str = "", words: str = "") -> bool:
        """Do it at the next moment, unless the ticket was closed before."""
        at = next(moments)
        self.comes_to(at)
        if self._ticket.row.state == "closed":
            return False
        self.does(at, by_staff(who) if who in STAFF else "customer", act, kind, words)
        return True

    def _moments(self, random: Random, most: int) -> Iterator[datetime]:
        left = self._now - self._ticket.created_at
        return iter(self._ticket.created_at + left * share for share in sorted(random.random() for _ in range(most)))


async def keep_tickets(pool: Pool, wanted: int, customers: Sequence[str], rules: LifeRules, now: datetime) -> int:
    """Write down those that are not there yet, some at a time, each whole; returns how many those were."""
    made = 0
    of = {user_id: range(place, wanted, len(customers)) for place, user_id in enumerate(customers)}
    for user_id, numbers in of.items():
        for begin in range(0, len(numbers), MOST_AT_ONCE):
            some = numbers[begin : begin + MOST_AT_ONCE]
            async with caller_transaction(pool, user_id) as db:
                keys = [f"{KEY}{number:06}" for number in some]
                known = {row["workflow_key"] for row in await db.fetch(_KNOWN, keys)}
                missing = [number for number, key in zip(some, keys, strict=True) if key not in known]
                await _write(db, user_id, [lived(number, customers, rules, now) for number in missing])
            made += len(missing)
    return made


async def _write(db: Connection, user_id: str, tickets: Sequence[Lived]) -> None:
    rows = await db.fetch(_TICKETS, _json(_row(ticket) for ticket in tickets))
    ids = {row["workflow_key"]: row["ticket_id"] for row in rows}
    longest = max((len(ticket.told) for ticket in tickets), default=0)
    for stage in range(longest):  # in the order of its history, which is that of its rows
        lines = [(ids[ticket.key], ticket.told[stage]) for ticket in tickets if stage < len(ticket.told)]
        lines.sort(key=lambda line: line[1].acting)
        for acting, group in groupby(lines, key=lambda line: line[1].acting):
            await db.execute(_ACT_AS, "" if acting == "customer" else acting)
            who = user_id if acting == "customer" else acting.rpartition("/")[2]
            some = list(group)
            await db.execute(_AUDIT, _json(_audited(ticket_id, who, told) for ticket_id, told in some))
            said = [_said(ticket_id, user_id, who, told) for ticket_id, told in some if told.kind]
            await db.execute(_MESSAGES, _json(said))
    await db.execute(_ACT_AS, "")


def _row(ticket: Lived) -> dict[str, Any]:
    row = asdict(ticket.row)
    due = row["solve_due_at"] or row["solved_at"] or ticket.created_at
    changed = ticket.told[-1].at
    told = {"workflow_key": ticket.key, "subject": ticket.subject, "description": ticket.words}
    return row | told | {"sla_due_at": due, "created_at": ticket.created_at, "updated_at": changed}


def _audited(ticket_id: str, who: str, told: Told) -> dict[str, Any]:
    digest = args_hash(f"demo {told.action} {ticket_id}")
    line = {"ticket_id": ticket_id, "who": who, "action": told.action, "args_hash": digest}
    return line | {"note": told.note, "at": told.at}


def _said(ticket_id: str, user_id: str, who: str, told: Told) -> dict[str, Any]:
    line = {"ticket_id": ticket_id, "user_id": user_id, "kind": told.kind, "who": who}
    return line | {"words": told.words, "at": told.at}


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return json.dumps(list(rows), default=datetime.isoformat)
