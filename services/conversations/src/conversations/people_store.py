"""The staff's part of the transcript, after the rules of `store.py`."""

import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from contracts import (
    Caller,
    RunSteps,
    RunStopped,
    Said,
    Say,
    StaffHistory,
    StaffHistoryQuery,
    Standing,
    StandingCounts,
    StandingPage,
    StopRun,
    WaitingQuery,
)
from conversations.approving import withdrawn_by
from conversations.control import Control, Decision, give_back, stop_run
from conversations.lines import add_entry, add_event
from conversations.steps import steps_of
from conversations.store import (
    HOLD,
    IS_THERE,
    PAGE,
    ConversationStore,
    Settled,
    history_line,
    unknown_conversation,
)
from runtime.errors import Refused
from runtime.postgres import Connection, caller_transaction

_UNANSWERED = """
SELECT input_id FROM inputs
WHERE conversation_id = $1 AND run = $2 AND position > (
    SELECT coalesce(max(position), 0) FROM entries WHERE conversation_id = $1 AND run = $2 AND kind = 'person')
ORDER BY position
"""
_GIVEN_BACK = "SELECT body -> 'unanswered' FROM entries WHERE conversation_id = $1 AND key = $2"
_SAID = "SELECT position, kind, body ->> 'text' AS text FROM entries WHERE conversation_id = $1 AND key = $2"
_PACKET = "SELECT body FROM entries WHERE conversation_id = $1 AND key = $2"
_MICROSECONDS = "CASE WHEN {0} = 'infinity' THEN 'infinity' ELSE (extract(epoch FROM {0}) * 1000000)::bigint::text END"
_MOMENT = (
    "CASE WHEN {0} = 'infinity' THEN 'infinity'::timestamptz"
    " ELSE to_timestamp(0) + {0}::bigint * interval '1 microsecond' END"
)
_NOTHING_HIDDEN: tuple[list[str], list[str]] = ([], [])
_END = """
SELECT e.position, e.kind, coalesce(nullif(i.run, ''), e.run) AS run, e.at, e.body
FROM entries e
LEFT JOIN inputs i ON i.conversation_id = e.conversation_id AND i.position = e.position
WHERE e.conversation_id = $1 AND ($2 = 0 OR e.position < $2)
ORDER BY e.position DESC LIMIT $3
"""
_HANDED_OVER = """
SELECT body FROM entries WHERE conversation_id = $1 AND kind = 'packet' ORDER BY position DESC LIMIT 1
"""
_OF_PEOPLE = """
SELECT r.run FROM runs r JOIN conversations c ON c.conversation_id = r.conversation_id
WHERE r.run = ANY($1::text[]) AND (r.outcome = 'person' OR r.run = c.stretch)
"""
_STANDING = f"""
SELECT *, {_MICROSECONDS.format("risk_at")} AS risk
FROM standing($1, $2, $3, $4, $5, $6, {_MOMENT.format("$7")}, $8, $9, $10)
"""  # noqa: S608
_COUNTS = "SELECT * FROM standing_counts($1, $2)"
_STOP = "SELECT run, stopped_by, stopped_why FROM runs WHERE conversation_id = $1 AND stop_id = $2"
_STOPPED = """
UPDATE runs SET stop_id = $3, stopped_by = $4, stopped_why = $5, stopped_at = now()
WHERE conversation_id = $1 AND run = $2
"""


STOPPED = "The support staff stopped the agent. Write again, and it goes on."


class StopMade(BaseModel):
    """A run that a member of staff stopped, as the journal has it. `withdrawn` are the approvals of calls that are
    wanted no more."""

    told: RunStopped
    withdrawn: list[str] = []


class Packet(BaseModel):
    """Of what a person has to know who takes over: why, and what was asked."""

    reason: str = ""
    asked: list[str] = []


class StaffStore(ConversationStore):
    async def hand(self, conversation: str, caller: Caller, decision: Decision, change: str, by: str) -> Settled:
        """Write down that a member of staff has the conversation now; `change` tells one such change from another."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            if await db.fetchval(HOLD, conversation):
                await self.apply(db, conversation, decision, change=change, by=by)
        return Settled(control=decision.control)

    async def give_back(self, conversation: str, caller: Caller, control: Control, change: str, by: str) -> Settled:
        """Write down that the agent speaks again; what the person has left unanswered is its next question. A repeat of
        the same `change` finds it in what was written.

        Raises: `Refused` 409 when no person has the conversation.
        """
        async with caller_transaction(self.pool, caller.user_id) as db:
            stretch = control.person
            if stretch is None or not await db.fetchval(HOLD, conversation):
                raise Refused(409, "not_taken", "the agent has this conversation")
            known = await db.fetchval(_GIVEN_BACK, conversation, f"owner/{change}")
            rows = await db.fetch(_UNANSWERED, conversation, stretch.run)
            unanswered: list[str] = json.loads(known) if known else [row["input_id"] for row in rows]
            decision = give_back(control, unanswered, f"run_{change}")
            await self.apply(db, conversation, decision, change=change, by=by)
            given = await self.given(db, conversation, caller, decision)
        return Settled(control=decision.control, given=given)

    async def say(self, conversation: str, caller: Caller, run: str, epoch: int, say: Say, by: str) -> Said:
        """Write down what a person says, once. Raises: `Refused` 409 for other words under a known `say_id`."""
        key = f"say/{say.say_id}"
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(HOLD, conversation):
                raise unknown_conversation()
            await add_entry(db, conversation, key, "person", run, {"text": say.text, "person": by})
            await add_event(db, conversation, key, "person", run, epoch, {"text": say.text})
            said = await db.fetchrow(_SAID, conversation, key)
        if said is None or said["text"] != say.text:
            raise Refused(409, "say_id_taken", "this say_id was something else", "say_id")
        return Said(position=said["position"])

    async def stop(self, conversation: str, caller: Caller, control: Control, asked: StopRun, by: str) -> StopMade:
        """Write down that a member of staff stopped a run, once for an `act_id`.

        Raises: `Refused` 409 for a run that is not at work, or another stop under a known `act_id`.
        """
        run, key = asked.expected_run, f"stop/{asked.act_id}"
        decision = stop_run(control, run)
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(HOLD, conversation):
                raise unknown_conversation()
            known = await db.fetchrow(_STOP, conversation, asked.act_id)
            if known is None and decision.why:
                raise Refused(409, decision.why, "this run is over, or is being stopped already", "expected_run")
            if known and tuple(known) != (run, by, asked.why):
                raise Refused(409, "act_id_taken", "this act_id was another stop", "act_id")
            if known is None:
                await self.apply(db, conversation, decision, change=key, by=by)
                await db.execute(_STOPPED, conversation, run, asked.act_id, by, asked.why)
                await add_entry(db, conversation, key, "note", run, {"text": STOPPED, "by": by, "reason": asked.why})
                await add_event(db, conversation, key, "note", run, decision.control.epoch, {"text": STOPPED})
            said = await db.fetchrow(_SAID, conversation, key)
            withdrawn = await withdrawn_by(db, conversation, key)
        return StopMade(told=RunStopped(run=run, position=said["position"] if said else 0), withdrawn=withdrawn)

    async def tell_customer(self, conversation: str, caller: Caller, run: str, epoch: int, text: str) -> Packet:
        """A line of ours about the stretch of a person, said once; returns what a person had to know who came."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            await add_entry(db, conversation, f"{run}/note", "note", run, {"text": text})
            await add_event(db, conversation, f"{run}/note", "note", run, epoch, {"text": text})
            body = await db.fetchval(_PACKET, conversation, f"{run}/packet")
        return Packet() if body is None else Packet.model_validate_json(body)

    async def keep_ticket(self, conversation: str, caller: Caller, run: str, epoch: int, ticket_id: str) -> None:
        """Write down, once, the ticket of a stretch in which nobody came."""
        key, body = f"{run}/ticket", {"tool": "ticket", "status": "ok", "ticket_id": ticket_id}
        async with caller_transaction(self.pool, caller.user_id) as db:
            if await db.fetchval(HOLD, conversation):
                await add_entry(db, conversation, key, "effect", run, body)
                await add_event(db, conversation, key, "ticket", run, epoch, {"ticket_id": ticket_id})

    async def steps(self, conversation: str, caller: Caller, run: str, after: int, limit: int) -> RunSteps:
        """What a run did, on behalf of staff who want to know. Raises: `Refused` 404 for a run that is not there."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            return await steps_of(db, conversation, run, after, limit)

    async def staff_history(self, conversation: str, caller: Caller, asked: StaffHistoryQuery) -> StaffHistory:
        """A page with what only staff may see. Raises: `Refused` 404 for a conversation that is not there."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(IS_THERE, conversation):
                raise unknown_conversation()
            page = await (_end(db, conversation, asked) if asked.latest else _after(db, conversation, asked))
            packet = await db.fetchval(_HANDED_OVER, conversation)
            spoken = await db.fetch(_OF_PEOPLE, sorted({line.run for line in page.entries}))
        page.user_id = caller.user_id
        page.packet = json.loads(packet) if packet else None
        page.of_people = [row["run"] for row in spoken]
        return page

    async def standing(self, asked: WaitingQuery, name: str, patience: timedelta) -> StandingPage:
        """A page of those in which a person speaks or is waited for, or of those that a search finds, and the counts.
        Whoever asks has been proven to be staff."""
        risk, place, after = asked.cursor.split("~") if asked.cursor else ("0", "0", "")
        told = (asked.who, name, asked.user_id or "", asked.search.strip(), patience, asked.overdue)
        async with caller_transaction(self.pool, "") as db:
            rows = await db.fetch(_STANDING, *told, risk, int(place), after, asked.limit + 1)
            counts = await db.fetchrow(_COUNTS, name, patience)
        page = [_standing(row) for row in rows[: asked.limit]]
        return StandingPage(
            conversations=page, counts=StandingCounts(**dict(counts or {})), more=len(rows) > asked.limit
        )


async def _after(db: Connection, conversation: str, asked: StaffHistoryQuery) -> StaffHistory:
    rows = await db.fetch(PAGE, conversation, asked.after, asked.limit + 1, *_NOTHING_HIDDEN)
    lines = [history_line(row) for row in rows[: asked.limit]]
    return StaffHistory(entries=lines, next=lines[-1].position if len(rows) > asked.limit else None)


async def _end(db: Connection, conversation: str, asked: StaffHistoryQuery) -> StaffHistory:
    """What was said last, or last before a position."""
    rows = await db.fetch(_END, conversation, asked.before, asked.limit + 1)
    lines = [history_line(row) for row in reversed(rows[: asked.limit])]
    return StaffHistory(entries=lines, earlier=lines[0].position if len(rows) > asked.limit else None)


def _standing(row: Any) -> Standing:
    return Standing(
        conversation=row["conversation_id"],
        user_id=row["user_id"],
        person=row["person"],
        since=row["since"].isoformat(),
        reason=row["reason"],
        speaks=row["speaks"],
        due_at="" if row["risk"] == "infinity" else row["risk_at"].isoformat(),
        found=row["found"],
        place=f"{row['risk']}~{row['place']}~{row['conversation_id']}",
    )
