"""The parts that the other tests stand on: they start, crash and come back with their data."""

from pathlib import Path

import asyncpg

from standalone.ports import free_port
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer


async def test_postgres_keeps_what_was_committed_before_it_was_killed(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, free_port(), "secret")
    await server.start()
    server.psql("CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    client = await asyncpg.connect(server.admin_url)

    await server.kill()
    await server.start()

    assert server.psql("SELECT n FROM kept").strip() == "7"
    client.terminate()
    await server.stop()
    assert not server.process.running


async def test_postgres_recovers_from_an_immediate_stop(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, free_port(), "secret")
    await server.start()
    server.psql("CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")

    await server.stop("immediate")
    await server.start()

    assert server.psql("SELECT n FROM kept").strip() == "7"
    await server.stop()


async def test_restate_comes_back_on_its_ports_after_a_kill(tmp_path: Path) -> None:
    server = RestateServer(tmp_path)
    try:
        await server.start()
        await server.kill()

        await server.start()

        assert await server.open_invocations() == []
    finally:
        await server.stop()
    assert not server.process.running
