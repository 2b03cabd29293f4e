"""Approvals within a conversation's own transactions: one is told in its transcript, or wanted no more.

Whoever calls this holds the conversation's row, so that a stop and a decision come one after the other.
"""

from typing import Any

from contracts import ApprovalStatus
from conversations.lines import add_entry, add_event
from runtime.postgres import Connection

_WITHDRAW = """
WITH withdrawn AS (
    UPDATE approvals SET status = 'withdrawn', decided_at = clock_timestamp(), ruling = $3
    WHERE conversation_id = $1 AND status = 'pending' AND ($2 = '' OR run = $2)
    RETURNING approval_id, user_id, tool, digest, run, epoch, call
), audited AS (
    INSERT INTO approval_audit (approval_id, user_id, what, by, why, tool, digest)
    SELECT approval_id, user_id, 'withdrawn', coalesce(nullif($4, ''), user_id), $3, tool, digest FROM withdrawn
)
SELECT approval_id, tool, run, epoch, call FROM withdrawn ORDER BY approval_id
"""
_WITHDRAWN = """
SELECT approval_id FROM approvals
WHERE conversation_id = $1 AND status = 'withdrawn' AND ruling = $2 ORDER BY approval_id
"""
_CLOSE = "UPDATE conversations SET withdrawn_upto = greatest(withdrawn_upto, $2) WHERE conversation_id = $1"
_OPEN = """
SELECT approval_id, tool, asked_at FROM approvals
WHERE conversation_id = $1 AND status = 'pending' AND expires_at > now() ORDER BY asked_at, approval_id
"""


async def withdraw(db: Connection, conversation: str, run: str, epoch: int, because: str, by: str = "") -> None:
    """What waits for a decision is wanted no more: of this run, or of all without a name. `because` names what came in,
    `by` the member of staff who sent it, empty for the customer; a run up to this epoch that asks only now comes too
    late."""
    for row in await db.fetch(_WITHDRAW, conversation, run, because, by):
        await tell_status(db, conversation, row, "withdrawn")
    await db.execute(_CLOSE, conversation, epoch)


async def withdrawn_by(db: Connection, conversation: str, because: str) -> list[str]:
    """The approvals that this withdrew, also when it is asked again."""
    return [row["approval_id"] for row in await db.fetch(_WITHDRAWN, conversation, because)]


async def open_approvals(db: Connection, conversation: str) -> list[dict[str, Any]]:
    """Those that wait for a decision, as a person who takes over has to know them."""
    rows = await db.fetch(_OPEN, conversation)
    return [{"approval": row["approval_id"], "tool": row["tool"], "since": row["asked_at"].isoformat()} for row in rows]


async def tell_status(
    db: Connection, conversation: str, row: Any, status: ApprovalStatus, by: str = "", reason: str = ""
) -> None:
    """A line in the transcript, which hides the approval's id and who decided from the customer, and an event."""
    what = "asked" if status == "pending" else "decided"
    key, run = f"approval/{row['approval_id']}/{what}", row["run"]
    body = {"approval": row["approval_id"], "tool": row["tool"], "status": status, "person": by, "reason": reason}
    await add_entry(db, conversation, key, "approval", run, {name: value for name, value in body.items() if value})
    told = {"call": row["call"], "tool": row["tool"], "status": status}
    await add_event(
        db, conversation, f"{run}/approval/{row['call']}/{what}", f"approval_{what}", run, row["epoch"], told
    )
