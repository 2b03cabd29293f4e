"""What was said in a conversation, read from the database of this machine: for whoever tries it by hand."""

import json

import asyncpg

from contracts import Caller
from conversations.store import ConversationStore
from runtime.errors import Refused
from runtime.postgres import open_pool
from standalone.database import running_database
from standalone.process import StartError
from standalone.settings import StandaloneSettings
from standalone.terminal import say

_OWNER = "SELECT user_id FROM conversations.conversations WHERE conversation_id = $1"
_COLOURS = {"message": "bold", "answer": "", "effect": "cyan", "stop": "yellow", "note": "dim"}


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
                    text = line.body.get("text") or " ".join(str(value) for value in line.body.values())
                    say(f"{line.position:>4}  {line.kind:<8} {text}", _COLOURS.get(line.kind, ""))
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


async def _owner(admin_url: str, conversation: str) -> str:
    connection = await asyncpg.connect(admin_url)
    try:
        return await connection.fetchval(_OWNER, conversation) or "nobody"
    finally:
        await connection.close()
