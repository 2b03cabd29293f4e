"""Changes of tickets in PostgreSQL: each holds the ticket's row, and writes its audit rows in its own transaction.

An act has a name. A repeat of it, as after a crash, changes nothing and finds in the audit what it had done.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from contracts import (
    ChangingTicket,
    TicketAssign,
    TicketChange,
    TicketLine,
    TicketMerge,
    TicketNote,
    TicketReply,
)
from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction
from tickets.life import NEVER, Change, LifeRules, Standing
from tickets.looking import (
    LEFT_ALONE,
    LINE,
    SWITCHBOARD,
    by_staff,
    count_changes,
    desk_transaction,
    line,
    unknown_ticket,
)
from tickets.notification import Acting, Notification, Stood, stood, ticket_changed
from tickets.store import args_hash

_COLUMNS = [each.name for each in fields(Standing)]
_FIXED = ("ticket_id", "user_id")
_CHANGING = [name for name in _COLUMNS if name not in _FIXED]
_HOLD = f"""
SELECT {", ".join(_COLUMNS)}, subject, sla_due_at FROM tickets WHERE ticket_id = $1 FOR UPDATE
"""  # noqa: S608
_NOW = "SELECT clock_timestamp()"
_WRITE = f"""
UPDATE tickets SET {", ".join(f"{name} = ${place}" for place, name in enumerate(_CHANGING, start=3))}, updated_at = $2
WHERE ticket_id = $1 RETURNING sla_due_at
"""  # noqa: S608
_PLAN = "UPDATE tickets SET next_look_at = $2, clock_since = $3, reply_due_at = $4 WHERE ticket_id = $1"
_AUDIT = """
INSERT INTO audit (ticket_id, who, action, args_hash, note, act, at, stood) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_DONE = "SELECT action, note, args_hash, ticket_id, at, stood FROM act_told($1)"
_SAY = "INSERT INTO messages (ticket_id, user_id, kind, who, words, at) VALUES ($1, $2, $3, $4, $5, $6)"
_LINE_OF = f"SELECT {LINE} FROM tickets WHERE ticket_id = $1"  # noqa: S608
_FOLLOW = "UPDATE tickets SET merged_into = $2 WHERE merged_into = $1"
MOMENT = timedelta(seconds=5)
"""How long the `moment` of `_LEFT` stays the same."""
_LEFT = f"""
SELECT ticket_id, floor(extract(epoch FROM now()) / {MOMENT.seconds})::bigint::text AS moment FROM tickets
WHERE {LEFT_ALONE} ORDER BY coalesce(next_look_at, '-infinity') LIMIT $1
"""  # noqa: S608


class Done(BaseModel):
    """What an act has done, as the journal has it. `looks` are the tickets whose next look has to be planned."""

    events: list[Notification] = Field(default_factory=list[Notification])
    looks: list[str] = Field(default_factory=list[str])
    line: TicketLine | None = None
    actions: list[str] = Field(default_factory=list[str])


class Looked(Done):
    """What a look has done, when to look next, and in how many seconds that is by the database's clock. `late` are the
    seconds by which it came too late for what was due. `left_alone`: the moment of which `LeftAlone` tells."""

    next_at: str = ""
    seconds: float = 0
    late: float | None = None
    left_alone: str = ""


class LeftAlone(BaseModel):
    """Tickets after which nobody looks, and by the database's clock the moment of a few seconds in which they were
    found; empty without any."""

    ticket_ids: list[str] = Field(default_factory=list[str])
    moment: str = ""


@dataclass(frozen=True)
class Act:
    """Who changes tickets, under which name of their own, and what makes it the same change again."""

    name: str
    who: str
    acting: Acting
    digest: str


@dataclass
class Held:
    """A ticket whose row this transaction holds."""

    change: Change
    subject: str
    sla_due_at: datetime
    said: list[tuple[str, str]]

    @property
    def row(self) -> Standing:
        return self.change.row

    def say(self, kind: str, words: str) -> None:
        self.said.append((kind, words))


class Changing:
    """Changes tickets. Without `notify` nobody outside is told."""

    def __init__(self, pool: Pool, rules: LifeRules, *, notify: bool) -> None:
        self._pool, self.rules, self._notify = pool, rules, notify

    # --- by staff

    async def reply(self, asked: TicketReply, act: Act) -> Done:
        """Raises: `Refused`, as each of these does, 404 for an unknown ticket and 409 for one that is closed or was
        changed since it was seen.
        """

        def change(held: Held) -> None:
            held.change.reply(act.who, asked.state)
            held.say("reply", asked.text)

        return await self._by_staff(asked, act, change)

    async def note(self, asked: TicketNote, act: Act) -> Done:
        def change(held: Held) -> None:
            held.change.note()
            held.say("note", asked.text)

        return await self._by_staff(asked, act, change)

    async def assign(self, asked: TicketAssign, act: Act) -> Done:
        def change(held: Held) -> None:
            held.change.assign(asked.to, reassign=asked.reassign)

        return await self._by_staff(asked, act, change)

    async def change(self, asked: TicketChange, act: Act) -> Done:
        def change(held: Held) -> None:
            held.change.change(act.who, asked.priority, asked.category, asked.state, asked.note)

        return await self._by_staff(asked, act, change)

    async def merge(self, asked: TicketMerge, act: Act) -> Done:
        """Raises: `Refused` 422 for a ticket of another customer, or the ticket itself."""
        if asked.into == asked.ticket_id:
            raise Refused(422, "itself", "a ticket is no duplicate of itself", "into")
        async with desk_transaction(self._pool, by_staff(act.who)) as db:
            both = {each: await self._hold(db, each) for each in sorted((asked.ticket_id, asked.into))}
            duplicate, other = both[asked.ticket_id], both[asked.into]
            if duplicate.row.user_id != other.row.user_id:
                raise Refused(422, "other_customer", "both tickets have to be of the same customer", "into")
            if not await self._repeated(db, act):
                await _unless_changed(db, asked)
                other.change.take_in(asked.ticket_id)
                duplicate.change.merge(asked.into)
                await db.execute(_FOLLOW, asked.ticket_id, asked.into)
                for each in both.values():
                    await self._write(db, act, each)
            return await self._done(db, act, duplicate)

    # --- by customers

    async def answer(self, caller: str, ticket_id: str, words: str, act: Act) -> Done:
        """What a customer says of their ticket; of one that was merged it goes to the other.

        Raises: `Refused` 404 for one of anybody else, 422 for one that is closed.
        """
        async with caller_transaction(self._pool, caller) as db:
            held = await self._hold(db, ticket_id)
            if held.row.merged_into:  # it is the last one: a merge of that one moves this row, too
                held = await self._hold(db, held.row.merged_into)
            if not await self._repeated(db, act):
                held.change.answer()
                held.say("answer", words)
                await self._write(db, act, held)
            return await self._done(db, act, held)

    async def added(self, ticket_id: str, act: Act) -> Done:
        """Words of its customer were added to it: one that waits for them goes on."""
        async with caller_transaction(self._pool, act.who) as db:
            held = await self._hold(db, ticket_id)
            if not await self._repeated(db, act) and held.row.state == "waiting":
                held.change.go_on()
                await self._write(db, act, held)
            return await self._done(db, act, held)

    # --- by the switchboard

    async def look(self, ticket_id: str, act: str) -> Looked:
        """Do what is due now, if anything is."""
        by = Act(act, SWITCHBOARD, "switchboard", "")
        async with desk_transaction(self._pool, SWITCHBOARD) as db:
            held = await self._hold(db, ticket_id)
            planned, late = held.row.next_look_at, None
            repeated = await self._repeated(db, by)
            if not repeated:
                held.change.look()
                if held.change.done:
                    await self._write(db, by, held)
                    late = (held.change.now - planned).total_seconds() if planned else None
                elif held.row.next_look_at != planned:
                    row = held.row
                    await db.execute(_PLAN, ticket_id, row.next_look_at, row.clock_since, row.reply_due_at)
            done = await self._told(db, by, held) if repeated or held.change.done else Done()
        at = held.row.next_look_at if held.row.state != "closed" and held.row.next_look_at != NEVER else None
        return Looked(
            events=done.events,
            actions=done.actions,
            next_at=at.isoformat() if at else "",
            seconds=(at - held.change.now).total_seconds() if at else 0,
            late=late,
            left_alone=(await self.left_alone(1)).moment,
        )

    async def left_alone(self, most: int) -> LeftAlone:
        """Tickets of former versions, and those whose look came never: nobody looks after them."""
        async with desk_transaction(self._pool, SWITCHBOARD) as db:
            left = await db.fetch(_LEFT, most)
        return LeftAlone(ticket_ids=[row["ticket_id"] for row in left], moment=left[0]["moment"] if left else "")

    # --- in common

    async def _by_staff(self, asked: ChangingTicket, act: Act, change: Callable[[Held], None]) -> Done:
        async with desk_transaction(self._pool, by_staff(act.who)) as db:
            held = await self._hold(db, asked.ticket_id)
            if not await self._repeated(db, act):
                await _unless_changed(db, asked)
                change(held)
                await self._write(db, act, held)
            return await self._done(db, act, held)

    async def _hold(self, db: Connection, ticket_id: str) -> Held:
        row = await db.fetchrow(_HOLD, ticket_id)
        if row is None:
            raise unknown_ticket()
        now = await db.fetchval(_NOW)  # after the wait for whoever held it before
        standing = Standing(**{name: row[name] for name in _COLUMNS})
        change = Change(standing, self.rules, now)
        change.take_up()
        return Held(change, row["subject"], row["sla_due_at"], [])

    async def _repeated(self, db: Connection, act: Act) -> bool:
        """Raises: `Refused` 409 when another change had this name."""
        rows = await db.fetch(_DONE, act.name)
        if rows and rows[0]["args_hash"] != args_hash(act.digest):
            raise Refused(409, "act_id_taken", "this act_id was something else", "act_id")
        return bool(rows)

    async def _write(self, db: Connection, act: Act, held: Held) -> None:
        row, now = held.row, held.change.now
        if not held.change.done:
            return
        values = asdict(row)
        due = await db.fetchval(_WRITE, row.ticket_id, now, *(values[name] for name in _CHANGING))
        held.sla_due_at, then = due, stood(row, due).model_dump_json()
        for action, note in held.change.done:
            await db.execute(_AUDIT, row.ticket_id, act.who, action, args_hash(act.digest), note, act.name, now, then)
        for kind, words in held.said:
            await db.execute(_SAY, row.ticket_id, row.user_id, kind, act.who, words, now)

    async def _done(self, db: Connection, act: Act, held: Held) -> Done:
        """From what was written: the same for a repeat."""
        told = await self._told(db, act, held)
        row = await db.fetchrow(_LINE_OF, held.row.ticket_id)
        return told.model_copy(update={"line": TicketLine(**line(row)) if row else None})

    async def _told(self, db: Connection, act: Act, held: Held) -> Done:
        known = await db.fetch(_DONE, act.name)
        rows: Sequence[Any] = [each for each in known if each["ticket_id"] == held.row.ticket_id]
        events = [
            ticket_changed(
                act.name, each["action"], each["at"], held.row, (held.subject, _then(each, held)), act.who, act.acting
            )
            for each in rows
        ]
        return Done(
            events=[each for each in events if each] if self._notify else [],
            looks=[held.row.ticket_id],
            actions=[each["action"] for each in rows],
        )


def _then(line: Any, held: Held) -> Stood:
    """How the ticket stood after this line; a former version has not written it."""
    written: str | None = line["stood"]
    return Stood.model_validate_json(written) if written else stood(held.row, held.sla_due_at)


async def _unless_changed(db: Connection, asked: ChangingTicket) -> None:
    """Raises: `Refused` 409 when people have changed it since whoever acts has seen it; its row is held."""
    if asked.seen is not None and asked.seen != await count_changes(db, asked.ticket_id):
        raise Refused(409, "changed", "this ticket was changed meanwhile", "seen")
