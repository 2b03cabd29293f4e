"""A pooler that lends a session for one transaction, between our services and their database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from restate.exceptions import RetryableError

from runtime.postgres import caller_transaction, connect, migrate, open_pool, provision
from tests.conftest import ONCE
from tests.parts import nursery
from tests.parts.pgbouncer import PgBouncer, need_pgbouncer
from tests.parts.postgres import PostgresServer
from users import store
from users.store import MIGRATIONS

pytestmark = ONCE
PASSWORDS = {"owner": "owner-password", "app": "app-password"}
CALLERS = [f"user_{number}" for number in range(8)]


@pytest.fixture(params=["transaction", "session"])
async def bouncer(
    request: pytest.FixtureRequest, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PgBouncer]:
    need_pgbouncer()
    await provision(postgres.database("pooled"), "users", PASSWORDS)
    folder: Path = tmp_path_factory.mktemp("bouncer")
    roles = {f"users_{kind}": password for kind, password in PASSWORDS.items()}
    bouncer = PgBouncer(folder, postgres.port, request.param, roles)
    await bouncer.start()
    await bouncer.wait_ready()
    yield bouncer
    await bouncer.kill()


def through(bouncer: PgBouncer, kind: str, query: str = "?pgbouncer=true") -> str:
    return f"postgresql://users_{kind}:{PASSWORDS[kind]}@127.0.0.1:{bouncer.port}/pooled{query}"


async def test_a_schema_is_made_once_by_several_at_once(bouncer: PgBouncer) -> None:
    url = through(bouncer, "owner")
    applied = await asyncio.gather(*(migrate(url, "users", MIGRATIONS) for _ in range(2)))
    assert sum(applied) == len(list(MIGRATIONS.glob("*.sql")))
    await store.replace_customers(url, {})


async def test_each_transaction_has_its_caller_its_schema_and_its_limits(bouncer: PgBouncer) -> None:
    await migrate(through(bouncer, "owner"), "users", MIGRATIONS)
    names = ("app.user_id", "search_path", "statement_timeout", "lock_timeout", "timezone")

    size = 8 if bouncer.program.name == "pgbouncer-transaction" else 2  # a session is lent until its client leaves
    async with open_pool(through(bouncer, "app"), "users", size) as pool:
        some = asyncio.Semaphore(2 * size)  # more would wait for a connection longer than they may

        async def seen(user_id: str) -> list[str]:
            async with some, caller_transaction(pool, user_id) as db:
                plans = await db.fetchval("SELECT count(*) FROM plans WHERE plan <> $1", "")
                return [user_id, str(plans), *[await db.fetchval("SELECT current_setting($1)", each) for each in names]]

        for told in await asyncio.gather(*(seen(caller) for caller in CALLERS * 8)):
            assert told == [told[0], "5", told[0], "users", "5s", "2s", "UTC"]


async def test_a_pooler_that_the_url_does_not_tell_of_is_named_once_it_shows(bouncer: PgBouncer) -> None:
    if bouncer.program.name == "pgbouncer-session":
        pytest.skip("a session that is lent as a whole keeps what is prepared in it")
    async with open_pool(through(bouncer, "app", query=""), "users") as pool:

        async def ask() -> str:
            try:
                async with caller_transaction(pool, "user_1") as db:
                    await db.fetchval("SELECT $1::text", "anything")
                    await asyncio.sleep(0.01)
            except RetryableError as error:
                return error.message
            return ""

        said = {message for message in await asyncio.gather(*(ask() for _ in range(60))) if message}
    assert any("DATABASE_URL has to end in ?pgbouncer=true" in message for message in said), said


async def test_what_wants_a_session_says_that_it_must_go_past_the_pooler(bouncer: PgBouncer) -> None:
    with pytest.raises(ValueError, match="goes past the pooler"):
        await connect(through(bouncer, "app"), search_path="users")
    code, _, said = await nursery.run("tickets", "staff", "list", env={"STAFF_DATABASE_URL": through(bouncer, "app")})
    assert code == 1
    assert said.startswith("setting STAFF_DATABASE_URL: ")
    assert said.endswith("this command wants a database URL that goes past the pooler\n")
    assert len(said.splitlines()) == 1
