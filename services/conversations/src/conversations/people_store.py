"""The staff's part of the transcript, after the rules of `store.py`."""

import json

from pydantic import BaseModel

from contracts import Caller, RunSteps, Said, Say, Standing
from conversations.control import Control, Decision, give_back
from conversations.lines import add_entry, add_event
from conversations.steps import steps_of
from conversations.store import HOLD, ConversationStore, Settled, unknown_conversation
from runtime.errors import Refused
from runtime.postgres import caller_transaction

_UNANSWERED = """
SELECT input_id FROM inputs
WHERE conversation_id = $1 AND run = $2 AND position > (
    SELECT coalesce(max(position), 0) FROM entries WHERE conversation_id = $1 AND run = $2 AND kind = 'person')
ORDER BY position
"""
_GIVEN_BACK = "SELECT body -> 'unanswered' FROM entries WHERE conversation_id = $1 AND key = $2"
_SAID = "SELECT position, kind, body ->> 'text' AS text FROM entries WHERE conversation_id = $1 AND key = $2"
_PACKET = "SELECT body FROM entries WHERE conversation_id = $1 AND key = $2"
_WITH_PEOPLE = "SELECT * FROM with_people($1)"


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

    async def with_people(self, limit: int) -> list[Standing]:
        """Where a person speaks or is waited for. Whoever asks has been proven to be staff."""
        async with caller_transaction(self.pool, "") as db:
            rows = await db.fetch(_WITH_PEOPLE, limit)
        return [
            Standing(
                conversation=row["conversation_id"],
                user_id=row["user_id"],
                person=row["person"],
                since=row["handed_at"].isoformat(),
                reason=row["reason"],
            )
            for row in rows
        ]
