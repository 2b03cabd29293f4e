"""`k8s/postgres/roles.sql`, which a DBA runs in place of `provision`, on a PostgreSQL that never saw the services."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from conversations import store as conversations
from runtime.postgres import caller_transaction, connect, migrate, open_pool, provision
from standalone.ports import free_port
from standalone.postgres import binaries
from tests.conftest import ONCE
from tests.parts.postgres import PostgresServer
from tickets import store as tickets
from users import store as users

pytestmark = ONCE

ROLES_SQL = Path(__file__).parents[2] / "k8s/postgres/roles.sql"
KINDS = {
    "users": ("owner", "app"),
    "tickets": ("owner", "app", "staff"),
    "conversations": ("owner", "app", "router"),
}
PASSWORDS = {f"{schema}_{kind}": f"it's {schema}'s {kind}" for schema, kinds in KINDS.items() for kind in kinds}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A server of its own: roles belong to the whole server, and other tests make the same ones."""
    server = PostgresServer(tmp_path, free_port(), "test-password")
    await server.start()
    yield server
    await server.stop("immediate")


def run_roles_sql(url: str, passwords: dict[str, str] = PASSWORDS) -> None:
    env = {f"{role.upper()}_PASSWORD": password for role, password in passwords.items()}
    command = [str(binaries() / "psql"), "--no-psqlrc", "--quiet", "--file", str(ROLES_SQL), url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def as_role(role: str, url: str) -> str:
    return url.replace("postgres:test-password", role)


async def everything_about_roles(url: str) -> list[str]:
    """Attributes, memberships and privileges, as the catalogues have them."""
    connection = await connect(url)
    try:
        return [row[0] for row in await connection.fetch(_ROLES)]
    finally:
        await connection.close()


_ROLES = r"""
SELECT concat_ws(' ', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
    rolbypassrls, rolconnlimit, rolvaliduntil, rolconfig)
    FROM pg_roles WHERE rolname ~ '^(users|tickets|conversations)_'
UNION ALL SELECT concat_ws(' ', roleid::regrole, member::regrole, admin_option, inherit_option, set_option)
    FROM pg_auth_members WHERE roleid::regrole::text ~ '^(users|tickets|conversations)_'
UNION ALL SELECT concat_ws(' ', nspname, nspowner::regrole, nspacl)
    FROM pg_namespace WHERE nspname IN ('users', 'tickets', 'conversations')
UNION ALL SELECT concat_ws(' ', datname, datacl) FROM pg_database WHERE datname = current_database()
"""


async def test_provisioning_afterwards_finds_nothing_to_do(server: PostgresServer) -> None:
    url = server.database("switchboard")
    run_roles_sql(url)
    by_hand = await everything_about_roles(url)
    for schema, kinds in KINDS.items():
        await provision(url, schema, {kind: PASSWORDS[f"{schema}_{kind}"] for kind in kinds})
    assert len(by_hand) > len(PASSWORDS)
    assert await everything_about_roles(url) == by_hand


async def test_a_database_owner_who_may_create_roles_is_administrator_enough(server: PostgresServer) -> None:
    server.psql("CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'dba'", "CREATE DATABASE switchboard OWNER dba")
    url = server.url("switchboard").replace("postgres:test-password", "dba:dba")
    for _ in range(2):
        run_roles_sql(url)
        for schema, kinds in KINDS.items():
            await provision(url, schema, {kind: PASSWORDS[f"{schema}_{kind}"] for kind in kinds})


async def test_a_role_that_was_there_loses_what_would_pass_by_row_level_security(server: PostgresServer) -> None:
    server.psql("CREATE ROLE users_app SUPERUSER BYPASSRLS")
    url = server.database("switchboard")
    run_roles_sql(url)
    assert server.psql("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'users_app'").strip() == "f"


async def test_the_services_migrate_and_serve_with_roles_made_by_hand(server: PostgresServer) -> None:
    url = server.database("switchboard")
    run_roles_sql(url)
    for store in (users, tickets, conversations):
        owner = f"{store.SCHEMA}_owner"
        assert await migrate(as_role(owner, url), store.SCHEMA, store.MIGRATIONS, PASSWORDS[owner]) > 0
    async with (
        open_pool(as_role("users_app", url), "users", password=PASSWORDS["users_app"]) as pool,
        caller_transaction(pool, "user_12345") as db,
    ):
        assert await db.fetchval("SELECT count(*) FROM plans") == 5
    for role in ("tickets_app", "tickets_staff"):
        async with open_pool(as_role(role, url), "tickets", password=PASSWORDS[role]) as pool:
            assert await pool.fetchval("SELECT count(*) FROM tickets") == 0
    async with open_pool(
        as_role("conversations_router", url), "conversations", password=PASSWORDS["conversations_router"]
    ) as pool:
        assert await pool.fetchval("SELECT count(*) FROM stopped_runs($1::text[])", ["run_of_nobody"]) == 1


async def test_running_it_again_changes_a_password_and_keeps_the_data(server: PostgresServer) -> None:
    url = server.database("switchboard")
    run_roles_sql(url)
    await migrate(as_role("users_owner", url), "users", users.MIGRATIONS, PASSWORDS["users_owner"])
    run_roles_sql(url, PASSWORDS | {"users_app": "another"})
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect(as_role("users_app", url), PASSWORDS["users_app"])
    connection = await connect(as_role("users_app", url), "another")
    assert await connection.fetchval("SELECT count(*) FROM users.plans") == 5
    await connection.close()


ROOMS = (users, tickets, conversations)


async def install(url: str, passwords: str, prefix: str = "") -> None:
    """What an installation does with its database before it starts."""
    for store in ROOMS:
        kinds = {kind: f"{passwords} {store.SCHEMA} {kind}" for kind in KINDS[store.SCHEMA]}
        await provision(url, store.SCHEMA, kinds, prefix=prefix)
        owner = as_role(f"{prefix}{store.SCHEMA}_owner", url)
        await migrate(owner, store.SCHEMA, store.MIGRATIONS, kinds["owner"], prefix=prefix)


async def test_two_installations_share_a_server_by_a_prefix(server: PostgresServer) -> None:
    first, second = server.database("first"), server.database("second")
    await install(first, "of the first")
    await install(second, "of the second", "second_")
    for url, prefix, passwords in ((first, "", "of the first"), (second, "second_", "of the second")):
        async with open_pool(as_role(f"{prefix}users_app", url), "users", password=f"{passwords} users app") as pool:
            assert await pool.fetchval("SELECT count(*) FROM plans") == 5
    used = server.psql(
        "SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass "
        "AND refobjid IN (SELECT oid FROM pg_roles WHERE rolname ~ '^(users|tickets|conversations)_') "
        "AND dbid = (SELECT oid FROM pg_database WHERE datname = 'second')"
    )
    assert used.strip() == "0", "the second installation has to do with roles of the first"


async def test_a_password_that_another_database_relies_on_is_left_alone(server: PostgresServer) -> None:
    first, second = server.database("first"), server.database("second")
    await install(first, "of the first")
    with pytest.raises(ValueError, match=r"role users_owner is used by the database first .*DATABASE_ROLE_PREFIX"):
        await install(second, "of the second")
    await install(first, "another")  # its own are its to change
    await (await connect(as_role("users_app", first), "another users app")).close()
    await install(second, "another")  # the same passwords: nothing has to change


@pytest.mark.parametrize(
    ("granted", "lacking"),
    [
        ([], "its role dba lacks CREATEROLE and CREATE on the database switchboard: grant that, or"),
        (["GRANT CREATE ON DATABASE switchboard TO dba"], "its role dba lacks CREATEROLE: grant that"),
        (["ALTER ROLE dba CREATEROLE"], "its role dba lacks CREATE on the database switchboard: grant that"),
    ],
)
async def test_an_administrator_reads_which_right_is_missing_and_the_way_without_it(
    server: PostgresServer, granted: list[str], lacking: str
) -> None:
    url = server.database("switchboard")
    server.psql("CREATE ROLE dba LOGIN PASSWORD 'dba'", *granted)
    with pytest.raises(ValueError, match=r"k8s/postgres/roles\.sql") as refused:
        await provision(url.replace("postgres:test-password", "dba:dba"), "users", {"owner": "a", "app": "b"})
    assert str(refused.value).startswith(lacking)
