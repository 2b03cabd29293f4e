"""Approvals in PostgreSQL. One statement decides, and writes who, when, what and why beside it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from contracts import (
    ApprovalLine,
    ApprovalOutcome,
    ApprovalPage,
    ApprovalShown,
    ApprovalsQuery,
    ApprovalState,
    ApprovalStatus,
    Caller,
    Change,
    Choice,
    Decide,
    Proposal,
    Ruling,
    cursor_of,
    digest_of,
    place_of,
)
from conversations.approving import tell_status, withdraw
from conversations.lines import add_entry, add_event
from conversations.store import HOLD
from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction
from runtime.proof import Staff

BECOMES: dict[Choice, ApprovalStatus] = {"approve": "approved", "edit": "edited", "deny": "denied"}

_PROPOSE = """
INSERT INTO approvals (approval_id, conversation_id, user_id, run, epoch, call, invocation, tool, arguments, digest,
                       fixed, parameters, message, why, needs_role, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14, $15,
        now() + $16::float8 * interval '1 second')
ON CONFLICT (approval_id) DO NOTHING
RETURNING approval_id, run, epoch, call, tool
"""
_AUDIT_ASKED = """
INSERT INTO approval_audit (approval_id, user_id, what, by, why, tool, digest) VALUES ($1, $2, 'asked', $2, $3, $4, $5)
"""
_TOO_LATE = "SELECT withdrawn_upto >= $2 FROM conversations WHERE conversation_id = $1"
_DECIDE = """
WITH decided AS (
    UPDATE approvals SET status = $2, decided_by = $3, decided_at = clock_timestamp(), reason = $4, ruling = $5,
                         made = $6, changes = $7::jsonb
    WHERE approval_id = $1 AND status = 'pending' AND expires_at > clock_timestamp() AND digest = $8
      AND needs_role = ANY($9::text[]) AND lower(user_id) <> lower($3)
    RETURNING approval_id, user_id, decided_at, status, decided_by, reason, tool, digest, made
)
INSERT INTO approval_audit (approval_id, user_id, at, what, by, why, tool, digest, made_digest)
SELECT approval_id, user_id, decided_at, status, decided_by, reason, tool, digest,
       coalesce(encode(sha256(convert_to(made, 'UTF8')), 'hex'), '')
FROM decided RETURNING approval_id
"""
_EXPIRE = """
WITH expired AS (
    UPDATE approvals SET status = 'expired', decided_at = clock_timestamp()
    WHERE approval_id = $1 AND status = 'pending' AND expires_at <= clock_timestamp()
    RETURNING approval_id, user_id, tool, digest
)
INSERT INTO approval_audit (approval_id, user_id, what, by, why, tool, digest)
SELECT approval_id, user_id, 'expired', '', 'nobody decided in time', tool, digest FROM expired RETURNING approval_id
"""
_ROW = "SELECT * FROM approvals WHERE approval_id = $1"
_STATE = """
SELECT status, digest, coalesce(made, arguments) AS arguments, reason,
       extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds_left
FROM approvals WHERE approval_id = $1
"""
_AS_OWNER = "SELECT set_config('app.user_id', approval_owner($1), true)"
_CONVERSATION = "SELECT conversation_id FROM approvals WHERE approval_id = $1"
_LISTED = "SELECT * FROM approvals_page($1, $2, $3, $4)"
_FORGET = """
DELETE FROM approvals
WHERE approval_id = $1 AND conversation_id IS NULL AND (status <> 'pending' OR expires_at <= now())
"""
_LATEST = """
SELECT epoch, (
    SELECT r.run FROM runs r WHERE r.conversation_id = c.conversation_id ORDER BY r.epoch DESC LIMIT 1) AS run
FROM conversations c WHERE conversation_id = $1
"""

GONE = ApprovalState(status="withdrawn")
"""How an approval stands whose conversation was erased."""


class ApprovalStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def propose(self, wanted: Proposal) -> ApprovalState:
        """Write down a call that waits for a decision, once; it is withdrawn at once where it is wanted no more.

        Raises: `Refused` 422 for a digest that is not of these arguments, 409 for another call under a known id.
        """
        if digest_of(wanted.arguments) != wanted.digest:
            raise Refused(422, "wrong_digest", "the digest is not of these arguments", "digest")
        user_id = wanted.caller.user_id
        async with caller_transaction(self._pool, user_id) as db:
            if wanted.conversation and not await db.fetchval(HOLD, wanted.conversation):
                return GONE
            row = await db.fetchrow(_PROPOSE, *_columns(wanted))
            if row is not None:
                audited = (wanted.approval_id, user_id, wanted.why, wanted.tool, wanted.digest)
                await db.execute(_AUDIT_ASKED, *audited)
                await self._tell_asked(db, wanted, row)
            state = await _state(db, wanted.approval_id)
        if state.digest != wanted.digest:
            raise Refused(409, "approval_taken", "this approval is of another call", "approval_id")
        return state

    async def _tell_asked(self, db: Connection, wanted: Proposal, row: Any) -> None:
        if wanted.conversation is None:
            return
        await tell_status(db, wanted.conversation, row, "pending")
        if await db.fetchval(_TOO_LATE, wanted.conversation, wanted.epoch):
            await withdraw(db, wanted.conversation, wanted.run, wanted.epoch, "asked too late")

    async def state(self, approval_id: str) -> ApprovalState:
        """How it stands now; one that nobody has decided in time has expired."""
        async with self._of(approval_id) as db:
            state = await _state(db, approval_id)
            if state.status != "pending" or state.seconds_left > 0:
                return state
            row = await _held(db, approval_id)
            if row is None:
                return GONE
            if await db.fetchval(_EXPIRE, approval_id) and row["conversation_id"]:
                await tell_status(db, row["conversation_id"], row, "expired")
            return await _state(db, approval_id)

    async def decide(self, wanted: Decide, made: str | None, by: Staff) -> Ruling:
        """Decide it. `made` are the arguments of an edited call, in canonical JSON.

        Raises: `Refused` 404 for an unknown one, 403 for whoever may not decide it, 409 for one that is decided, that
        has expired, or of which other arguments were shown.
        """
        ruling = ruling_of(wanted, made)
        async with self._of(wanted.approval_id) as db:
            before = await _held(db, wanted.approval_id)
            if before is None:
                raise unknown_approval()
            changes = [] if made is None else changes_between(before["arguments"], made)
            told = (wanted.approval_id, BECOMES[wanted.choice], by.name, wanted.reason.strip(), ruling, made)
            told = (*told, json.dumps([each.model_dump() for each in changes]), wanted.digest, by.roles)
            decided = await db.fetchval(_DECIDE, *told)
            row = await db.fetchrow(_ROW, wanted.approval_id)
            if row is None:
                raise unknown_approval()
            if decided is None and (row["decided_by"], row["ruling"]) != (by.name, ruling):
                raise _refusal(row, wanted, by)
            if decided and row["conversation_id"]:
                await tell_status(db, row["conversation_id"], row, row["status"], by.name, row["reason"])
        at = row["decided_at"].isoformat()
        return Ruling(approval_id=wanted.approval_id, status=row["status"], by=by.name, at=at)

    async def listed(self, asked: ApprovalsQuery) -> ApprovalPage:
        """Whoever asks has been proven to be staff."""
        async with caller_transaction(self._pool, "") as db:
            rows = await db.fetch(_LISTED, asked.decided, *place_of(asked.cursor), asked.limit + 1)
        page, following = [ApprovalLine(**_line(row)) for row in rows[: asked.limit]], ""
        if len(rows) > asked.limit:
            last = rows[asked.limit - 1]
            following = cursor_of(last["asked_at" if asked.decided else "expires_at"], last["approval_id"])
        return ApprovalPage(approvals=page, next=following)

    async def shown(self, approval_id: str) -> ApprovalShown:
        """Raises: `Refused` 404 for an unknown one. Whoever asks has been proven to be staff."""
        async with self._of(approval_id) as db:
            row = await db.fetchrow(_ROW, approval_id)
            if row is None:
                raise unknown_approval()
            state = await _state(db, approval_id)
        line = _line(row)
        if line["status"] == "pending" and state.seconds_left <= 0:
            line["status"] = "expired"
        return ApprovalShown(
            **line,
            run=row["run"],
            message=row["message"],
            arguments=json.loads(row["arguments"]),
            digest=row["digest"],
            fixed=row["fixed"],
            parameters=json.loads(row["parameters"]),
            decided_by=row["decided_by"],
            decided_at=row["decided_at"].isoformat() if row["decided_at"] else "",
            reason=row["reason"],
            changes=json.loads(row["changes"]),
        )

    async def tell_outcome(self, conversation: str, caller: Caller, outcome: ApprovalOutcome) -> None:
        """What became of a call after its run had left it, told once: to the customer, and to later runs."""
        key = f"approval/{outcome.approval_id}/outcome"
        body = {"approval": outcome.approval_id, "tool": outcome.tool, "status": outcome.status, "done": outcome.done}
        body |= {"text": outcome.text, "told": outcome.told, "task_id": outcome.task_id}
        async with caller_transaction(self._pool, caller.user_id) as db:
            if await db.fetchval(HOLD, conversation):
                latest: Any = await db.fetchrow(_LATEST, conversation)
                await add_entry(db, conversation, key, "approval", latest["run"] or outcome.run, body)
                await add_event(db, conversation, key, "note", outcome.run, latest["epoch"], {"text": outcome.text})

    async def forget(self, approval_id: str) -> None:
        """Remove one of a single question, as conversations are removed with theirs."""
        async with self._of(approval_id) as db:
            await db.execute(_FORGET, approval_id)

    @asynccontextmanager
    async def _of(self, approval_id: str) -> AsyncGenerator[Connection]:
        """A transaction that sees the rows of whoever this approval is for; of an unknown one nobody's."""
        async with caller_transaction(self._pool, "") as db:
            await db.execute(_AS_OWNER, approval_id)
            yield db


def ruling_of(wanted: Decide, made: str | None) -> str:
    """What makes a decision the same; who makes it is another matter."""
    return digest_of(json.dumps([wanted.choice, wanted.digest, wanted.reason.strip(), made]))


def changes_between(before: str, after: str) -> list[Change]:
    """What an edit has changed, argument by argument."""
    old, new = json.loads(before), json.loads(after)
    names = [name for name in sorted(old | new) if old.get(name) != new.get(name) or (name in old) != (name in new)]
    return [Change(name=name, before=old.get(name), after=new.get(name)) for name in names]


def unknown_approval() -> Refused:
    return Refused(404, "unknown_approval", "there is no such approval", "approval_id")


async def _held(db: Connection, approval_id: str) -> Any:
    """The approval; its conversation's row is held from now on, so that a stop comes before or after."""
    conversation = await db.fetchval(_CONVERSATION, approval_id)
    if conversation:
        await db.fetchval(HOLD, conversation)
    return await db.fetchrow(_ROW, approval_id)


async def _state(db: Connection, approval_id: str) -> ApprovalState:
    row = await db.fetchrow(_STATE, approval_id)
    return GONE if row is None else ApprovalState(**dict(row))


def _columns(wanted: Proposal) -> tuple[Any, ...]:
    return (
        wanted.approval_id,
        wanted.conversation,
        wanted.caller.user_id,
        wanted.run,
        wanted.epoch,
        wanted.call,
        wanted.invocation,
        wanted.tool,
        wanted.arguments,
        wanted.digest,
        wanted.fixed,
        wanted.parameters,
        wanted.message,
        wanted.why,
        wanted.role,
        wanted.expires_in,
    )


def _line(row: Any) -> dict[str, Any]:
    return {
        "approval_id": row["approval_id"],
        "status": row["status"],
        "tool": row["tool"],
        "user_id": row["user_id"],
        "conversation": row["conversation_id"],
        "role": row["needs_role"],
        "why": row["why"],
        "asked_at": row["asked_at"].isoformat(),
        "expires_at": row["expires_at"].isoformat(),
    }


def _refusal(row: Any, wanted: Decide, by: Staff) -> Refused:
    """Why the statement did not decide it."""
    if row["needs_role"] not in by.roles:
        return Refused(403, "approval_role", f"only who has the role {row['needs_role']} may decide this")
    if row["user_id"].lower() == by.name.lower():
        return Refused(403, "own_approval", "nobody decides what is done for themselves")
    if row["digest"] != wanted.digest:
        return Refused(409, "other_arguments", "these are not the arguments that wait for a decision", "digest")
    if row["status"] == "pending":
        return Refused(409, "expired", "nobody decided this in time")
    refused = Refused(409, "decided", f"this is {row['status']} already")
    refused.metadata = {"code": "decided", "status": row["status"]}
    return refused
