"""An installed release, and what a test asks of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.cluster.parts.forward import Forward
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.release import Release
from tests.cluster.parts.settings import TOOL_ENVIRONMENT
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, request
from tests.parts.values import Values, merge

CUSTOMER = "user_12345"
CLIENTS = {"stands-for": "clients"}
"""Labels of pods that may ask questions."""

SERVICES = {
    "router": "ToolRouter",
    "users": "UserDatabase",
    "tickets": "SupportTicketWorkflow",
    "conversations": "Conversation",
}
"""A service of each versioned component."""

PATIENT = {"MAX_SECONDS": "300", "MAX_TURNS": "60", "MAX_CALLS": "60", "MAX_TOKENS": "1000000"}
PATIENT_TICKETS = "[tools.create_support_ticket]\ntimeout = 300\noverride = true\n"
"""A run must be able to outlast an upgrade on a slow machine."""

STAFF_KEY = "a-key-of-the-tests-long-enough-for-HS256"

MANY = {"requestsPerMinute": 100_000, "burst": 10_000, "waitingPerCaller": 1000}
"""One customer asks everything that the tests ask."""

VALUES: Values = {
    "trustUserId": True,
    "gateway": {"limits": MANY},
    "conversations": {"extraEnv": [{"name": "STAFF_KEYS", "value": STAFF_KEY}]},
    "router": {"extraEnv": [{"name": name, "value": value} for name, value in PATIENT.items()]},
    "registry": {"policy": PATIENT_TICKETS},
    "networkPolicy": {"clients": [{"podSelector": {"matchLabels": CLIENTS}}]},
    "demoModel": {"extraEnv": [{"name": "ADMIN_ENDPOINTS", "value": "true"}]},
    "versions": {"prune": {"schedule": "0 0 1 1 *", "afterSeconds": 0}},
}
"""Tests steer the stand-in model, and say when versions are pruned. What they say in conversations goes in behind the
gateway."""

COME_AGAIN = (202, 409, 503)
"""What the gateway answers while there is no answer yet."""

_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
_PSQL = ("psql", "--username=postgres", "--dbname=switchboard", "-XAtq", "--set=ON_ERROR_STOP=1")


class Product:
    """Its gateway, Restate and stand-in model are reached through port-forwards, its database inside its pod."""

    def __init__(self, namespace: Namespace, values: Values, *, demo: bool = True) -> None:
        self.namespace = namespace
        self.gateway = Forward(namespace, "switchboard-gateway", 9089)
        self.ingress = Forward(namespace, "switchboard-restate", 8080)
        self.admin = Forward(namespace, "switchboard-restate", 9070)
        self.model = Forward(namespace, "switchboard-demo-model", 9085)
        self.watch = Forward(namespace, "switchboard-watch", 9088)
        playground = {"restate": {"advertisedIngressUrl": f"http://localhost:{self.ingress.port}/"}}
        self.release = Release(namespace, merge(playground, values), demo=demo)

    async def open(self) -> None:
        for forward in self._forwards:
            forward.start()
        await self.query("select count(1) from sys_invocation")
        await self._model("GET", "/health")

    async def close(self) -> None:
        for forward in self._forwards:
            await forward.stop()

    @property
    def _forwards(self) -> tuple[Forward, ...]:
        return self.gateway, self.ingress, self.admin, self.model, self.watch

    # --- questions ---

    async def ask(self, message: str, key: str, seconds: float = 300) -> HttpReply:
        """As a client of the gateway should: with an idempotency key, again and again until there is an answer."""
        url, body = f"{self.gateway.url}/api/v1/questions", {"message": message, "wait": 30}
        headers = {"Authorization": f"Bearer demo-{CUSTOMER}", "Idempotency-Key": key}

        async def answer() -> HttpReply | None:
            try:
                reply = await request("POST", url, body, headers, seconds=60)
            except _AWAY:
                return None
            return None if reply.status_code in COME_AGAIN else reply

        return await eventually(answer, seconds)

    async def tickets(self) -> dict[str, str]:
        """Every ticket's id and text."""
        printed = await self.sql("SELECT json_object_agg(ticket_id, subject || description) FROM tickets.tickets")
        return json.loads(printed or "{}")

    @asynccontextmanager
    async def no_new_tickets(self) -> AsyncGenerator[None]:
        """Holds a lock, so that every run which creates a ticket has to wait; may be held twice at once."""
        command = ("kubectl", "--namespace", self.namespace.name, "exec", "--stdin", await self._database(), "--")
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*command, *_PSQL, env=TOOL_ENVIRONMENT, stdin=pipe, stdout=pipe)
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"BEGIN; LOCK TABLE tickets.tickets IN SHARE MODE; SELECT 'locked';\n")
        try:
            assert await asyncio.wait_for(child.stdout.readline(), 30) == b"locked\n"
            yield
        finally:
            await child.communicate(b"ROLLBACK;\n")

    # --- the stand-in model ---

    async def answer_slowly(self, match: str, seconds: float) -> None:
        """Every model turn of the questions that contain `match` takes this long."""
        await self._script(match, {"natural": True, "latency_seconds": seconds})

    async def keep_asking(self, match: str, seconds: float) -> None:
        """The model wants the same tool again and again in such a question, until `answer_slowly` lets it answer."""
        call = {"name": "query_user_database", "arguments": {}}
        await self._script(match, {"tool_calls": [call], "latency_seconds": seconds})

    async def fail(self, match: str, status: int = 503) -> None:
        """The model refuses every call of such a question."""
        await self._script(match, {"status": status, "body": "away"})

    async def _script(self, match: str, reply: Mapping[str, Any]) -> None:
        await self._model("POST", "/admin/script", {"match": match, "replies": [reply]})

    async def model_turns(self, match: str) -> list[int]:
        """The turn of each model call that was made for a question."""
        ledger = (await self._model("GET", f"/admin/ledger?match={quote(match)}")).json()
        return [call["turns"] for call in ledger["calls"]]

    async def prompt(self, match: str) -> str:
        """The system prompt that the model read last with a question."""
        conversation = (await self._model("GET", f"/admin/conversation?match={quote(match)}")).json()
        return conversation["messages"][0]["content"]

    async def _model(self, method: str, path: str, body: Any = None) -> HttpReply:
        async def answer() -> HttpReply | None:
            try:
                return await request(method, self.model.url + path, body)
            except _AWAY:
                return None

        reply = await eventually(answer, 30)
        assert reply.status_code == 200, reply.text
        return reply

    # --- Restate and PostgreSQL ---

    async def query(self, sql: str, seconds: float = 60) -> list[dict[str, Any]]:
        """Rows of Restate's own tables; waits while it has no leaders or cannot be reached."""

        async def answer() -> list[dict[str, Any]] | None:
            accept = {"Accept": "application/json"}
            try:
                reply = await request("POST", f"{self.admin.url}/query", {"query": sql}, accept, seconds=20)
            except _AWAY:
                return None
            assert reply.status_code in (200, 500, 503), reply.text
            return reply.json()["rows"] if reply.status_code == 200 else None

        return await eventually(answer, seconds)

    async def latest_run(self) -> dict[str, Any]:
        """The run that was begun last: only the gateway knows under which key."""
        (run,) = await self.query(
            "select id from sys_invocation where target_service_name = 'ToolRouter' order by created_at desc limit 1"
        )
        return run

    async def open_runs(self) -> dict[str, str]:
        """The status of each run that has not ended, by id."""
        rows = await self.query(
            "select id, status from sys_invocation where status <> 'completed' and target_service_name = 'ToolRouter'"
        )
        return {row["id"]: row["status"] for row in rows}

    async def wait_idle(self, seconds: float = 90) -> None:
        """Returns when nothing is left to do but what waits for its time: to look whether a conversation is old, or
        whether a person has come."""
        unfinished = "select id from sys_invocation where status not in ('completed', 'scheduled')"

        async def idle() -> bool:
            return not await self.query(unfinished)

        await eventually(idle, seconds)

    async def failures(self) -> list[str]:
        """What ended in an error, and what was ever replayed by code that it was not made by."""
        failed = "select target, completion_failure as why from sys_invocation where completion_result = 'failure'"
        mismatched = "select id as target, event_json as why from sys_journal_events where event_json like '%RT0016%'"
        rows = [*await self.query(failed), *await self.query(mismatched)]
        return [f"{row['target']}: {row['why']}" for row in rows]

    async def suspend_at_every_await(self) -> None:
        """Runs of the present version hold neither a connection nor a process while they wait."""
        reply = await request("PATCH", f"{self.admin.url}/services/ToolRouter", {"inactivity_timeout": "0s"})
        assert reply.status_code == 200, reply.text

    async def sql(self, statement: str) -> str:
        return (await self.namespace.execute(await self._database(), *_PSQL, "--command", statement)).strip()

    async def _database(self) -> str:
        (pod,) = await eventually(lambda: self._ready("postgres"), 60)
        return pod["metadata"]["name"]

    async def _ready(self, component: str) -> list[Any] | None:
        return await self.namespace.running(component) or None

    # --- versions ---

    async def version(self, component: str = "router") -> str:
        """The version that Restate routes new work to."""
        rows = await self.query(
            "select d.endpoint from sys_service s join sys_deployment d on s.deployment_id = d.id "
            f"where s.name = '{SERVICES[component]}'"
        )
        host = rows[0]["endpoint"].partition("://")[2].partition(".")[0]
        return host.rpartition("-")[2]

    async def serving(self, component: str) -> list[Any]:
        """The pods of a component that get new work."""
        pods = await self.namespace.running(component)
        if component not in SERVICES:
            return pods
        version = await self.version(component)
        return [pod for pod in pods if pod["metadata"]["labels"]["switchboard/version"] == version]

    async def versions(self, component: str = "router") -> set[str]:
        """The versions that have a Deployment."""
        found = await self.namespace.get("deployments", component=component)
        return {each["metadata"]["labels"]["switchboard/version"] for each in found}

    async def pinned(self, version: str) -> dict[str, str]:
        """The status of all runs that a version of the router began, by id."""
        rows = await self.query(
            "select i.id, i.status from sys_invocation i join sys_deployment d on i.pinned_deployment_id = d.id "
            f"where i.target_service_name = 'ToolRouter' and d.endpoint like '%-router-{version}.%'"
        )
        return {row["id"]: row["status"] for row in rows}

    async def prune(self, version: str) -> None:
        """Lets the CronJob look again and again, as it does by itself, until a version of the router is gone."""

        async def gone() -> bool:
            await self.namespace.run_cronjob("switchboard-prune", f"prune-{version}")
            return version not in await self.versions()

        await eventually(gone, 120)
