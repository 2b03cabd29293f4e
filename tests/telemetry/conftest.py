"""Everything at once and for real: the product, Restate, PostgreSQL, a Prometheus with the alerts, a collector."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from standalone.database import Database, read_passwords
from standalone.ports import free_port
from standalone.restate import tracing
from standalone.signals import ROOMS
from tests.conftest import start
from tests.parts.board import calls
from tests.parts.fake_rooms import OF_A_CONSOLE
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.issuer import AUDIENCE, FakeIssuer, fake_issuer
from tests.parts.otlp import Receiver
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.prometheus import PrometheusServer, need_prometheus
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from tests.parts.signed import PUBLIC
from tests.telemetry import scaled
from tests.telemetry.scaled import Rule, rule_of

Launch = Callable[..., Awaitable[Service]]

USER = "user_12345"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STAFF_KEY = "a-secret-of-32-bytes-for-the-staff"
BY_THE_DOOR = {"CALLER_KEYS": PUBLIC, "CALLER_ALGORITHM": "EdDSA"}
"""Beside plain user ids, who comes by the gateway is believed."""
SETTLE_SECONDS = 45


Service.forks = False


class Hook:
    """Receives webhooks, and answers them with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, _: web.Request) -> web.Response:
        return web.Response(status=self.status)


class Stage:
    """The parts, and what a scenario does to them."""

    def __init__(self, folder: Path, launch: Launch) -> None:
        self.folder = folder
        self.receiver = Receiver()
        self.hook = Hook()
        self.issuer = FakeIssuer()
        self._kept = AsyncExitStack()
        passwords = read_passwords(folder)
        self.postgres = PostgresServer(folder, free_port(), passwords["postgres"])
        self.restate = RestateServer(folder, env=tracing(self.receiver.url))
        self._served_at = {room: free_port() for room in ROOMS}
        self.watch_port = free_port()
        self.ports = {room: free_port() for room in ROOMS}
        """Of the metrics, by job."""
        self.services: dict[str, Service] = {}
        self._modules: dict[str, str] = {}
        self.began = 0.0
        """When everything was up and had been scraped."""
        self._launch = launch
        self._database = Database(self.postgres.admin_url, passwords)
        jobs = self.ports | {"restate": urlsplit(self.restate.metrics_url).port or 0}
        (folder / "alerts").mkdir()
        self.prometheus = PrometheusServer(folder, jobs, scaled.write(folder / "alerts"))

    async def start(self) -> None:
        self.issuer = await self._kept.enter_async_context(fake_issuer())
        await asyncio.gather(
            *(self.receiver.start(), self.hook.start()),
            *(start(each) for each in (self.postgres, self.restate, self.prometheus)),
        )
        await self._database.prepare()
        tools, marks, *services = await asyncio.gather(
            self._launch("tests.parts.example_tools"),
            self._launch("tests.parts.undo_tools"),
            *(self._serve(name, env) for name, env in self._settings().items()),
        )
        self.services = {service.program.name: service for service in services}
        for each in (tools, marks):
            await self.restate.register(each.url)
        await eventually(self._offers_everything, SETTLE_SECONDS)
        await self.prometheus.wait_for(f"count(up == 1) == {len(self.ports) + 1}", SETTLE_SECONDS)
        await self.after_scrapes(3)
        self.began = time.time()

    def _settings(self) -> dict[str, dict[str, str]]:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.url}
        accepted = {"ACCEPTED_URL": f"{self._url('registry')}/accepted"}
        model = self._url("demo_model")
        return {
            "demo_model": {},
            "users": {"DATABASE_URL": self._database.url("users", "app")} | accepted | traced,
            "tickets": {
                "DATABASE_URL": self._database.url("tickets", "app"),
                "WEBHOOK_URL": self.hook.url,
                "WEBHOOK_SECRET": WEBHOOK_SECRET,
                "COUNT_SECONDS": "1",
            }
            | accepted
            | traced,
            "conversations": {
                "DATABASE_URL": self._database.url("conversations", "app"),
                "JOURNALS_URL": f"{self._url('registry')}/journals",
                "TRUST_USER_ID": "true",
                "WATCH_PORT": str(self.watch_port),
                "PERSON_MINUTES": "0.02",
                "COUNT_SECONDS": "1",
                "STAFF_KEYS": STAFF_KEY,
            }
            | BY_THE_DOOR
            | accepted
            | traced,
            "gateway": {
                "RESTATE_INGRESS_URL": self.restate.ingress_url,
                "CONVERSATIONS_URL": f"http://127.0.0.1:{self.watch_port}",
                **OF_A_GATEWAY,
                "DEMO_CUSTOMERS": "[]",
                "ISSUERS": json.dumps([{"issuer": self.issuer.url, "audience": AUDIENCE}]),
                "REQUESTS_PER_MINUTE": "100000",
                "BURST": "100000",
            },
            "console": {
                "RESTATE_INGRESS_URL": self.restate.ingress_url,
                **OF_A_CONSOLE,
                "DEMO_STAFF": "[]",
                "OIDC_ISSUER": self.issuer.url,
                "OIDC_CLIENT_ID": "desk",
                "BASE_URL": self._url("console"),
            },
            "router": {
                "CONVERSATIONS_DATABASE_URL": self._database.url("conversations", "router"),
                "OPENAI_BASE_URL": f"{model}/v1",
                "OPENAI_MODEL": "demo",
                "OPENAI_TEMPERATURE": "0.2",
                "CATALOGUE_URL": f"{self._url('registry')}/tools",
                "CATALOGUE_SECONDS": "0.5",
                "STATUS_URL": f"{model}/api/v2/summary.json",
                "TRUST_USER_ID": "true",
                "CUSTOMER_CHECK": "UserDatabase/is_customer",
                "MAX_TURNS": "4",
                "APPROVAL_WAIT": "0.5",
                "QUESTION_EFFECTS": "1",
                "APPROVAL_SHADOW": "true",
            }
            | BY_THE_DOOR
            | traced,
            "registry": {
                "RESTATE_ADMIN_URL": self.restate.admin_url,
                "DEPLOYMENTS": self.deployments(),
                "CATALOGUE_POLL_SECONDS": "0.5",
                "METRICS_POLL_SECONDS": "1",
                "STUCK_POLL_SECONDS": "1",
                "PAUSED_GRACE_SECONDS": "6",
            },
        }

    async def _serve(self, name: str, env: Mapping[str, str]) -> Service:
        return await self._launch(
            name, name=name, port=self._served_at[name], METRICS_PORT=str(self.ports[name]), **env
        )

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._served_at[name]}"

    async def _offers_everything(self) -> bool:
        reply = await request("GET", f"{self._url('registry')}/tools")
        offered = {tool["name"] for tool in reply.json()["tools"]} if reply.status_code == 200 else set[str]()
        return offered >= {"query_user_database", "create_support_ticket", "break_down"}

    @property
    def door_url(self) -> str:
        """The API of the gateway."""
        return f"{self._url('gateway')}/api/v1"

    def deployments(self) -> str:
        """What the registry registers while all is well."""
        return ",".join(f"{name}={self._url(name)}" for name in ("router", "users", "tickets", "conversations"))

    async def stop(self) -> None:
        await self.prometheus.stop()
        for service in self.services.values():
            await service.kill()
        await self.restate.kill()
        await self.postgres.stop("immediate")
        await asyncio.gather(self.receiver.stop(), self.hook.stop())
        await self._kept.aclose()

    # --- what happens --------------------------------------------------------------------------------------------

    async def ask(self, message: str, user_id: str = USER) -> HttpReply:
        return await self.restate.call("ToolRouter", "route", {"message": message, "user_id": user_id})

    async def come_in(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> HttpReply:
        """A request at the gateway, by a token of its issuer unless another is given."""
        told = {"Authorization": f"Bearer {self.issuer.token() if token is None else token}"} | headers
        return await request(method, self.door_url + path, body, told)

    async def outcome(self, message: str, user_id: str = USER) -> str:
        reply = await self.ask(message, user_id)
        assert reply.status_code == 200, reply.text
        return reply.json()["outcome"]

    async def script(self, *replies: dict[str, Any]) -> str:
        """Scripts the model for one conversation; returns the message that starts it."""
        message = f"about {uuid.uuid4().hex}"
        await self.model("script", {"match": message, "replies": list(replies)})
        return message

    async def scripted_calls(self, *wanted: tuple[str, Any]) -> str:
        return await self.script(calls(*wanted), {"text": "That is it."})

    async def model(self, path: str, body: Mapping[str, Any]) -> None:
        reply = await request("POST", f"{self._url('demo_model')}/admin/{path}", body)
        assert reply.status_code == 200, reply.text

    async def run_with(self, name: str, **env: str) -> None:
        """Ends a service and starts it again with some settings changed."""
        service = self.services[name]
        await service.stop()
        service.program = replace(service.program, env={**service.program.env, **env})
        await service.start()

    async def run_as(self, name: str, module: str, **env: str) -> None:
        """Ends a service and starts another module in its place; `run_as(name, name)` undoes it."""
        service = self.services[name]
        await service.stop()
        command = [module if part in (name, self._modules.get(name)) else part for part in service.program.command]
        self._modules[name] = module
        service.program = replace(service.program, command=command, env={**service.program.env, **env})
        await service.start()

    async def launch(self, module: str, **env: str) -> Service:
        """One more service, which nobody scrapes."""
        return await self._launch(module, **env)

    # --- what is seen --------------------------------------------------------------------------------------------

    async def firing(self) -> dict[Rule, list[dict[str, str]]]:
        """The labels of what fires now, by rule."""
        found: dict[Rule, list[dict[str, str]]] = {}
        for name, alerts in (await self.prometheus.alerts()).items():
            for labels in alerts:
                found.setdefault(rule_of(name, labels), []).append(labels)
        return found

    async def fired(self, since: float, until: float = 0) -> set[Rule]:
        """The rules that fired at any time since then, if only for the second until they were looked at again."""
        series = await self.prometheus.query_range(
            'ALERTS{alertstate="firing"}', since, until or time.time(), step=0.25
        )
        return {rule_of(each["metric"]["alertname"], each["metric"]) for each in series}

    async def until_fires(
        self, *rules: Rule, doing: Callable[[], Awaitable[Any]] | None = None, seconds: float = SETTLE_SECONDS
    ) -> None:
        """Returns when each of these rules has been firing; does something over and over until then."""
        began = time.time()
        while left := set(rules) - await self.fired(began):
            assert time.time() - began < seconds, f"not within {seconds} s: {left}"
            await (doing() if doing else asyncio.sleep(0.2))

    async def after_scrapes(self, number: int) -> None:
        """Returns when all that has happened until now was scraped, and the rules evaluated."""
        before = time.time()
        await self.prometheus.wait_for(f"min(timestamp(up)) > {before + number}", SETTLE_SECONDS)


@pytest.fixture(scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory, service: Launch) -> AsyncIterator[Stage]:
    need_prometheus()
    stage = Stage(tmp_path_factory.mktemp("stage"), service)
    try:
        await stage.start()
        yield stage
    finally:
        await stage.stop()
