"""A switchover of PostgreSQL under the ticket services: a real primary, a real standby, and one address for both."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from standalone.ports import free_port
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.standby import Address, Follower, follow
from tests.parts.tickets import TicketServices, tickets_database

Launch = Callable[..., Awaitable[Service]]
PASSWORD = "test-password"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    tmp_path.chmod(0o755)
    first = PostgresServer(tmp_path / "first", free_port(), PASSWORD)
    await first.start()
    second = Follower(tmp_path / "second", first, PASSWORD)
    yield first, second
    await first.stop("immediate")
    await second.stop("immediate")


async def test_a_ticket_asked_for_during_a_switchover_is_made_once(
    restate: RestateServer, service: Launch, pair: tuple[PostgresServer, PostgresServer]
) -> None:
    first, second = pair
    database = await tickets_database(first, "switchover")
    await second.start()
    address = Address(first.port)
    await address.open()
    app = database.app.replace(f":{first.port}/", f":{address.port}/")
    child = await service("tickets", DATABASE_URL=app)
    tickets = TicketServices(restate)
    await tickets.register(child)
    assert (await tickets.create()).status_code == 200

    await first.stop("fast")  # it waits until its standby has everything
    second.psql("SELECT pg_promote(true)")
    follow(first, second)
    await first.start()
    reads = [tickets.tool("list_my_tickets", user_id="user_1") for _ in range(8)]
    assert {reply.status_code for reply in await asyncio.gather(*reads)} == {200}  # a standby answers reads

    keys = [uuid.uuid4().hex for _ in range(4)]
    asked = [asyncio.create_task(tickets.create(key)) for key in keys]

    async def refused() -> bool:
        return child.log.read_text().count("SQLSTATE 25006, all connections closed") >= 2 * len(keys)

    await eventually(refused, 30)
    address.leads_to = second.port
    assert [(await reply).status_code for reply in asked] == [200] * len(keys)
    made = second.psql("SELECT workflow_key FROM tickets.tickets", database="switchover").split()
    assert len(made) == 1 + len(keys)
    assert set(keys) <= set(made)
    await restate.wait_idle()
    await child.stop()
    await address.close()
