"""The staff's desk without Restate: what must be told once it is written, and what was seen when it was shown."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from runtime.retries import RETRY_UNTIL_DONE
from tickets.looking import read_shown
from tickets.ticket_desk import ticket_desk

NOTE = {"who": "bert", "acting": "staff", "action": "note", "note": "", "at": datetime(2026, 11, 30, tzinfo=UTC)}


@pytest.mark.parametrize("name", ["reply", "note", "assign", "change", "merge"])
def test_what_was_written_is_told_whatever_happens(name: str) -> None:
    nothing: Any = None
    handler: Any = ticket_desk(nothing).handlers[name]
    assert handler.invocation_retry_policy == RETRY_UNTIL_DONE
    assert handler.metadata == {"switchboard.deadline": "none"}


class Busy:
    """A ticket of which somebody writes a note after each statement that reads it."""

    def __init__(self) -> None:
        self.notes = list[dict[str, Any]]()

    async def fetchrow(self, _: str, *__: Any) -> dict[str, Any]:
        self.notes.append(NOTE)
        texts = dict.fromkeys(("ticket_id", "user_id", "subject", "assignee", "description"), "x")
        times = dict.fromkeys(("reply_due_at", "solve_due_at", "reply_escalated_at", "solve_escalated_at"))
        kinds = {"state": "new", "category": "bug", "priority": "normal", "undelivered": 0}
        moments = dict.fromkeys(("created_at", "updated_at", "replied_at", "solved_at"), NOTE["at"])
        return texts | times | kinds | moments | dict.fromkeys(("conversation", "prompt", "merged_into", "merged"))

    async def fetch(self, query: str, *_: Any) -> Sequence[dict[str, Any]]:
        shown = list(self.notes) if "ticket_history" in query else [_message(at) for at in range(len(self.notes))]
        self.notes.append(NOTE)
        return shown

    async def fetchval(self, *_: Any) -> int:
        return len(self.notes)


def _message(number: int) -> dict[str, Any]:
    return {"number": number, "kind": "note", "who": "bert", "words": "", "at": NOTE["at"], "ticket_id": "x"}


def test_what_is_written_while_a_ticket_is_read_was_not_seen() -> None:
    db: Any = Busy()
    shown = asyncio.run(read_shown(db, "x"))
    assert shown.changes <= len(shown.messages)
