"""Who did what to approvals and in conversations, of which the room has checked that an admin asks."""

from heapq import merge
from typing import Any

from contracts import AuditLine, AuditPage, AuditQuery, cursor_of
from runtime.postgres import Pool, caller_transaction

_APPROVALS = "SELECT * FROM approvals_audited($1, $2, $3, $4, $5, $6, $7)"
_OWNERS = "SELECT * FROM owners_audited($1, $2, $3, $4, $5, $6, $7)"
_STOPS = "SELECT * FROM stops_audited($1, $2, $3, $4, $5, $6, $7)"
_OF_KIND = (("approval", _APPROVALS), ("conversation", _OWNERS), ("conversation", _STOPS))


class AuditStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def audited(self, asked: AuditQuery) -> AuditPage:
        """A page of all, or of the kind that is wanted."""
        wanted = [sql for kind, sql in _OF_KIND if asked.kind in (None, kind)]
        told = (asked.who, asked.subject, asked.since, asked.until, *asked.before, asked.limit)
        async with caller_transaction(self._pool, "") as db:
            found = [await db.fetch(sql, *told) for sql in wanted]
        rows = merge(*found, key=lambda row: (row["at"], row["key"]), reverse=True)
        return AuditPage(lines=[_line(row) for row, _ in zip(rows, range(asked.limit), strict=False)])


def _line(row: Any) -> AuditLine:
    return AuditLine(
        kind=row["kind"],
        at=row["at"].isoformat(),
        who=row["who"],
        action=row["action"],
        subject=row["subject"],
        about=row["about"],
        note=row["note"],
        cursor=cursor_of(row["at"], row["key"]),
    )
