"""The room of the conversations: its database, and what a client of it does."""

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from conversations.store import MIGRATIONS
from runtime.postgres import migrate, provision
from standalone.ports import free_port
from tests.parts.board import USER, Board, until
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply
from tests.parts.service import Service

ROLES = ("owner", "app", "router")


@dataclass(frozen=True)
class ConversationsDatabase:
    """A fresh database with the schema `conversations`, and its URLs."""

    admin: str
    owner: str
    app: str
    router: str

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.admin, server_settings={"search_path": "conversations"})
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()


async def conversations_database(postgres: PostgresServer, name: str) -> ConversationsDatabase:
    admin = postgres.database(name)
    await provision(admin, "conversations", dict.fromkeys(ROLES, "secret"))
    address = admin.split("@", 1)[1]
    urls = (f"postgresql://conversations_{role}:secret@{address}" for role in ROLES)
    database = ConversationsDatabase(admin, *urls)
    assert await migrate(database.owner, "conversations", MIGRATIONS) > 0
    return database


@dataclass
class Talk:
    """One conversation of one customer, as a client has it."""

    board: Board
    database: ConversationsDatabase
    user_id: str = USER
    key: str = ""

    def __post_init__(self) -> None:
        self.key = self.key or f"conv_{uuid.uuid4().hex}"

    async def send(self, body: dict[str, Any], key: str | None = None) -> HttpReply:
        return await self.board.restate.call("Conversation", "input", body, key=key or self.key)

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        """A message; what became of it."""
        body = {"text": text, "input_id": uuid.uuid4().hex, "user_id": self.user_id} | more
        reply = await self.send(body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def stop(self) -> dict[str, Any]:
        reply = await self.send({"type": "stop", "input_id": uuid.uuid4().hex, "user_id": self.user_id})
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def entries(self, *kinds: str) -> list[dict[str, Any]]:
        rows = await self.database.rows(
            "SELECT position, kind, run, body FROM entries WHERE conversation_id = $1 ORDER BY position", self.key
        )
        return [row | {"body": json.loads(row["body"])} for row in rows if not kinds or row["kind"] in kinds]

    async def texts(self, *kinds: str) -> list[str]:
        return [entry["body"].get("text", "") for entry in await self.entries(*kinds)]

    async def answers(self, count: int = 1, seconds: float = 60) -> list[str]:
        """The answers, once there are so many."""

        async def enough() -> list[str]:
            texts = await self.texts("answer")
            return texts if len(texts) >= count else []

        return await until(enough, seconds)

    async def control(self) -> dict[str, Any]:
        """The state of the object, as Restate keeps it."""
        sql = f"select value_utf8 from state where service_name = 'Conversation' and service_key = '{self.key}'"
        rows = await self.board.restate.query(sql)
        return json.loads(rows[0]["value_utf8"]) if rows else {}

    async def settled(self, seconds: float = 60) -> None:
        """Returns when no run is active."""

        async def idle() -> bool:
            return not (await self.control()).get("active")

        await until(idle, seconds)


async def start_conversations(
    board: Board, launch: Callable[..., Awaitable[Service]], database: ConversationsDatabase, **settings: str
) -> Service:
    told = {
        "DATABASE_URL": database.app,
        "ACCEPTED_URL": f"{board.registry.url}/accepted",
        "JOURNALS_URL": f"{board.registry.url}/journals",
        "TRUST_USER_ID": "true",
        "WATCH_PORT": str(free_port()),
    }
    service = await launch("conversations", **(told | settings))
    await board.restate.register(service.url, force=True)
    return service


async def open_back_door(board: Board) -> None:
    """From now on `through_back_door` works."""
    service = await board.launch("tests.parts.back_door")
    await board.restate.register(service.url, force=True)


async def through_back_door(board: Board, handler: str, key: str, **body: Any) -> HttpReply:
    """Calls a private handler of a conversation."""
    through = {"service": "Conversation", "handler": handler, "key": key, "body": body}
    return await board.restate.call("BackDoor", "call", through)
