"""The gateway with all that stands behind it, and what a client asks of it."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from standalone.ports import free_port
from standalone.watching import Frame, read_frames
from tests.parts.board import USER, Board, start_board
from tests.parts.conversations import ConversationsDatabase, conversations_database, start_conversations
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from tests.parts.signed import PRIVATE, PUBLIC
from tests.parts.tickets import tickets_database

OTHER = "user_67890"
STAFF_KEY = "another-secret-of-32-bytes-for-staff"
CALLERS = {"CALLER_KEYS": PUBLIC, "CALLER_ALGORITHM": "EdDSA", "TRUST_USER_ID": "false"}
DEMO = json.dumps([{"user_id": user_id, "name": f"Name of {user_id}"} for user_id in (USER, OTHER)])

OF_A_GATEWAY = {
    "SIGNING_KEY": PRIVATE,
    "NAMES_SECRET": "a-secret-of-32-bytes-for-the-tests",
    "DEMO_CUSTOMERS": DEMO,
}
"""What it must be told, wherever the others are."""


@dataclass
class Gate:
    """A running gateway; requests are those of one customer, unless another is named."""

    board: Board
    database: ConversationsDatabase
    service: Service
    rooms: dict[str, Service]
    env: Mapping[str, str]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user_id: str = USER,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> HttpReply:
        told = {"Authorization": f"Bearer demo-{user_id}"} | ({"Idempotency-Key": key} if key else {})
        return await request(method, self.service.address + path, body, told | dict(headers or {}), seconds=seconds)

    async def api(self, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
        """The body of an answer with this status."""
        reply = await self.ask(method, f"/api/v1{path}", body, **more)
        assert reply.status_code == status, (reply.status_code, reply.text)
        return json.loads(reply.text) if reply.text else None

    async def open(self, **more: Any) -> str:
        return (await self.api("POST", "/conversations", {}, status=201, **more))["id"]

    async def say(self, conversation: str, text: str, **more: Any) -> dict[str, Any]:
        return await self.api("POST", f"/conversations/{conversation}/inputs", {"text": text}, status=202, **more)

    @asynccontextmanager
    async def events(
        self, conversation: str, *, user_id: str = USER, after: str = ""
    ) -> AsyncGenerator[AsyncGenerator[tuple[str, Frame]]]:
        """The id and the content of each frame."""
        headers = {"Authorization": f"Bearer demo-{user_id}"} | ({"Last-Event-ID": after} if after else {})
        url = f"{self.service.address}/api/v1/conversations/{conversation}/events"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            yield read_frames(reply.content)


async def start_gate(
    restate: RestateServer,
    launch: Callable[..., Awaitable[Service]],
    postgres: PostgresServer,
    name: str,
    **settings: str,
) -> Gate:
    """`settings` are the gateway's."""
    database = await conversations_database(postgres, name)
    stored = {"CONVERSATIONS_DATABASE_URL": database.router}
    board = await start_board(restate, launch, **(CALLERS | stored | {"OPENAI_STREAM": "true"}))
    watch = str(free_port())
    conversations = await start_conversations(
        board, launch, database, **(CALLERS | {"WATCH_PORT": watch, "STAFF_KEYS": STAFF_KEY})
    )
    accepted = {"ACCEPTED_URL": f"{board.registry.url}/accepted"}
    kept = await tickets_database(postgres, f"{name}_tickets")
    tickets = await launch("tickets", DATABASE_URL=kept.app, **CALLERS, **accepted)
    await restate.register(tickets.url, force=True)
    env = {
        "RESTATE_INGRESS_URL": restate.ingress_url,
        "CONVERSATIONS_URL": f"http://127.0.0.1:{watch}",
        **OF_A_GATEWAY,
    } | settings
    service = await launch("gateway", **env)
    return Gate(board, database, service, {"conversations": conversations, "tickets": tickets}, env)
