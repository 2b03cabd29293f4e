"""The ticket services and what is around them: their database, the receiver of their webhooks, the staff's command."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiohttp import web
from yarl import URL

from runtime.caller import PROMPT_HEADER
from runtime.postgres import migrate, provision
from standalone.ports import free_port
from tests.parts import nursery
from tests.parts.desk import staff_token
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from tests.parts.signed import told_for
from tickets.store import MIGRATIONS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROLES = ("owner", "app", "staff")
BUG = {"user_id": "user_1", "subject": "Empty dashboard", "description": "The chart shows a bug since this morning."}


_PERSON = """
DO $$ BEGIN
    CREATE ROLE {person} LOGIN PASSWORD 'secret' IN ROLE tickets_staff;
EXCEPTION WHEN duplicate_object OR unique_violation OR internal_error THEN
    NULL;  -- made before, or just now by another test
END $$
"""


@dataclass(frozen=True)
class TicketsDatabase:
    """A fresh database with the schema `tickets`, and its URLs."""

    admin: str
    owner: str
    app: str
    staff: str

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.admin, server_settings={"search_path": "tickets"})
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def login(self, person: str) -> str:
        """The URL of one of the staff, who has a role of their own."""
        if self.admin:
            await self.rows(_PERSON.format(person=person))
        return str(URL(self.staff).with_user(person))

    async def count(self, table: str, key: str) -> int:
        join = "" if table == "tickets" else "JOIN tickets USING (ticket_id)"
        return len(await self.rows(f"SELECT 1 FROM {table} {join} WHERE workflow_key = $1", key))


@dataclass
class WebhookReceiver:
    """What a webhook's receiver saw; answers `status`, unless `replies` holds others for the next messages."""

    url: str
    seen: list[tuple[dict[str, str], str]] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)
    status: int = 200
    accepted: list[str] = field(default_factory=list)
    """The ids of the messages that it took, each as often as it did."""

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((headers, await request.text()))
        status = self.replies.pop(0) if self.replies else self.status
        if status < 300:
            self.accepted.append(headers["webhook-id"])
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})

    def of(self, ticket_id: str) -> list[tuple[dict[str, str], str]]:
        return [(headers, body) for headers, body in self.seen if json.loads(body)["data"]["ticket_id"] == ticket_id]

    async def wait_for(self, ticket_id: str, count: int) -> list[tuple[dict[str, str], str]]:
        deadline = time.monotonic() + 30
        while len(self.of(ticket_id)) < count:
            assert time.monotonic() < deadline, f"{len(self.of(ticket_id))} of {count} messages after 30 s"
            await asyncio.sleep(0.05)
        return self.of(ticket_id)


async def tickets_database(postgres: PostgresServer, name: str) -> TicketsDatabase:
    admin = postgres.database(name)
    await provision(admin, "tickets", dict.fromkeys(ROLES, "secret"))
    address = admin.split("@", 1)[1]
    urls = TicketsDatabase(admin, *(f"postgresql://tickets_{role}:secret@{address}" for role in ROLES))
    assert await migrate(urls.owner, "tickets", MIGRATIONS) > 0
    return urls


@asynccontextmanager
async def webhook_receiver() -> AsyncGenerator[WebhookReceiver]:
    port = free_port()
    sink = WebhookReceiver(f"http://127.0.0.1:{port}/hook")
    app = web.Application()
    app.router.add_post("/hook", sink.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield sink
    await runner.cleanup()


@dataclass(frozen=True)
class TicketServices:
    """The ticket services behind Restate; in tests their private handlers are opened."""

    restate: RestateServer

    async def register(self, service: Service) -> None:
        for name in await self.restate.register(service.url, force=True):
            reply = await request("PATCH", f"{self.restate.admin_url}/services/{name}", {"public": True})
            assert reply.status_code == 200, reply.text

    async def create(
        self,
        key: str | None = None,
        body: Any = BUG,
        caller: str = "",
        prompt: str | None = None,
        conversation: str = "",
    ) -> HttpReply:
        told = told_for("SupportTicketWorkflow", caller or user_of(body), conversation=conversation)
        told |= {} if prompt is None else {PROMPT_HEADER: prompt}
        return await self.restate.call("SupportTicketWorkflow", "run", body, key=key or uuid.uuid4().hex, headers=told)

    async def tool(self, handler: str, caller: str = "", **body: Any) -> HttpReply:
        return await self.restate.call("Tickets", handler, body, headers=told_for("Tickets", caller or user_of(body)))


def user_of(body: Any) -> str:
    return str(body.get("user_id", "")) if isinstance(body, dict) else ""


async def staff(
    database: TicketsDatabase, *arguments: str, person: str = "dana", at: RestateServer | None = None, **env: str
) -> tuple[int, str, str]:
    """The staff's command. `at`: where that person may act, too, by a staff token of their own."""
    acting = {} if at is None else {"RESTATE_INGRESS_URL": at.ingress_url, "STAFF_TOKEN": staff_token(person)}
    return await command("staff", *arguments, STAFF_DATABASE_URL=await database.login(person), **acting | env)


async def command(*arguments: str, **env: str) -> tuple[int, str, str]:
    return await nursery.run("tickets", *arguments, env=env)
