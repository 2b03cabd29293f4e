"""What a caller has open counts for all gateways where there is a Valkey, and ends whatever becomes of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.leases import Lease, Leases
from tests.parts.board import USER
from tests.parts.gateway import OF_A_GATEWAY, OTHER
from tests.parts.polling import eventually
from tests.parts.service import Service
from tests.parts.valkey import ValkeyServer, need_valkey

PATIENT = {"LIMITS_SECONDS": "10", "WAITING_PER_CALLER": "2", "STREAMS_PER_CALLER": "2"}
FOR_LONG = {"LIMITS_LEASE_SECONDS": "600"}
"""Nothing ends by itself while a test runs."""
WATCHED = "/api/v1/conversations/conv_0123456789abcdef/events"
SECONDS = 60

Launch = Callable[..., Awaitable[Service]]


class Behind:
    """Stands where Restate and the conversations would, and lets whatever comes go on until it is let go."""

    def __init__(self) -> None:
        self.held = asyncio.Event()

    async def take(self, asked: web.Request) -> web.StreamResponse:
        if asked.path.endswith("health"):
            return web.json_response({})
        if asked.path.endswith("/events"):
            told = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await told.prepare(asked)
            await told.write(b"id: 1\nevent: input\ndata: {}\n\n")
            await self.held.wait()
            return told
        await self.held.wait()
        return web.json_response({"text": "Hello.", "outcome": "answered", "request": (await asked.json())["request"]})


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    need_valkey()
    server = ValkeyServer(tmp_path)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def behind() -> Behind:
    return Behind()


@pytest.fixture
async def launch(behind: Behind, valkey: ValkeyServer, service: Launch) -> AsyncIterator[Launch]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behind.take)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")

        async def start(**settings: str) -> Service:
            told = {"RESTATE_INGRESS_URL": url, "CONVERSATIONS_URL": url, "LIMITS_URL": valkey.url}
            return await service("gateway", **(told | OF_A_GATEWAY | PATIENT | FOR_LONG | settings))

        yield start
        behind.held.set()


class Client:
    """One who asks and watches; whatever is open ends with it."""

    def __init__(self, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self._http, self._stack = http, stack

    async def watch(self, gate: Service, user_id: str = USER) -> aiohttp.ClientResponse:
        return await self._stack.enter_async_context(self._http.get(gate.address + WATCHED, headers=who(user_id)))

    def ask(self, gate: Service, user_id: str = USER) -> asyncio.Task[int]:
        return asyncio.create_task(self._ask(gate, user_id))

    async def _ask(self, gate: Service, user_id: str) -> int:
        url, body = f"{gate.address}/api/v1/questions", {"message": "hello"}
        async with self._http.post(url, json=body, headers=who(user_id)) as reply:
            return reply.status

    async def until_it_may_watch(self, gate: Service) -> None:
        async def may() -> bool:
            return (await self.watch(gate)).status == 200

        await eventually(may, SECONDS)


def who(user_id: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer demo-{user_id}"}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)))
        yield Client(http, stack)


async def open_there(valkey: ValkeyServer, kind: str) -> dict[str, float]:
    """The leases of all callers, and when each ends, in milliseconds since the epoch."""
    leases: dict[str, float] = {}
    async with valkey.opened() as server:
        for key in await server.keys(f"switchboard:limits:{kind}:*"):
            told: Any = await server.zrange(key, 0, -1, withscores=True)
            leases |= dict(told)
    return leases


async def until_open(valkey: ValkeyServer, kind: str, many: int) -> dict[str, float]:
    async def look() -> dict[str, float] | None:
        leases = await open_there(valkey, kind)
        return leases if len(leases) == many else None

    return await eventually(look, SECONDS)


async def test_two_gateways_hold_as_many_streams_of_a_caller_as_one_would(launch: Launch, client: Client) -> None:
    one, two = [await launch() for _ in range(2)]
    first = await client.watch(one)
    assert [(await client.watch(gate)).status for gate in (two, one, two)] == [200, 429, 429]
    assert (await client.watch(two, OTHER)).status == 200
    first.close()
    await client.until_it_may_watch(two)
    assert (await client.watch(one)).status == 429


async def test_two_gateways_hold_as_many_questions_of_a_caller_as_one_would(
    launch: Launch, client: Client, behind: Behind, valkey: ValkeyServer
) -> None:
    one, two = [await launch() for _ in range(2)]
    waiting = [client.ask(gate) for gate in (one, two)]
    await until_open(valkey, "questions", 2)
    assert [await client.ask(gate) for gate in (one, two)] == [429, 429]
    behind.held.set()
    assert await asyncio.gather(*waiting) == [200, 200]
    await until_open(valkey, "questions", 0)
    assert await client.ask(one) == 200


async def test_many_at_one_instant_open_no_more_than_one_gateway_would(launch: Launch, client: Client) -> None:
    gates = [await launch() for _ in range(2)]
    told = await asyncio.gather(*(client.watch(gates[number % 2]) for number in range(40)))
    assert sorted(each.status for each in told) == [200] * 2 + [429] * 38


async def test_what_a_killed_gateway_had_open_ends_within_its_time(
    launch: Launch, client: Client, valkey: ValkeyServer
) -> None:
    short = {"LIMITS_LEASE_SECONDS": "2"}
    one, two = [await launch(**short) for _ in range(2)]
    assert [(await client.watch(gate)).status for gate in (one, two)] == [200, 200]
    async with valkey.opened() as server:
        await one.kill()
        seconds, microseconds = await server.time()
    left = [end - seconds * 1000 - microseconds / 1000 for end in (await open_there(valkey, "streams")).values()]
    assert all(each <= 2000 for each in left)
    await client.until_it_may_watch(two)


async def test_what_is_open_is_renewed(launch: Launch, client: Client, valkey: ValkeyServer) -> None:
    gate = await launch(LIMITS_LEASE_SECONDS="3")
    await client.watch(gate)
    before = await until_open(valkey, "streams", 1)

    async def is_later() -> bool:
        now = await open_there(valkey, "streams")
        return now.keys() == before.keys() and min(now.values()) > max(before.values())

    await eventually(is_later, SECONDS)


async def test_a_gateway_that_ends_gives_back_what_it_had_open(
    launch: Launch, client: Client, valkey: ValkeyServer
) -> None:
    one, two = [await launch() for _ in range(2)]
    for _ in range(2):
        await client.watch(one)
    assert (await client.watch(two)).status == 429
    await one.stop()
    assert await open_there(valkey, "streams") == {}
    assert (await client.watch(two)).status == 200


async def test_while_it_is_away_each_counts_by_itself_and_tells_it_afterwards(
    launch: Launch, client: Client, valkey: ValkeyServer
) -> None:
    one, two = [await launch() for _ in range(2)]
    await client.watch(one)
    await valkey.kill()
    assert [(await client.watch(gate)).status for gate in (one, one, two, two, two)] == [200, 429, 200, 200, 429]
    await valkey.start()
    await until_open(valkey, "streams", 4)
    assert (await client.watch(one)).status == 429


async def test_one_that_is_given_back_while_all_are_renewed_stays_so(valkey: ValkeyServer) -> None:
    async with valkey.opened() as server:
        leases = Leases(server, 600)
        held = [leases.hold("switchboard:limits:streams:x") for _ in range(100)]
        renewing = asyncio.create_task(leases.renew())
        await asyncio.sleep(0)
        for lease in held:
            leases.drop(lease)
        await leases.give_back(held[0])
        await renewing
        assert await server.zcard(held[0].key) == 0
        assert await leases.take(Lease("switchboard:limits:streams:x", "one"), 1)
