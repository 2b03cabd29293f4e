"""Who speaks, in the database: a stretch of a person begins, hears what comes in, and ends.

Each works within the transaction of whoever calls it.
"""

from contracts import HandOver
from conversations.approving import open_approvals
from conversations.control import GivesBack, HandsOver
from conversations.lines import add_entry, add_event
from runtime.postgres import Connection

MAX_FACTS = 20

_STRETCH = """
UPDATE conversations SET stretch = $2, person = $3, handed_at = CASE WHEN stretch = $2 THEN handed_at ELSE now() END
WHERE conversation_id = $1
"""
_GIVEN_BACK = """
WITH before AS (SELECT handed_at FROM conversations WHERE conversation_id = $1)
UPDATE conversations SET stretch = '', person = '', handed_at = NULL WHERE conversation_id = $1
RETURNING (SELECT extract(epoch FROM now() - handed_at)::float8 FROM before)
"""
_HEAR = """
UPDATE inputs SET state = 'taken', run = $2, turn = 0
WHERE conversation_id = $1 AND input_id = ANY($3::text[]) AND state IN ('steered', 'queued', 'taken')
"""
_RETURN = """
UPDATE inputs SET state = 'queued', run = '' WHERE conversation_id = $1 AND run = $2 AND input_id = ANY($3::text[])
"""
_SAYINGS = "SELECT count(*) FROM entries WHERE conversation_id = $1 AND run = $2 AND kind = 'person'"
_LATEST = """
SELECT body ->> 'text' AS text FROM entries WHERE conversation_id = $1 AND kind = 'message'
ORDER BY position DESC LIMIT 3
"""
TICKETS = """
SELECT body ->> 'ticket_id' AS ticket_id FROM entries
WHERE conversation_id = $1 AND kind = 'effect' AND body ? 'ticket_id'
GROUP BY body ->> 'ticket_id' ORDER BY max(position) DESC LIMIT $2
"""
RUN = """
INSERT INTO runs (run, conversation_id, user_id, epoch)
SELECT $1, conversation_id, user_id, $3 FROM conversations WHERE conversation_id = $2
ON CONFLICT (run) DO NOTHING
"""
_ENDED = "UPDATE runs SET state = 'ended', outcome = 'person', ended_at = now() WHERE run = $1"


async def hand_over(
    db: Connection, conversation: str, effect: HandsOver, change: str, by: str, packet: HandOver | None
) -> None:
    await db.execute(RUN, effect.run, conversation, effect.epoch)
    await db.execute(_STRETCH, conversation, effect.run, effect.name)
    body = {"speaker": "person", "person": effect.name, "by": by}
    await add_entry(db, conversation, f"owner/{change}", "owner", effect.run, body)
    seen = {"speaker": "person", "waiting": not effect.name}
    await add_event(db, conversation, f"owner/{change}", "owner", effect.run, effect.epoch, seen)
    latest = await db.fetch(_LATEST, conversation)
    tickets = await db.fetch(TICKETS, conversation, MAX_FACTS)
    known = packet or HandOver(reason=f"{by} took it")
    told = known.model_dump() | {
        "asked": [row["text"] for row in reversed(latest)],
        "tickets": [row["ticket_id"] for row in tickets],
        "approvals": await open_approvals(db, conversation),
    }
    await add_entry(db, conversation, f"{effect.run}/packet", "packet", effect.run, told)


async def hear(db: Connection, conversation: str, run: str, inputs: tuple[str, ...]) -> None:
    """These inputs are read by the person."""
    await db.execute(_HEAR, conversation, run, list(inputs))


async def take_back(db: Connection, conversation: str, effect: GivesBack, epoch: int, change: str, by: str) -> None:
    """Who had it, for how long, and how much was said, so that the next run sees where the stretch ends."""
    seconds = await db.fetchval(_GIVEN_BACK, conversation)
    sayings = await db.fetchval(_SAYINGS, conversation, effect.run)
    await db.execute(_RETURN, conversation, effect.run, list(effect.unanswered))
    await db.execute(_ENDED, effect.run)
    body = {"speaker": "agent", "by": by, "seconds": round(seconds or 0), "said": sayings}
    body["unanswered"] = list(effect.unanswered)
    await add_entry(db, conversation, f"owner/{change}", "owner", effect.run, body)
    await add_event(db, conversation, f"owner/{change}", "owner", effect.run, epoch, {"speaker": "agent"})
