"""All parts of the product, kept running by restarts while faults hit them, and what a client asks of them."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import jwt
from aiohttp import web

from demo_model.status_page import summary
from standalone.database import Database, read_passwords
from standalone.ports import free_port
from standalone.process import Process
from standalone.restate import tracing
from tests.parts.otlp import Receiver
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from tests.parts.signed import PRIVATE, PUBLIC
from tests.sweep.points import Orders

LATENCY_SECONDS = 0.08
"""Of everything outside: the model, the status page, the receiver of webhooks."""

DEADLINE_SECONDS = 60.0
DRAIN_SECONDS = 3.0
CUSTOMERS = 2000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

STAFF_KEY = "the-key-of-the-sweep-long-enough-for-staff"
BELIEVING = {"TRUST_USER_ID": "true", "CALLER_KEYS": PUBLIC, "CALLER_ALGORITHM": "EdDSA"}
VISITORS = [f"customer_{number}" for number in range(1501, CUSTOMERS)]
"""Who may come in by the gateway."""

_COPY_A_CUSTOMER = """
INSERT INTO users.customers
SELECT 'customer_' || n, name, email, company, country, plan, status, customer_since, trial_ends_on
FROM users.customers, generate_series(1, {count}) AS n WHERE user_id = 'user_12345'
"""


_COPY_AN_INVOICE = """
INSERT INTO users.invoices
SELECT 'INV-SWEEP-' || n, 'customer_' || n, amount_cents, currency, status, issued_on, due_on, paid_on
FROM users.invoices, generate_series(1, {count}) AS n WHERE invoice_id = 'INV-12345-006'
"""


class Outside:
    """What the product talks to and does not own: a status page, and a receiver that remembers message ids."""

    def __init__(self) -> None:
        self.messages: dict[str, list[str]] = defaultdict(list)
        """Message ids by the subject of the ticket."""
        self._contents: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.url = ""

    def of(self, ticket_id: str) -> dict[str, set[str]]:
        """What was told of a ticket: the contents that came under each message id."""
        return self._contents[ticket_id]

    async def status(self, _: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY_SECONDS)
        return web.json_response(summary(datetime.now(UTC)))

    async def webhook(self, request: web.Request) -> web.Response:
        body, message_id = await request.json(), request.headers["webhook-id"]
        self.messages[body["data"]["subject"]].append(message_id)
        self._contents[body["data"]["ticket_id"]][message_id].add(await request.text())
        await asyncio.sleep(LATENCY_SECONDS)
        return web.Response()


@asynccontextmanager
async def outside() -> AsyncGenerator[Outside]:
    made = Outside()
    app = web.Application()
    app.add_routes([web.get("/summary.json", made.status), web.post("/webhook", made.webhook)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"http://127.0.0.1:{port}"
    yield made
    await runner.cleanup()


class SweepWorld:
    """The parts. `start` makes them and keeps each running until the stack unwinds.

    `router`, `registry` and `tickets` are settings of these; with `door` there is a gateway, too.
    """

    def __init__(
        self,
        folder: Path,
        out: Outside,
        stack: AsyncExitStack,
        *,
        always_replay: bool = False,
        server: str = "",
        router: Mapping[str, str] | None = None,
        registry: Mapping[str, str] | None = None,
        tickets: Mapping[str, str] | None = None,
        door: bool = False,
    ) -> None:
        self.outside = out
        self.receiver = Receiver()
        self.orders = Orders(folder / "orders")
        passwords = read_passwords(folder)
        self.postgres = PostgresServer(folder, free_port(), passwords["postgres"])
        traced = tracing(self.receiver.url)
        self.restate = RestateServer(folder, always_replay=always_replay, env=traced)
        self._database = Database(self.postgres.admin_url, passwords)
        self._folder = folder
        self._stack = stack
        self._server = server
        self._ended: dict[str, float] = {}
        self._back: dict[str, float] = {}
        self._keep_away: dict[str, float] = {}
        self.model = Service("demo_model", folder, {"LATENCY_SECONDS": str(LATENCY_SECONDS)})
        self.registry = Service(
            "registry",
            folder,
            {
                "RESTATE_ADMIN_URL": self.restate.admin_url,
                "CATALOGUE_POLL_SECONDS": "0.3",
                "WANTED_DEPLOYMENTS_FILE": str(folder / "wanted"),
                **(registry or {}),
            },
        )
        self._wanted = folder / "wanted"
        watch_port = str(free_port())
        self.services = {
            "users": self._faulted("users", DATABASE_URL=self._database.url("users", "app")),
            "tickets": self._faulted(
                "tickets",
                DATABASE_URL=self._database.url("tickets", "app"),
                WEBHOOK_URL=f"{out.url}/webhook",
                WEBHOOK_SECRET=SECRET,
                **(tickets or {}),
            ),
            "router": self._faulted(
                "router",
                OPENAI_BASE_URL=f"{self.model.url}/v1",
                OPENAI_MODEL="demo",
                CATALOGUE_URL=f"{self.registry.url}/tools",
                CATALOGUE_SECONDS="0.3",
                STATUS_URL=f"{out.url}/summary.json",
                **BELIEVING,
                CUSTOMER_CHECK="UserDatabase/is_customer",
                CONVERSATIONS_DATABASE_URL=self._database.url("conversations", "router"),
                **(router or {}),
            ),
            "conversations": self._faulted(
                "conversations",
                DATABASE_URL=self._database.url("conversations", "app"),
                ACCEPTED_URL=f"{self.registry.url}/accepted",
                JOURNALS_URL=f"{self.registry.url}/journals",
                **BELIEVING,
                WATCH_PORT=watch_port,
                COALESCE_MS="100",
                STAFF_KEYS=STAFF_KEY,
            ),
        }
        if door:
            self.services["gateway"] = self._faulted(
                "gateway",
                RESTATE_INGRESS_URL=self.restate.ingress_url,
                CONVERSATIONS_URL=f"http://127.0.0.1:{watch_port}",
                SIGNING_KEY=PRIVATE,
                NAMES_SECRET=STAFF_KEY,
                DEMO_CUSTOMERS=json.dumps([{"user_id": each, "name": each} for each in VISITORS]),
            )

    def _faulted(self, name: str, **env: str) -> Service:
        env |= {
            "FAULT_ORDERS": str(self.orders.folder),
            "DRAIN_SECONDS": str(DRAIN_SECONDS),
            "SERVER": self._server,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.url,
        }
        return Service("tests.sweep.faulted", self._folder, env, name=name, arguments=[name])

    async def start(self) -> None:
        await self.receiver.start()
        self._stack.push_async_callback(self.receiver.stop)
        await self._keep(self.postgres.process, self.postgres.start)
        await self._database.prepare()
        self.postgres.psql(_COPY_A_CUSTOMER.format(count=CUSTOMERS), _COPY_AN_INVOICE.format(count=CUSTOMERS))
        await self._keep(self.restate.process, self.restate.start)
        await self._keep(self.model, self.model.start)
        self._wanted.write_text(",".join(f"{name}={service.url}" for name, service in self.services.items()))
        await self._keep(self.registry, self.registry.start)
        await self._serve("users")
        await self._serve("tickets")
        await self._until(self._offers, "the tools are on offer")
        await self._serve("router")
        await self._serve("conversations")
        if gateway := self.services.get("gateway"):
            await self._keep(gateway, gateway.start)

    async def _serve(self, name: str) -> None:
        service = self.services[name]
        await self._keep(service, service.start)
        await self.restate.register(service.url)

    async def _keep(self, process: Process, start: Callable[[], Awaitable[None]]) -> None:
        await start()
        keeper = asyncio.create_task(self._start_again_for_ever(process, start))

        async def end() -> None:
            keeper.cancel()
            await process.kill()

        self._stack.push_async_callback(end)

    async def _start_again_for_ever(self, process: Process, start: Callable[[], Awaitable[None]]) -> None:
        while True:
            await process.wait()
            name = process.program.name
            self._ended[name] = time.time()
            await asyncio.sleep(self._keep_away.pop(name, 0))
            self._back[name] = time.time()
            await start()

    def keep_away(self, name: str, seconds: float) -> None:
        """When this process ends next, it is started again only after so many seconds."""
        self._keep_away[name] = seconds

    async def away_for(self, name: str, since: float) -> float:
        """How long this process was away after `since`; waits until it is started again."""

        async def back() -> bool:
            return self._back.get(name, 0) > since

        await self._until(back, f"{name} is started again")
        return self._back[name] - self._ended[name]

    async def ended_at(self, name: str, since: float) -> float:
        """When this process ended for the last time; waits until that was after `since`."""

        async def ended() -> bool:
            return self._ended.get(name, 0) > since

        await self._until(ended, f"{name} has ended")
        return self._ended[name]

    async def _offers(self) -> bool:
        reply = await request("GET", f"{self.registry.url}/tools")
        names = {tool["name"] for tool in reply.json().get("tools", [])}
        return names >= {"query_user_database", "create_support_ticket", "refund_invoice"}

    async def healthy(self) -> None:
        """Returns once everything answers."""
        for process in (self.postgres.process, self.restate.process, *self.services.values()):
            await self._until(process.program.ready, f"{process.program.name} is ready")

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not await _tried(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {DEADLINE_SECONDS:.0f} s: {what}")
            await asyncio.sleep(0.03)

    async def script(self, message: str, replies: list[dict[str, Any]]) -> None:
        reply = await request("POST", f"{self.model.url}/admin/script", {"match": message, "replies": replies})
        assert reply.status_code == 200, reply.text

    async def ask(self, number: int, message: str) -> HttpReply:
        """As a client should: with an idempotency key, again and again until there is an answer.

        Each number is another customer, so that none is known to the router already.
        """
        body = {"message": message, "user_id": f"customer_{number}"}
        return await answered(
            lambda: self.restate.call("ToolRouter", "route", body, idempotency_key=message, seconds=30)
        )

    async def tell(self, conversation: str, body: dict[str, Any]) -> HttpReply:
        """An input, as a client should send it: the same again and again until there is an answer."""
        return await answered(lambda: self.restate.call("Conversation", "input", body, key=conversation, seconds=30))

    async def ask_as_staff(self, target: str, body: dict[str, Any], *, key: str | None = None, once: str) -> HttpReply:
        """As a member of staff should: with an idempotency key, again and again until there is an answer."""
        service, handler = target.split("/")
        told = {"staff_token": _staff_token(), **body}
        return await answered(
            lambda: self.restate.call(service, handler, told, key=key, idempotency_key=once, seconds=30)
        )

    async def until_counted(self, count: int, sql: str, what: str) -> None:
        """Returns once so many rows are there."""

        async def counted() -> bool:
            return self.postgres.psql(sql).strip() == str(count)

        await self._until(counted, what)

    async def read(self, sql: str) -> str:
        """What psql says, as soon as the database answers: it may be what was killed."""
        found: list[str] = []

        async def answered() -> bool:
            found.append(self.postgres.psql(sql).strip())
            return True

        await self._until(answered, "the database answers")
        return found[-1]

    async def settled(self, conversation: str, inputs: int) -> None:
        """Returns once so many inputs are in a run, and all runs are over."""
        its = f"conversation_id = '{conversation}'"
        left = (
            f"SELECT {inputs} - count(*) FROM conversations.inputs WHERE {its} AND state = 'taken'",
            f"SELECT count(*) FROM conversations.runs WHERE {its} AND state <> 'ended'",
            f"SELECT count(*) FROM conversations.conversations WHERE {its} AND run <> ''",
        )

        async def nothing_is_left() -> bool:
            return self.postgres.psql(*left).split() == ["0"] * len(left)

        await self._until(nothing_is_left, f"every input of {conversation} is in a run that is over")

    async def notified(self, subject: str) -> None:
        """Returns once the receiver has heard of a ticket: what one part of Restate sends to another is in none of
        its tables while it is under way, so `idle` alone could come too early."""

        async def heard() -> bool:
            return bool(self.outside.messages[subject])

        await self._until(heard, f"a notification about: {subject}")

    async def told(self, ticket_id: str, messages: int) -> None:
        """Returns once the receiver has heard so many messages about a ticket."""

        async def heard() -> bool:
            return len(self.outside.of(ticket_id)) >= messages

        await self._until(heard, f"{messages} messages about {ticket_id}")

    async def idle(self) -> None:
        """Returns once no invocation is open; says which are when that does not come."""
        left: list[dict[str, Any]] = []

        async def nothing_is_open() -> bool:
            left[:] = await self.restate.open_invocations()
            return not left

        try:
            await self._until(nothing_is_open, "nothing is open")
        except TimeoutError:
            raise TimeoutError(f"still open: {left}") from None

    async def failures(self) -> list[str]:
        """Every invocation that ended in an error, ever."""
        query = "select target, completion_failure from sys_invocation where completion_result = 'failure'"
        return [f"{row['target']}: {row['completion_failure']}" for row in await self.restate.query(query)]

    async def ticket_workflows(self) -> set[str]:
        """The tickets that Restate was ever given to make, by the ids of their invocations."""
        query = "select id from sys_invocation where target_service_name = 'SupportTicketWorkflow'"
        return {row["id"] for row in await self.restate.query(query)}

    async def asked_the_model(self, message: str, times: int) -> None:
        """Returns once the model was asked so often about a message."""

        async def asked() -> bool:
            return len(await self.model_calls(message)) >= times

        await self._until(asked, f"{times} model calls")

    async def model_calls(self, message: str) -> list[dict[str, Any]]:
        reply = await request("GET", f"{self.model.url}/admin/ledger?match={quote(message)}")
        return reply.json()["calls"]

    async def told_the_model(self, message: str) -> list[dict[str, Any]]:
        """The messages that the model was sent last about one."""
        reply = await request("GET", f"{self.model.url}/admin/conversation?match={quote(message)}")
        return reply.json()["messages"]


def _staff_token() -> str:
    now = int(time.time())
    claims = {"sub": "anna", "aud": "switchboard-staff", "iat": now, "exp": now + 300, "roles": ["approver"]}
    return jwt.encode(claims, STAFF_KEY, "HS256")


def _is_restates_own(reply: HttpReply) -> bool:
    return reply.headers.get("x-restate-error-source") == "ingress"


async def answered(
    send: Callable[[], Awaitable[HttpReply]], is_none: Callable[[HttpReply], bool] = _is_restates_own
) -> HttpReply:
    """What the product answers, not what stands in front of it while it is away."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            reply = await send()
            if not is_none(reply):
                return reply
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer within {DEADLINE_SECONDS:.0f} s")
        await asyncio.sleep(0.05)


async def _tried(condition: Callable[[], Awaitable[bool]]) -> bool:
    """What cannot be asked at the moment is not so yet."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, AssertionError):
        return await condition()
    return False


@asynccontextmanager
async def world(
    folder: Path,
    *,
    always_replay: bool = False,
    server: str = "",
    router: Mapping[str, str] | None = None,
    registry: Mapping[str, str] | None = None,
    tickets: Mapping[str, str] | None = None,
    door: bool = False,
) -> AsyncGenerator[SweepWorld]:
    """`router`, `registry` and `tickets` are settings of these; with `door` there is a gateway, too."""
    async with outside() as out, AsyncExitStack() as stack:
        made = SweepWorld(
            folder,
            out,
            stack,
            always_replay=always_replay,
            server=server,
            router=router,
            registry=registry,
            tickets=tickets,
            door=door,
        )
        await made.start()
        yield made
