"""Conversations in PostgreSQL: the only SQL of the room. Each method is one transaction that sees one caller's rows.

Whatever is repeated changes nothing: lines have keys, a run has a name, and an input is known by who took it in.
"""

import hashlib
import json
import operator
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from contracts import (
    Caller,
    ConversationRun,
    Disposition,
    Effect,
    EntryKind,
    Facts,
    HandOver,
    History,
    HistoryLine,
    Input,
    Listed,
    ListPage,
    RunReport,
    Summary,
    UndoWanted,
)
from conversations.approving import withdraw, withdrawn_by
from conversations.control import (
    Begins,
    Control,
    Decision,
    Ended,
    GivesBack,
    HandsOver,
    Hears,
    Joins,
    Settles,
    Stops,
    Withdraws,
    end_run,
)
from conversations.effects import begin_undo
from conversations.handing import MAX_FACTS, RUN, TICKETS, hand_over, hear, take_back
from conversations.lines import add_entry, add_event
from conversations.steps import keep_steps
from conversations.view import Line, seen_by_model
from conversations.watch.log import close_log
from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction

SCHEMA = "conversations"
MIGRATIONS = Path(__file__).parent / "migrations"

_OPEN = "INSERT INTO conversations (conversation_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
HOLD = "SELECT 1 FROM conversations WHERE conversation_id = $1 FOR UPDATE"
_KNOWN = "SELECT digest, invocation, answer FROM inputs WHERE conversation_id = $1 AND input_id = $2"
_INPUT = """
INSERT INTO inputs (conversation_id, input_id, user_id, digest, invocation, position, state, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
"""
_LIST = """
SELECT c.conversation_id, c.opened_at, c.changed_at, left(coalesce((
    SELECT e.body ->> 'text' FROM entries e
    WHERE e.conversation_id = c.conversation_id AND e.kind = 'message' ORDER BY e.position LIMIT 1), ''), $1) AS title
FROM conversations c
WHERE $2::timestamptz IS NULL OR (c.changed_at, c.conversation_id) < ($2, $3)
ORDER BY c.changed_at DESC, c.conversation_id DESC
LIMIT $4
"""
_LISTEN = "UPDATE conversations SET run = $2, epoch = $3 WHERE conversation_id = $1"
_TAKE = """
UPDATE inputs SET state = 'taken', run = $2
WHERE conversation_id = $1 AND input_id = ANY($3::text[]) AND state IN ('steered', 'queued')
"""
_WAIT = """
UPDATE inputs SET state = 'queued' WHERE conversation_id = $1 AND input_id = ANY($2::text[]) AND state = 'steered'
"""
_STOPPED = "UPDATE runs SET state = 'stopped' WHERE run = $1 AND state = 'active'"
_ENDED = """
UPDATE runs SET state = 'ended', outcome = $2, superseded = superseded OR $3, ended_at = coalesce(ended_at, now())
WHERE run = $1
"""
_INVOKED = "UPDATE runs SET invocation = $2 WHERE run = $1"
_INVOCATIONS = """
SELECT invocation FROM runs WHERE conversation_id = $1 AND invocation <> ''
UNION SELECT invocation FROM approvals WHERE conversation_id = $1
"""
_ASKED = "SELECT approval_id FROM approvals WHERE conversation_id = $1 AND expires_at > now()"
_ERASE_LIVE = "DELETE FROM live WHERE conversation_id = $1"
_ERASE = "DELETE FROM conversations WHERE conversation_id = $1"
_QUIET_SECONDS = """
SELECT extract(epoch FROM now() - changed_at)::float8 FROM conversations WHERE conversation_id = $1
"""
_READ = "SELECT input_id FROM inputs WHERE conversation_id = $1 AND run = $2 AND turn > 0"
_QUESTION = """
SELECT e.body ->> 'text' AS text FROM inputs i
JOIN entries e ON e.conversation_id = i.conversation_id AND e.position = i.position
WHERE i.conversation_id = $1 AND i.run = $2 AND i.turn = 0 ORDER BY i.position
"""
_SUMMARY = "SELECT upto, text FROM summaries WHERE conversation_id = $1 ORDER BY upto DESC LIMIT 1"
_KEEP_SUMMARY = """
INSERT INTO summaries (conversation_id, upto, user_id, text)
SELECT c.conversation_id, r.epoch, c.user_id, $3
FROM conversations c JOIN runs r ON r.conversation_id = c.conversation_id AND r.epoch = $2
WHERE c.conversation_id = $1
ON CONFLICT DO NOTHING
"""
_FORGET_SUMMARIES = """
DELETE FROM summaries s
WHERE s.conversation_id = $1 AND s.upto < (SELECT max(upto) FROM summaries WHERE conversation_id = $1)
"""
_PAST = """
SELECT * FROM (
    SELECT e.kind, e.body, r.run, r.epoch, e.position, coalesce(r.outcome, '') AS outcome, r.superseded
    FROM entries e
    LEFT JOIN inputs i ON i.conversation_id = e.conversation_id AND i.position = e.position
    JOIN runs r ON r.run = coalesce(nullif(i.run, ''), e.run)
    WHERE e.conversation_id = $1 AND (r.epoch > $2 OR e.kind = 'undone') AND r.run <> $3 AND e.kind = ANY($4::text[])
    ORDER BY r.epoch DESC, e.position DESC
    LIMIT 200
) latest ORDER BY epoch, position
"""
_TASKS = """
SELECT e.body FROM entries e
WHERE e.conversation_id = $1 AND e.kind = 'effect' AND e.body ? 'task_id' AND NOT EXISTS (
    SELECT FROM entries o
    WHERE o.conversation_id = $1 AND o.kind = 'approval' AND o.body ->> 'task_id' = e.body ->> 'task_id')
ORDER BY e.position DESC LIMIT $2
"""
IS_THERE = "SELECT 1 FROM conversations WHERE conversation_id = $1"
PAGE = """
SELECT e.position, e.kind, coalesce(nullif(i.run, ''), e.run) AS run, e.at, e.body - $5::text[] AS body
FROM entries e
LEFT JOIN inputs i ON i.conversation_id = e.conversation_id AND i.position = e.position
WHERE e.conversation_id = $1 AND e.position > $2 AND e.kind <> ALL($4::text[])
ORDER BY e.position LIMIT $3
"""
_EXPORT = """
SELECT jsonb_build_object(
    'conversation', c.conversation_id, 'user_id', c.user_id, 'opened_at', c.opened_at, 'changed_at', c.changed_at,
    'entries', (SELECT coalesce(jsonb_agg(to_jsonb(e) - $2::text[] ORDER BY e.position), '[]')
                FROM entries e WHERE e.conversation_id = c.conversation_id),
    'runs', (SELECT coalesce(jsonb_agg(to_jsonb(r) - $2::text[] ORDER BY r.epoch), '[]')
             FROM runs r WHERE r.conversation_id = c.conversation_id),
    'steps', (SELECT coalesce(jsonb_agg(to_jsonb(p) - $2::text[] ORDER BY p.run, p.turn), '[]')
              FROM steps p WHERE p.conversation_id = c.conversation_id),
    'events', (SELECT coalesce(jsonb_agg(to_jsonb(v) - $2::text[] ORDER BY v.position), '[]')
               FROM events v WHERE v.conversation_id = c.conversation_id),
    'approvals', (SELECT coalesce(jsonb_agg(to_jsonb(a) - $2::text[] ORDER BY a.asked_at, a.approval_id), '[]')
                  FROM approvals a WHERE a.conversation_id = c.conversation_id),
    'effects', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'run', f.run, 'call', f.call, 'tool', f.tool, 'arguments', f.undo ->> 'body', 'state', f.state,
                    'at', f.at) ORDER BY f.number), '[]')
                FROM effects f WHERE f.conversation_id = c.conversation_id),
    'summaries', (SELECT coalesce(jsonb_agg(to_jsonb(s) - $2::text[] ORDER BY s.upto), '[]')
                  FROM summaries s WHERE s.conversation_id = c.conversation_id),
    'tickets', (SELECT coalesce(jsonb_agg(DISTINCT t.body -> 'ticket_id'), '[]')
                FROM entries t
                WHERE t.conversation_id = c.conversation_id AND t.kind = 'effect' AND t.body ? 'ticket_id')
) FROM conversations c WHERE c.conversation_id = $1
"""
_NOT_EXPORTED = ["conversation_id", "user_id", "key", "invocation", "trace_id"]
"""Told once at the top, or of use to nobody; an invocation's name would open its result at the ingress."""


FOR_THE_MODEL: list[EntryKind] = ["message", "answer", "effect", "person", "owner", "approval", "undone"]
HIDDEN = (["packet", "late"], ["person", "by", "approval", "reason", "told", "refusal", "unanswered"])
"""The kinds of lines, and the parts of others, that no customer is shown."""

TITLE_CHARACTERS = 80
"""Of what was said first in a conversation, where it stands in a list."""

Decide = Callable[[int], Decision]
"""What is decided about an input, by the setting `COALESCE_MS`."""


class Written(BaseModel):
    """What is written of an input: the answer to it, why it was rejected, and the setting by which that was decided."""

    answer: Disposition = Disposition(disposition="rejected")
    why: str = ""
    coalesce_ms: int


class TakenIn(BaseModel):
    """What became of an input, as the journal has it. `is_new`: it is to be acted on. `given` is for the run that
    begins with it, and `look_seconds` says when to look whether the conversation is old. `withdrawn` are the approvals
    of calls that are wanted no more."""

    caller: Caller
    is_new: bool
    written: Written
    given: ConversationRun | None = None
    look_seconds: float = 0
    withdrawn: list[str] = []


class Settled(BaseModel):
    """What follows on the end of a run or on a change of who speaks, as the journal has it. `undo` is what the run did
    and is to be undone."""

    control: Control
    given: ConversationRun | None = None
    undo: UndoWanted | None = None


class Outside(BaseModel):
    """What is left of a conversation outside of the database: the invocations whose journals hold what was said, and
    the approvals that may still be waited for."""

    invocations: list[str]
    approvals: list[str]

    def __or__(self, other: "Outside") -> "Outside":
        return Outside(
            invocations=sorted({*self.invocations, *other.invocations}),
            approvals=sorted({*self.approvals, *other.approvals}),
        )


class Export(BaseModel):
    """One conversation, whole: what was said and done, also what nobody was shown. `effects` are those that can be
    undone, `steps` what its runs did at each turn. `tickets` are the ids of those that it made; what they say is in
    `tickets`."""

    conversation: str
    user_id: str
    opened_at: str
    changed_at: str
    entries: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    steps: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]], exclude_if=operator.not_)
    events: list[dict[str, Any]]
    approvals: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    summaries: list[dict[str, Any]]
    tickets: list[str]


class Place(NamedTuple):
    """Where a page of the list of conversations begins: behind the one that was changed then."""

    changed_at: datetime
    conversation: str

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises: ValueError for what no page has told as its `next`."""
        changed_at, _, conversation = text.partition("/")
        at = datetime.fromisoformat(changed_at)
        if at.tzinfo is None:
            raise ValueError("no place in the list")
        return cls(at, conversation)


class Quiet(BaseModel):
    """For how long nothing was said in a conversation; None if it is not there."""

    seconds: float | None


class ConversationStore:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def take_in(
        self, conversation: str, caller: Caller, invocation: str, came: Input, decide: Decide, coalesce_ms: int
    ) -> TakenIn:
        """Write down an input and what is decided about it; a repeat reads what was decided then.

        Raises: `Refused` 404 to everybody but the owner, 409 for another input under a known `input_id`.
        """
        async with caller_transaction(self.pool, caller.user_id) as db:
            await db.execute(_OPEN, conversation, caller.user_id)
            if not await db.fetchval(HOLD, conversation):
                raise unknown_conversation()
            known = await db.fetchrow(_KNOWN, conversation, came.input_id)
            if known is None:
                written = Written(coalesce_ms=coalesce_ms)
                await self._write(db, conversation, caller, invocation, came, decide(coalesce_ms), written)
            elif known["digest"] != digest(came):
                raise Refused(409, "input_id_taken", "this input_id was another input's", "input_id")
            else:
                written = Written.model_validate_json(known["answer"])
            is_new = known is None or known["invocation"] == invocation
            decision = decide(written.coalesce_ms)
            given = await self.given(db, conversation, caller, decision, came) if is_new else None
            withdrawn = await withdrawn_by(db, conversation, _key(came)) if is_new else []
        return TakenIn(caller=caller, is_new=is_new, written=written, given=given, withdrawn=withdrawn)

    async def open(self, conversation: str, caller: Caller) -> None:
        """A repeat changes nothing. Raises: `Refused` 404 to everybody but the owner."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            await db.execute(_OPEN, conversation, caller.user_id)
            if not await db.fetchval(HOLD, conversation):
                raise unknown_conversation()

    async def of_customer(self, caller: Caller, before: Place | None, limit: int) -> ListPage:
        """The conversations of a customer, the latest word first: those behind a place, or all."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            rows = await db.fetch(_LIST, TITLE_CHARACTERS, *(before or (None, "")), limit + 1)
        page = [
            Listed(
                conversation=row["conversation_id"],
                title=row["title"],
                opened_at=row["opened_at"].isoformat(),
                changed_at=row["changed_at"].isoformat(),
            )
            for row in rows[:limit]
        ]
        last = page[-1] if len(rows) > limit else None
        return ListPage(conversations=page, next=f"{last.changed_at}/{last.conversation}" if last else None)

    async def launch(self, conversation: str, caller: Caller, decision: Decision) -> ConversationRun | None:
        """What the run is given that begins now."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            await self.apply(db, conversation, decision)
            return await self.given(db, conversation, caller, decision)

    async def settle(
        self, conversation: str, caller: Caller, control: Control, report: RunReport, run_next: str
    ) -> Settled:
        """Write down what a run reports: what it did in any case, what it said if the conversation still listens."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(HOLD, conversation):
                return Settled(control=control)
            rows = await db.fetch(_READ, conversation, report.run)
            read = frozenset(row["input_id"] for row in rows)
            ended = Ended(report.run, report.outcome in FAILED, read, run_next, report.hand_over is not None)
            decision = end_run(control, ended)
            settles = next((each for each in decision.effects if isinstance(each, Settles)), None)
            if control.active and control.active.run == report.run:
                await db.execute(_INVOKED, report.run, control.active.invocation)
            await self._write_report(db, conversation, report, posts=settles is not None and settles.posts)
            await self.apply(db, conversation, decision, report.outcome, packet=report.hand_over)
            undo = None
            if settles and settles.undoes:
                _, undo = await begin_undo(db, conversation, caller, report.run, report.epoch, run_next)
            given = await self.given(db, conversation, caller, decision)
        return Settled(control=decision.control, given=given, undo=undo)

    async def outside(self, conversation: str, caller: Caller, active: str) -> Outside:
        """`active` is the invocation of the run that is at work, empty if none is."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            return await _outside(db, conversation, active)

    async def erase(self, conversation: str, caller: Caller, active: str) -> Outside:
        """Remove everything, and tell what is left outside. A repeat does not know it any more."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            left = await _outside(db, conversation, active)
            await withdraw(db, conversation, "", 0, "erased")
            await db.execute(_ERASE_LIVE, conversation)
            await db.execute(_ERASE, conversation)
        return left

    async def export(self, conversation: str, caller: Caller) -> Export:
        """All that is kept of a conversation, of one moment. Raises: `Refused` 404 to everybody but the owner."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            found = await db.fetchval(_EXPORT, conversation, _NOT_EXPORTED)
        if found is None:
            raise unknown_conversation()
        return Export.model_validate_json(found)

    async def keep_summary(self, conversation: str, caller: Caller, summary: Summary) -> None:
        """A later summary holds the former one; a repeat, or one that comes too late, changes nothing."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            await db.execute(_KEEP_SUMMARY, conversation, summary.upto, summary.text)
            await db.execute(_FORGET_SUMMARIES, conversation)

    async def quiet(self, conversation: str, caller: Caller) -> Quiet:
        async with caller_transaction(self.pool, caller.user_id) as db:
            return Quiet(seconds=await db.fetchval(_QUIET_SECONDS, conversation))

    async def history(self, conversation: str, caller: Caller, after: int, limit: int) -> History:
        """Raises: `Refused` 404 to everybody but the owner."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(IS_THERE, conversation):
                raise unknown_conversation()
            rows = await db.fetch(PAGE, conversation, after, limit + 1, *HIDDEN)
        page = [history_line(row) for row in rows[:limit]]
        return History(entries=page, next=page[-1].position if len(rows) > limit else None)

    async def _write(
        self,
        db: Connection,
        conversation: str,
        caller: Caller,
        invocation: str,
        came: Input,
        decision: Decision,
        written: Written,
    ) -> None:
        """The input's line and row, and what follows; fills in the answer."""
        key, run = _key(came), decision.run
        rejected = decision.disposition == "rejected"
        position = 0
        if not rejected:
            body = {"text": came.text} if came.type == "message" else {}
            position = await add_entry(db, conversation, key, came.type, run, body)
        paused = decision.control.paused and bool(decision.control.queue)
        written.answer = Disposition(
            disposition=decision.disposition,
            run=run,
            position=position,
            paused=paused,
            person=any(isinstance(each, Hears) for each in decision.effects),
        )
        if not rejected:
            told = {"type": came.type, "text": came.text, "disposition": decision.disposition, "position": position}
            epoch = decision.control.epoch
            written.answer.event = await add_event(db, conversation, key, "input", run, epoch, told)
        written.why = decision.why
        state = _state(came, decision)
        row = (came.input_id, caller.user_id, digest(came), invocation, position, state, written.model_dump_json())
        await db.execute(_INPUT, conversation, *row)
        await self.apply(db, conversation, decision, change=key)

    async def apply(
        self,
        db: Connection,
        conversation: str,
        decision: Decision,
        outcome: str = "stopped",
        *,
        change: str = "",
        by: str = "",
        packet: HandOver | None = None,
    ) -> None:
        """Bring runs, inputs and people to where the decision has them."""
        epoch = decision.control.epoch
        for effect in decision.effects:
            match effect:
                case Begins(run=run, inputs=inputs):
                    await db.execute(RUN, run, conversation, effect.epoch)
                    await db.execute(_TAKE, conversation, run, list(inputs))
                    if not effect.gathering:
                        await add_event(db, conversation, f"{run}/begun", "run_started", run, effect.epoch, {})
                case Joins(run=run, input_id=input_id):
                    await db.execute(_TAKE, conversation, run, [input_id])
                case Stops(run=run):
                    await db.execute(_STOPPED, run)
                    await add_event(db, conversation, f"{run}/stopped", "run_stopped", run, epoch, {})
                case Withdraws(run=run):
                    await withdraw(db, conversation, run, epoch, change, by)
                case HandsOver(run=run):
                    await hand_over(db, conversation, effect, change or run, by, packet)
                case Hears(run=run, inputs=inputs):
                    await hear(db, conversation, run, inputs)
                case GivesBack():
                    await take_back(db, conversation, effect, epoch, change, by)
                case Settles(run=run):
                    await db.execute(_ENDED, run, outcome, effect.superseded)
                    ended = {"outcome": outcome, "superseded": effect.superseded}
                    await add_event(db, conversation, f"{run}/ended", "run_ended", run, epoch, ended)
        active = decision.control.active
        speaks = active.run if active and active.phase != "stopping" else ""
        await db.execute(_LISTEN, conversation, speaks, epoch)
        await db.execute(_WAIT, conversation, [*decision.control.following, *decision.control.queue])

    async def _write_report(self, db: Connection, conversation: str, report: RunReport, *, posts: bool) -> None:
        run = report.run
        await close_log(db, conversation, report, posts=posts)
        await keep_steps(db, conversation, report)
        for number, effect in enumerate(report.effects, start=1):
            body = effect.model_dump(exclude_none=True)
            await add_entry(db, conversation, f"{run}/effect/{number}", "effect", run, body)
        if not report.text:
            return
        kind: EntryKind = "answer" if posts else "late"
        body = {"text": report.text, "outcome": report.outcome, "tickets": report.tickets}
        await add_entry(db, conversation, f"{run}/{kind}", kind, run, body)
        if posts:
            await add_event(db, conversation, f"{run}/answer", "answer", run, report.epoch, body)

    async def given(
        self, db: Connection, conversation: str, caller: Caller, decision: Decision, came: Input | None = None
    ) -> ConversationRun | None:
        """What the run is given that begins now, if one does; `came` is the input because of which it begins."""
        begins = next((each for each in decision.effects if isinstance(each, Begins) and not each.gathering), None)
        if begins is None:
            return None
        summary = await db.fetchrow(_SUMMARY, conversation)
        since = summary["upto"] if summary else 0
        past = await db.fetch(_PAST, conversation, since, begins.run, FOR_THE_MODEL)
        question = await db.fetch(_QUESTION, conversation, begins.run)
        tickets = await db.fetch(TICKETS, conversation, MAX_FACTS)
        tasks = await db.fetch(_TASKS, conversation, MAX_FACTS)
        return ConversationRun(
            conversation=conversation,
            run=begins.run,
            epoch=begins.epoch,
            caller=caller,
            believed=decision.control.believed if came is None else came.caller_token is None,
            inputs=[row["text"] for row in question],
            summary=summary["text"] if summary else "",
            entries=seen_by_model(_line(row) for row in past),
            facts=Facts(
                tickets=[row["ticket_id"] for row in tickets],
                tasks=[Effect.model_validate_json(row["body"]) for row in tasks],
            ),
            interrupted=begins.interrupted,
        )


FAILED = frozenset({"model_unavailable", "model_misconfigured", "tools_unavailable", "failed"})
"""Outcomes after which the queue waits: the next question would fare no better."""


def digest(came: Input) -> str:
    """What makes an input the same; who sends it is another matter."""
    told = came.model_dump_json(exclude={"input_id", "opens", "tells_repeats", "user_id", "caller_token"})
    return hashlib.sha256(told.encode()).hexdigest()


def unknown_conversation() -> Refused:
    """To whoever is not its owner, a conversation is not there."""
    return Refused(404, "unknown_conversation", "there is no such conversation")


async def _outside(db: Connection, conversation: str, active: str) -> Outside:
    invocations = {row["invocation"] for row in await db.fetch(_INVOCATIONS, conversation)} | {active}
    approvals = [row["approval_id"] for row in await db.fetch(_ASKED, conversation)]
    return Outside(invocations=sorted(invocations - {""}), approvals=sorted(approvals))


def _key(came: Input) -> str:
    return f"input/{came.input_id}"


def _state(came: Input, decision: Decision) -> str:
    """Where an input stands as it is written: whether it waits, and for what."""
    if decision.disposition == "rejected":
        return "rejected"
    if came.type == "stop":
        return "done"
    return "queued" if came.input_id in (*decision.control.following, *decision.control.queue) else "steered"


def history_line(row: Any) -> HistoryLine:
    return HistoryLine(
        position=row["position"],
        kind=row["kind"],
        run=row["run"],
        at=row["at"].isoformat(),
        body=json.loads(row["body"]),
    )


def _line(row: Any) -> Line:
    return Line(row["kind"], json.loads(row["body"]), row["run"], row["outcome"], row["superseded"], row["epoch"])
