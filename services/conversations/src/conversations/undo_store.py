"""The part of the transcript that undoing writes, after the rules of `store.py`."""

from pydantic import BaseModel

from contracts import Caller, Undoing, Undone, UndoNoted, UndoWanted
from conversations.approving import withdraw, withdrawn_by
from conversations.control import Control, take_undo
from conversations.effects import as_json, begin_undo, keep_undone
from conversations.people_store import StaffStore
from conversations.store import HOLD, unknown_conversation
from runtime.errors import Refused
from runtime.postgres import caller_transaction

_NOTE = """
INSERT INTO effects (conversation_id, run, call, user_id, tool, undo) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
ON CONFLICT (conversation_id, run, call) DO UPDATE SET undo = excluded.undo WHERE effects.state = 'noted'
"""
_EPOCH = "SELECT epoch FROM runs WHERE conversation_id = $1 AND run = $2 AND outcome IS DISTINCT FROM 'person'"
_LATEST = """
SELECT run FROM runs r
WHERE conversation_id = $1 AND (
    EXISTS (SELECT FROM entries e WHERE e.conversation_id = $1 AND e.run = r.run AND e.kind = 'effect')
    OR EXISTS (SELECT FROM effects f WHERE f.conversation_id = $1 AND f.run = r.run))
ORDER BY epoch DESC LIMIT 1
"""


class Requested(BaseModel):
    """What follows on the wish to undo a run, as the journal has it. `withdrawn` are the approvals that it calls
    off."""

    undoing: Undoing
    wanted: UndoWanted | None = None
    withdrawn: list[str] = []


class UndoStore(StaffStore):
    async def note_effect(self, conversation: str, caller: Caller, noted: UndoNoted) -> None:
        """Write down how an effect can be undone that is about to be made; what a person has edited is noted anew."""
        undo = noted.undo
        async with caller_transaction(self.pool, caller.user_id) as db:
            if await db.fetchval(HOLD, conversation):
                row = (noted.run, undo.call, caller.user_id, undo.tool, as_json(undo))
                await db.execute(_NOTE, conversation, *row)

    async def undo(
        self, conversation: str, caller: Caller, control: Control, run: str, change: str, by: str
    ) -> Requested:
        """Write down that a run is undone, or stopped so that it will be.

        Raises: `Refused` 404 for a run that the conversation does not have, 409 when none of its runs did anything.
        """
        async with caller_transaction(self.pool, caller.user_id) as db:
            if not await db.fetchval(HOLD, conversation):
                raise unknown_conversation()
            run = run or (control.active.run if control.active else "") or await db.fetchval(_LATEST, conversation)
            if not run:
                raise Refused(409, "nothing_to_undo", "no run of this conversation did anything")
            epoch = await db.fetchval(_EPOCH, conversation, run)
            if epoch is None:
                raise Refused(404, "unknown_run", "this conversation has no such run", "run")
            decision = take_undo(control, run)
            await self.apply(db, conversation, decision, change=change, by=by)
            await withdraw(db, conversation, run, 0, change, by)
            withdrawn = await withdrawn_by(db, conversation, change)
            active = decision.control.active
            if active and active.run == run:
                return Requested(undoing=Undoing(run=run, stopping=True), withdrawn=withdrawn)
            undoing, wanted = await begin_undo(db, conversation, caller, run, epoch, change, by)
        return Requested(undoing=undoing, wanted=wanted, withdrawn=withdrawn)

    async def keep_undone(self, conversation: str, caller: Caller, undone: Undone) -> None:
        """Write down what became of undoing an effect."""
        async with caller_transaction(self.pool, caller.user_id) as db:
            if await db.fetchval(HOLD, conversation):
                epoch = await db.fetchval(_EPOCH, conversation, undone.run)
                await keep_undone(db, conversation, epoch or 0, undone)
