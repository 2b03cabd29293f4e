"""What is measured: the variants with all their processes, started from nothing in a folder of their own."""

import asyncio
import functools
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt

from standalone.ports import free_port
from standalone.process import Process
from standalone.restate import tracing
from standalone.settings import StandaloneSettings
from tests.bench.code import PRESENT, Code
from tests.bench.cpu import Pids
from tests.bench.load import Target
from tests.bench.report import FLOOR
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

PASSWORD = "bench"
ROLES = {"users": ("owner", "app"), "tickets": ("owner", "app", "staff")}
SCRAPE_SECONDS = 30
"""The interval of the chart's PodMonitors."""
CALLER_KEY = "the-key-of-the-bench-long-enough-for-HS256"
QUESTION = "My API calls are failing, what's wrong with my account? Please create a ticket."
Names = tuple[str, ...]
KEPT = {"RESTATE_LISTEN_MODE", "RESTATE_DISABLE_TELEMETRY", "DO_NOT_TRACK"}
CUSTOMERS = [f"user_{number}" for number in range(10001, 10050)]
PARTITIONS: int = StandaloneSettings.model_fields["restate_partitions"].default


class BenchRestate(RestateServer):
    """With the settings that our one-machine shape ships or, but for addresses, as its makers ship it."""

    def __init__(self, data_dir: Path, *, as_made: bool, env: Mapping[str, str]) -> None:
        super().__init__(data_dir, partitions=PARTITIONS, env=env)
        if as_made:
            program = self.process.program
            env = {name: value for name, value in program.env.items() if "ADDRESS" in name or name in KEPT}
            self.process = Process(replace(program, env=env), data_dir)


@dataclass(frozen=True)
class Variant:
    """One of those that are compared: where it is asked, what it consists of, and whose journals are its own."""

    name: str
    restate: RestateServer
    target: Target
    pids: Pids
    journals: Names


class World:
    """PostgreSQL and the model, shared by all variants; each variant's own processes."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.postgres = PostgresServer(folder, free_port(), PASSWORD)
        self.model = Service("tests.bench.model", folder, {}, name="model")

    async def start(self) -> None:
        await self.postgres.start()
        self._stack.push_async_callback(self.postgres.stop, "immediate")
        await self._prepare(PRESENT)
        self.postgres.psql(
            "CREATE SCHEMA bench",
            "CREATE TABLE bench.tickets (ticket_id text PRIMARY KEY, user_id text NOT NULL, subject text NOT NULL, "
            "description text NOT NULL, status text NOT NULL DEFAULT 'open', "
            "created_at timestamptz NOT NULL DEFAULT now())",
        )
        await self.run(self.model)

    async def _prepare(self, code: Code) -> None:
        """Roles, schemas and customers in its database, by its own commands."""
        for room, roles in ROLES.items():
            passwords = {f"{room}_{role}_password".upper(): PASSWORD for role in roles}
            admin = {"ADMIN_DATABASE_URL": self.postgres.url(code.database)}
            await code.command(room, "provision", env=admin | passwords)
            await code.command(room, "migrate", env=self._owner(code, room))
        await code.command("users", "seed", env=self._owner(code, "users"))

    def _owner(self, code: Code, room: str) -> dict[str, str]:
        return {"MIGRATION_DATABASE_URL": self._url(code, f"{room}_owner")}

    def _url(self, code: Code, role: str) -> str:
        return self.postgres.url(code.database).replace(f"postgres:{PASSWORD}", f"{role}:{PASSWORD}")

    async def run(self, service: Service) -> Service:
        """Starts it, and ends it with the rest."""
        await service.start()
        self._stack.push_async_callback(service.stop, 5)
        return service

    async def restate(self, name: str, *, as_made: bool = False, env: Mapping[str, str] | None = None) -> RestateServer:
        server = BenchRestate(self.folder / name, as_made=as_made, env=env or {})
        await server.start()
        self._stack.push_async_callback(server.kill)
        return server

    async def baseline(self, name: str, restate: RestateServer) -> Variant:
        """Offers the model the same tools as ours, so one of ours has to have run before."""
        service = await self.run(
            Service(
                "tests.bench.baseline",
                self.folder,
                {"DATABASE_URL": self.postgres.admin_url, "TOOLS": json.dumps(await self.offered())} | self._openai(),
                name=name,
            )
        )
        await restate.register(service.url)
        target = Target(f"{restate.ingress_url}/PlainAgent/run", _question, "I created a ticket")
        return self._variant(name, restate, target, {"agent": service}, ("PlainAgent", "PlainTickets"))

    async def offered(self) -> list[Any]:
        """The tools of the latest model call."""
        return (await request("GET", self.model.address)).json()["tools"]

    async def floor(self, restate: RestateServer, entries: int) -> Variant:
        """`entries` is how many a run of ours journals; a step makes two, input and output two more."""
        service = await self.run(Service("tests.bench.floor", self.folder, {}, name="floor"))
        await restate.register(service.url)
        body = {"steps": round((entries - 2) / 2)}
        target = Target(f"{restate.ingress_url}/Floor/run", lambda _: body, "done")
        return self._variant(FLOOR, restate, target, {"agent": service}, ("Floor",))

    async def former(self, code: Code) -> Variant:
        """The same topology by a former commit's code, on a Restate server and a database of its own."""
        self.postgres.database(code.database)
        await self._prepare(code)
        return await self.ours(code.name, await self.restate(code.database), code=code)

    async def ours(
        self,
        name: str,
        restate: RestateServer,
        own: Mapping[str, dict[str, str]] | None = None,
        code: Code = PRESENT,
        **env: str,
    ) -> Variant:
        """The real topology: router, users, tickets and registry, each a process; the first on its Restate server.

        `own` are settings by room.
        """
        own = own or {}
        env |= code.env
        registry_port = free_port()
        wanted: dict[str, dict[str, str]] = {
            "users": {"DATABASE_URL": self._url(code, "users_app")},
            "tickets": {"DATABASE_URL": self._url(code, "tickets_app")},
            "router": {
                "CALLER_KEYS": CALLER_KEY,
                "CATALOGUE_URL": f"http://127.0.0.1:{registry_port}/tools",
            }
            | self._openai(),
        }
        services = {
            module: await self.run(
                Service(module, self.folder, settings | env | own.get(module, {}), name=f"{module}-{name}")
            )
            for module, settings in wanted.items()
        }
        deployments = ",".join(f"{module}={service.url}" for module, service in services.items())
        services["registry"] = await self.run(
            Service(
                "registry",
                self.folder,
                {"RESTATE_ADMIN_URL": restate.admin_url, "DEPLOYMENTS": deployments}
                | code.env
                | own.get("registry", {}),
                name=f"registry-{name}",
                port=registry_port,
            )
        )
        await _offered(services["registry"].address, "query_user_database", "create_support_ticket")
        await asyncio.sleep(2.5)  # the router polls every two seconds
        target = Target(f"{restate.ingress_url}/ToolRouter/route", _proven_question, '"outcome":"answered"')
        for service in services.values():
            await code.prove(service.pid or 0)
        names = tuple(row["name"] for row in await restate.query("SELECT name FROM sys_service"))
        return self._variant(name, restate, target, services, names)

    async def observed(self, name: str) -> Variant:
        """Ours, with a collector that takes every span, and all processes scraped as the chart has it done."""
        collector = await self.run(Service("tests.bench.collector", self.folder, {}, name="collector"))
        restate = await self.restate("observed", env=tracing(collector.address))
        ports = {room: str(free_port()) for room in ("users", "tickets", "router", "registry")}
        scraped = {room: {"METRICS_PORT": port} for room, port in ports.items()}
        pages = [f"http://127.0.0.1:{port}/metrics" for port in ports.values()]
        scraping = asyncio.create_task(_scrape([*pages, restate.metrics_url]))
        self._stack.callback(scraping.cancel)
        return await self.ours(name, restate, scraped, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)

    def _openai(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": f"{self.model.address}/v1", "OPENAI_API_KEY": "bench"}

    def _variant(
        self,
        name: str,
        restate: RestateServer,
        target: Target,
        services: Mapping[str, Service],
        journals: tuple[str, ...],
    ) -> Variant:
        parts = {"restate": restate.process, **services, "postgres": self.postgres.process, "model": self.model}
        return Variant(name, restate, target, {part: process.pid or 0 for part, process in parts.items()}, journals)


@functools.cache
def _token(customer: str, five_minutes: int) -> str:
    now = five_minutes * 300
    claims = {"sub": customer, "aud": "switchboard", "iat": now, "exp": now + 600}
    return jwt.encode(claims, CALLER_KEY)


def _proven_question(number: int) -> dict[str, Any]:
    """As in production: the caller is proven by a token, which the baseline does not ask for."""
    return {"message": QUESTION, "caller_token": _token(CUSTOMERS[number % len(CUSTOMERS)], int(time.time()) // 300)}


def _question(number: int) -> dict[str, Any]:
    return {"message": QUESTION, "user_id": CUSTOMERS[number % len(CUSTOMERS)]}


async def _offered(registry: str, *tools: str) -> None:
    async with asyncio.timeout(30):
        while True:
            reply = await request("GET", f"{registry}/tools")
            if reply.status_code == 200 and {tool["name"] for tool in reply.json()["tools"]} >= set(tools):
                return
            await asyncio.sleep(0.2)


async def _scrape(pages: list[str]) -> None:
    while True:
        for page in pages:
            await request("GET", page)
        await asyncio.sleep(SCRAPE_SECONDS)


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World]:
    async with AsyncExitStack() as stack:
        made = World(folder, stack)
        await made.start()
        yield made


async def journal(variant: Variant) -> tuple[float, float]:
    """Entries and bytes that all journals of this variant hold."""
    names = ", ".join(f"'{name}'" for name in variant.journals)
    rows = await variant.restate.query(
        "SELECT count(1) AS entries, sum(raw_length) AS bytes FROM sys_journal WHERE id IN "
        f"(SELECT id FROM sys_invocation_status WHERE target_service_name IN ({names}))"
    )
    return float(rows[0]["entries"]), float(rows[0]["bytes"] or 0)


async def model_calls(world: World) -> tuple[int, float]:
    """How many calls the model has served so far, and how many seconds it took for all of them."""
    told = (await request("GET", world.model.address)).json()
    return told["calls"], told["seconds"]


async def set_latency(world: World, seconds: float) -> None:
    await request("PUT", f"{world.model.address}/latency", str(seconds).encode())
