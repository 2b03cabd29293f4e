"""What was said in a conversation, read from the database of this machine: for whoever tries it by hand."""

import json
from typing import Any

import asyncpg

from contracts import Caller, HistoryLine
from conversations.store import ConversationStore
from runtime.errors import Refused
from runtime.postgres import open_pool
from standalone.database import running_database
from standalone.process import StartError
from standalone.settings import StandaloneSettings
from standalone.terminal import say

_OWNER = "SELECT user_id FROM conversations.conversations WHERE conversation_id = $1"
_STYLES = {
    "message": "bold",
    "person": "green",
    "effect": "cyan",
    "stop": "yellow",
    "note": "dim",
    "owner": "dim",
    "approval": "yellow",
    "undone": "cyan",
}


async def show_transcript(settings: StandaloneSettings, conversation: str) -> None:
    """Raises: `StartError` when there is no such conversation, or nothing runs."""
    database = running_database(settings)
    user_id = await _owner(database.admin_url, conversation)
    async with open_pool(database.url("conversations", "app"), "conversations") as pool:
        store, after = ConversationStore(pool), 0
        try:
            while True:
                page = await store.history(conversation, Caller(user_id=user_id), after, 200)
                for line in page.entries:
                    show_line(line)
                if page.next is None:
                    return
                after = page.next
        except Refused as refused:
            raise StartError(refused.message) from None


async def export_conversation(settings: StandaloneSettings, conversation: str) -> str:
    """All that is kept of a conversation, as JSON. Raises: `StartError` like the above."""
    database = running_database(settings)
    user_id = await _owner(database.admin_url, conversation)
    async with open_pool(database.url("conversations", "app"), "conversations") as pool:
        try:
            found = await ConversationStore(pool).export(conversation, Caller(user_id=user_id))
        except Refused as refused:
            raise StartError(refused.message) from None
    return json.dumps(found.model_dump(), indent=1)  # in ASCII: no terminal obeys it, and no character is lost


def show_line(line: HistoryLine) -> None:
    """A line of a transcript, in plain words."""
    say(f"{line.position:>4}  {line.kind:<8} {_told(line.kind, line.body)}", _STYLES.get(line.kind, ""))


def _told(kind: str, body: dict[str, Any]) -> str:
    if kind == "owner":
        who = body.get("person", body["speaker"])  # whose name a customer is not told
        return f"now speaks: {who}" if who else "waits for a person"
    if kind == "approval":
        text = body.get("text") or f"{body['tool']}: {body['status']}"
        return f"{text} ({body['approval']})" if "approval" in body else text
    if kind == "undone":
        refusal = f": {body['refusal']}" if body.get("refusal") else ""
        return f"{body['tool']} {body['status'].replace('_', ' ')}{refusal}"
    if kind == "packet":
        tried = ", ".join(f"{each['tool']} {each['status']}" for each in body.get("tried", []))
        waiting = ", ".join(f"{each['tool']} ({each['approval']})" for each in body.get("approvals", []))
        parts = [body["reason"], body["promised"] and f"promised: {body['promised']}", tried and f"tried: {tried}"]
        parts.append(waiting and f"waits for approval: {waiting}")
        return "; ".join(part for part in parts if part)
    return str(body.get("text") or " ".join(str(value) for value in body.values()))


async def _owner(admin_url: str, conversation: str) -> str:
    connection = await asyncpg.connect(admin_url)
    try:
        return await connection.fetchval(_OWNER, conversation) or "nobody"
    finally:
        await connection.close()
