"""Lines of a transcript and of the log of events: each has a key, so that a repeat adds nothing."""

import json
from typing import Any

from runtime.postgres import Connection

_ENTRY = """
WITH place AS (
    UPDATE conversations SET next_entry = next_entry + 1, changed_at = now()
    WHERE conversation_id = $1 AND NOT EXISTS (SELECT FROM entries WHERE conversation_id = $1 AND key = $2)
    RETURNING next_entry - 1 AS position, user_id
)
INSERT INTO entries (conversation_id, key, position, user_id, kind, run, body)
SELECT $1, $2, position, user_id, $3, $4, $5::jsonb FROM place
RETURNING position
"""
_EVENT = """
WITH place AS (
    UPDATE conversations SET next_event = next_event + 1
    WHERE conversation_id = $1 AND NOT EXISTS (SELECT FROM events WHERE conversation_id = $1 AND key = $2)
    RETURNING next_event - 1 AS position, user_id
)
INSERT INTO events (conversation_id, key, position, user_id, kind, run, epoch, body)
SELECT $1, $2, position, user_id, $3, $4, $5, $6::jsonb FROM place
RETURNING position
"""


async def add_entry(db: Connection, conversation: str, key: str, kind: str, run: str, body: dict[str, Any]) -> int:
    return await db.fetchval(_ENTRY, conversation, key, kind, run, json.dumps(body)) or 0


async def add_event(
    db: Connection, conversation: str, key: str, kind: str, run: str, epoch: int, body: dict[str, Any]
) -> int:
    return await db.fetchval(_EVENT, conversation, key, kind, run, epoch, json.dumps(body)) or 0
