"""What runs did that can be undone, in the database. Each works within the transaction of whoever calls it."""

import json
from typing import Any

from contracts import Caller, Undo, Undoing, Undone, UndoWanted
from conversations.lines import add_entry, add_event
from runtime.postgres import Connection

NOT_MADE = ["error", "denied"]
"""How a call ended of which most likely nothing came: it is undone without a word. Of a call that waited for a person
longer than its run, the approval says it: its line in the transcript is `unknown` for good."""

_TAKE = """
UPDATE effects SET state = 'undoing', change = $3
WHERE conversation_id = $1 AND run = $2 AND (state IN ('noted', 'kept') OR (state = 'undoing' AND change = $3))
RETURNING number, call, tool, undo, EXISTS (
    SELECT FROM entries e
    WHERE e.conversation_id = effects.conversation_id AND e.run = effects.run AND e.kind = 'effect'
      AND e.body ->> 'call' = effects.call AND e.body ->> 'status' = ANY($4::text[]))
OR EXISTS (
    SELECT FROM approvals a
    WHERE a.conversation_id = effects.conversation_id AND a.run = effects.run AND a.call = effects.call
      AND a.status NOT IN ('approved', 'edited')) AS not_made
"""
_LEFT = """
SELECT position, body ->> 'tool' AS tool FROM entries e
WHERE conversation_id = $1 AND run = $2 AND kind = 'effect' AND body ->> 'status' <> ALL($3::text[])
  AND NOT EXISTS (SELECT FROM effects f
                  WHERE f.conversation_id = $1 AND f.run = $2 AND f.call = e.body ->> 'call')
  AND NOT EXISTS (SELECT FROM approvals a
                  WHERE a.conversation_id = $1 AND a.run = $2 AND a.call = e.body ->> 'call'
                    AND a.status NOT IN ('approved', 'edited'))
ORDER BY position
"""
_KEEP = """
UPDATE effects SET state = CASE $5 WHEN 'undone' THEN 'undone' ELSE 'kept' END
WHERE conversation_id = $1 AND run = $2 AND call = $3 AND change = $4
"""
_IS_TOLD = "SELECT 1 FROM entries WHERE conversation_id = $1 AND key = $2"


async def begin_undo(
    db: Connection, conversation: str, caller: Caller, run: str, epoch: int, change: str, by: str = ""
) -> tuple[Undoing, UndoWanted | None]:
    """Write down that what a run did is being undone, the latest effect first; asked again by the same `change`, the
    same. What nothing can undo is told at once."""
    taken = await db.fetch(_TAKE, conversation, run, change, NOT_MADE)
    taken.sort(key=lambda row: row["number"], reverse=True)
    made = [row for row in taken if not row["not_made"]]
    for row in made:
        told = {"tool": row["tool"], "call": row["call"], "status": "undoing"}
        await _tell(db, conversation, f"{run}/undo/{change}/{row['call']}", run, epoch, told, by)
    left = await db.fetch(_LEFT, conversation, run, NOT_MADE)
    for row in left:
        told = {"tool": row["tool"], "status": "not_undone"}
        await _tell(db, conversation, f"{run}/undo/left/{row['position']}", run, epoch, told, by)
    undoing = Undoing(run=run, effects=[row["tool"] for row in made], left=[row["tool"] for row in left])
    calls = [Undo.model_validate_json(row["undo"]) for row in taken]
    if not calls:
        return undoing, None
    return undoing, UndoWanted(conversation=conversation, run=run, change=change, caller=caller, effects=calls)


async def keep_undone(db: Connection, conversation: str, epoch: int, undone: Undone) -> None:
    """Write down, once, what became of undoing an effect."""
    run, place = undone.run, f"{undone.change}/{undone.call}"
    await db.execute(_KEEP, conversation, run, undone.call, undone.change, undone.status)
    if not await db.fetchval(_IS_TOLD, conversation, f"{run}/undo/{place}"):
        return
    told = {"tool": undone.tool, "call": undone.call, "status": undone.status}
    hidden = {"refusal": undone.why} if undone.why else {}
    await _tell(db, conversation, f"{run}/undone/{place}", run, epoch, told, hidden=hidden)


async def _tell(
    db: Connection,
    conversation: str,
    key: str,
    run: str,
    epoch: int,
    told: dict[str, Any],
    by: str = "",
    hidden: dict[str, Any] | None = None,
) -> None:
    """In the transcript and to whoever watches. `by` and what is hidden are for staff alone."""
    body = told | ({"by": by} if by else {}) | (hidden or {})
    await add_entry(db, conversation, key, "undone", run, body)
    await add_event(db, conversation, key, "undone", run, epoch, told)


def as_json(undo: Undo) -> str:
    return json.dumps(undo.model_dump())
