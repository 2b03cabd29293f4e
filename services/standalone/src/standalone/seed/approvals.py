"""Calls that wait for a yes, and some that were decided. No run waits for any of them: nothing follows a decision."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from contracts import digest_of
from runtime.postgres import Connection, Pool, caller_transaction
from standalone.seed.words import MARK

TOOL = "refund_invoice"
ROLE = "approver"
UNDECIDED = 5
"""One of so many waits."""
DECIDERS = ("ben", "carla")
WHY = f"{MARK} Nobody waits for this decision, and no call follows it."
_SCHEMA = {
    "type": "object",
    "properties": {"invoice_id": {"type": "string"}, "amount": {"type": "number"}, "user_id": {"type": "string"}},
    "required": ["invoice_id", "amount", "user_id"],
    "additionalProperties": False,
}
_COLUMNS = """
approval_id, user_id, run, call, invocation, tool, arguments, digest, fixed, parameters, message, why, needs_role,
expires_at
"""
_KEEP = f"""
INSERT INTO approvals ({_COLUMNS}) SELECT {_COLUMNS} FROM jsonb_populate_recordset(NULL::approvals, $1)
ON CONFLICT (approval_id) DO NOTHING RETURNING approval_id
"""  # noqa: S608
_ASKED = """
INSERT INTO approval_audit (approval_id, user_id, what, by, why, tool, digest)
SELECT approval_id, user_id, 'asked', user_id, why, tool, digest FROM approvals WHERE approval_id = ANY($1::text[])
"""
_DECIDE = """
WITH decided AS (
    UPDATE approvals SET status = told.status, decided_by = told.by, decided_at = clock_timestamp(),
                         reason = told.reason, ruling = told.approval_id
    FROM jsonb_to_recordset($1) AS told (approval_id text, status text, by text, reason text)
    WHERE approvals.approval_id = told.approval_id AND approvals.status = 'pending'
    RETURNING approvals.approval_id, user_id, decided_at, approvals.status, decided_by, approvals.reason, tool, digest
)
INSERT INTO approval_audit (approval_id, user_id, at, what, by, why, tool, digest)
SELECT approval_id, user_id, decided_at, status, decided_by, reason, tool, digest FROM decided
"""


async def keep_approvals(pool: Pool, wanted: int, customers: Sequence[str], now: datetime) -> int:
    """Write down those that are not there yet, some undecided; returns how many those were."""
    made = 0
    for place, user_id in enumerate(customers):
        rows = [_row(number, user_id, now) for number in range(place, wanted, len(customers))]
        async with caller_transaction(pool, user_id) as db:
            found = await db.fetch(_KEEP, json.dumps(rows, default=datetime.isoformat))
            kept = [row["approval_id"] for row in found]
            await db.execute(_ASKED, kept)
            await _decide(db, kept)
        made += len(kept)
    return made


def _row(number: int, user_id: str, now: datetime) -> dict[str, Any]:
    random = Random(f"approval {number}")
    told = {"amount": random.randrange(20, 900), "invoice_id": f"INV-{number:05}", "user_id": user_id}
    arguments = json.dumps(told, separators=(",", ":"), sort_keys=True)
    row = {"approval_id": f"appr_demo{number:016}", "user_id": user_id, "run": f"run_demo_{number}", "call": "call_1"}
    row |= {"invocation": "", "tool": TOOL, "arguments": arguments, "digest": digest_of(arguments)}
    row |= {"fixed": ["user_id"], "parameters": _SCHEMA, "why": WHY, "needs_role": ROLE}
    row |= {"message": f"We were charged twice: invoice {told['invoice_id']}. {MARK}"}
    return row | {"expires_at": now + timedelta(hours=random.uniform(1, 72))}


async def _decide(db: Connection, approvals: Sequence[str]) -> None:
    told: list[dict[str, str]] = []
    for approval in approvals:
        random = Random(approval)
        if int(approval[-16:]) % UNDECIDED:
            status = random.choice(("approved", "approved", "denied"))
            reason = "It was charged once." if status == "denied" else ""
            told.append({"approval_id": approval, "status": status, "by": random.choice(DECIDERS), "reason": reason})
    await db.execute(_DECIDE, json.dumps(told))
