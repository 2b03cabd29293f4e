"""The real restate-server for tests, with what a test asks of it."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from standalone.ports import free_port
from standalone.restate import Ports, Restate

TOOLS_DIR = Path(__file__).parents[2] / ".tools"

PARTITIONS = 4
"""Several, so that calls between services cross them."""


@dataclass(frozen=True)
class HttpReply:
    """What the ingress or the admin API answered."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.text)


class RestateServer(Restate):
    """`always_replay`: every registered service is replayed at each await, as after a crash."""

    def __init__(
        self,
        data_dir: Path,
        *,
        always_replay: bool = False,
        partitions: int = PARTITIONS,
        env: Mapping[str, str] | None = None,
    ) -> None:
        ports = Ports(free_port(), free_port(), free_port())
        super().__init__(data_dir, TOOLS_DIR, ports, partitions, env)
        self.metrics_url = f"http://127.0.0.1:{ports.node}/metrics"
        self.replays = always_replay

    async def register(self, url: str, *, force: bool = False) -> list[str]:
        """Registers a deployment and returns the names of its services."""
        reply = await request("POST", f"{self.admin_url}/deployments", {"uri": url, "force": force})
        assert reply.status_code in (200, 201), reply.text
        names = [service["name"] for service in reply.json()["services"]]
        if self.replays:
            await self.always_replay(*names)
        return names

    async def always_replay(self, *services: str) -> None:
        """Makes these services, or all of them, suspend and replay at every await."""
        for name in services or [row["name"] for row in await self.query("select name from sys_service")]:
            reply = await request("PATCH", f"{self.admin_url}/services/{name}", {"inactivity_timeout": "0s"})
            assert reply.status_code == 200, reply.text

    async def query(self, sql: str, seconds: float = 60) -> list[dict[str, Any]]:
        """The rows of a query over Restate's own tables; after a crash it answers 500 until its leaders are settled."""
        deadline = time.monotonic() + seconds
        while True:
            headers = {"Accept": "application/json"}
            reply = await request("POST", f"{self.admin_url}/query", {"query": sql}, headers)
            if reply.status_code == 200:
                return reply.json()["rows"]
            assert reply.status_code == 500, reply.text
            assert time.monotonic() < deadline, reply.text
            await asyncio.sleep(0.1)

    async def call(
        self,
        service: str,
        handler: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        send: bool = False,
        seconds: float = 60,
    ) -> HttpReply:
        """One call through the ingress. A body of bytes goes as it is, anything else as JSON."""
        path = "/".join(part for part in (service, key, handler) if part is not None)
        sent = dict(headers or {}) | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        url = f"{self.ingress_url}/restate/{'send' if send else 'call'}/{path}"
        return await request("POST", url, body, sent, seconds=seconds)

    async def kill_invocation(self, invocation_id: str) -> None:
        reply = await request("PATCH", f"{self.admin_url}/invocations/{invocation_id}/kill")
        assert reply.status_code in (200, 202), reply.text

    async def forget(self, service: str, key: str) -> None:
        """Removes the state of one object."""
        reply = await request(
            "POST", f"{self.admin_url}/services/{service}/state", {"object_key": key, "new_state": {}}
        )
        assert reply.status_code in (200, 202), reply.text

    async def open_invocations(self) -> list[dict[str, Any]]:
        """All that is not done, but for the resender, which looks again and again while something is undelivered, and
        the looks at a conversation's age and at what falls due of a ticket, which are hours or months ahead."""
        return await self.query(
            "select id, target, status, retry_count, last_failure from sys_invocation "
            "where status <> 'completed' and target_service_name <> 'Resender' "
            "and not (target_service_name = 'Conversation' and target_handler_name = 'expire') "
            "and not (target_service_name = 'TicketLife' and status = 'scheduled')"
        )

    async def wait_idle(self, seconds: float = 60) -> None:
        """Returns when no invocation is left open; fails with the open ones otherwise."""
        deadline = time.monotonic() + seconds
        while left := await self.open_invocations():
            assert time.monotonic() < deadline, f"still open after {seconds} s: {left}"
            await asyncio.sleep(0.1)


async def request(
    method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, *, seconds: float = 60
) -> HttpReply:
    """One HTTP request on a connection of its own."""
    sent = dict(headers or {})
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None:
        sent.setdefault("Content-Type", "application/json")
    timeout = aiohttp.ClientTimeout(total=seconds)
    skip = () if data is not None else ("Content-Type",)
    async with (
        aiohttp.ClientSession(timeout=timeout, skip_auto_headers=skip) as http,
        http.request(method, url, data=data, headers=sent) as reply,
    ):
        return HttpReply(reply.status, await reply.text(), dict(reply.headers))
