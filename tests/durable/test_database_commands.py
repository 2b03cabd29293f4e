"""`provision`, `migrate`, `seed` and `staff` as pods run them: all at once, before the database, by a mere admin."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import asyncpg
import pytest

from runtime.postgres import connect, migrate, when_up
from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts import nursery
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.service import Service
from tests.parts.signed import KEYS
from users import store

pytestmark = ONCE

AWKWARD = """% @:&#?$ '"\\/é {0}"""
"""The end of every password here."""

KINDS = {"users": ("owner", "app"), "tickets": ("owner", "app", "staff")}
REPLICAS = 3


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """One of its own: it is stopped, and its roles get other passwords than in other tests."""
    server = PostgresServer(tmp_path_factory.mktemp("commands"), free_port(), "test-password")
    await server.start()
    yield server
    await server.stop("immediate")


@pytest.fixture
def admin(server: PostgresServer) -> str:
    """The URL, without a password, of a role that owns a fresh database and may create roles, and no more."""
    server.database("switchboard")
    server.psql(
        "DROP ROLE IF EXISTS users_app, users_owner, tickets_app, tickets_staff, tickets_owner",
        "DROP ROLE IF EXISTS cloud_admin",
        "CREATE ROLE cloud_admin LOGIN CREATEROLE NOINHERIT PASSWORD " + quoted(password("cloud_admin")),
        "ALTER DATABASE switchboard OWNER TO cloud_admin",
    )
    return url(server, "cloud_admin")


def url(server: PostgresServer, role: str) -> str:
    return f"postgresql://{role}@127.0.0.1:{server.port}/switchboard?sslmode=prefer"


def password(role: str) -> str:
    return role + AWKWARD


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def environment(server: PostgresServer, room: str) -> dict[str, str]:
    """What a pod of this room and its init containers are told."""
    made = {f"{room}_{kind}_password".upper(): password(f"{room}_{kind}") for kind in KINDS[room]}
    return (
        KEYS
        | made
        | {
            "ADMIN_DATABASE_URL": url(server, "cloud_admin"),
            "ADMIN_DATABASE_PASSWORD": password("cloud_admin"),
            "MIGRATION_DATABASE_URL": url(server, f"{room}_owner"),
            "MIGRATION_DATABASE_PASSWORD": password(f"{room}_owner"),
            "DATABASE_URL": url(server, f"{room}_app"),
            "DATABASE_PASSWORD": password(f"{room}_app"),
            "STAFF_DATABASE_URL": url(server, "tickets_staff"),
            "STAFF_DATABASE_PASSWORD": password("tickets_staff"),
        }
    )


async def run(command: str, env: dict[str, str]) -> tuple[int, str]:
    """The exit code of `python -m <command>`, and what it wrote."""
    code, out, err = await nursery.run(*command.split(), env=env)
    return code, (out + err).strip()


async def replicas(command: str, env: dict[str, str]) -> list[dict[str, object]]:
    """What several at once logged last, each; all of them have to succeed."""
    done = await asyncio.gather(*(run(command, env) for _ in range(REPLICAS)))
    assert [code for code, _ in done] == [0] * REPLICAS, done
    return [json.loads(said.splitlines()[-1]) for _, said in done]


@pytest.mark.parametrize("room", KINDS)
async def test_pods_that_start_at_once_prepare_their_database_and_serve(
    server: PostgresServer, admin: str, room: str, service: Callable[..., Awaitable[Service]]
) -> None:
    env = environment(server, room)
    await replicas(f"{room} provision", env)
    migrated = await replicas(f"{room} migrate", env)
    applied = [name for one in migrated for name in cast(list[str], one["applied"])]
    assert sorted(applied) == sorted(path.name for path in Path(f"services/{room}/src/{room}/migrations").glob("*.sql"))
    if room == "users":
        assert [one["customers"] for one in await replicas("users seed", env)] == [50] * REPLICAS
    else:
        assert await run("tickets staff list", env) == (0, "no tickets")
    await (await service(room, **env)).stop()


async def test_the_roles_are_nothing_but_what_they_have_to_be(server: PostgresServer, admin: str) -> None:
    for room in KINDS:
        assert (await run(f"{room} provision", environment(server, room)))[0] == 0
    strong = server.psql(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^(users|tickets)_' "
        "AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication OR NOT rolcanlogin)"
    )
    owners = server.psql(
        "SELECT nspname || ' of ' || nspowner::regrole FROM pg_namespace WHERE nspname IN ('users', 'tickets')",
        database="switchboard",
    )
    assert strong == ""
    assert set(owners.split("\n")) >= {"users of users_owner", "tickets of tickets_owner"}


async def test_a_role_that_became_a_superuser_is_put_back_by_one_and_refused_by_others(
    server: PostgresServer, admin: str
) -> None:
    env = environment(server, "users")
    assert (await run("users provision", env))[0] == 0
    server.psql("ALTER ROLE users_app SUPERUSER")

    code, said = await run("users provision", env)
    assert code == 1
    assert said.startswith("setting ADMIN_DATABASE_URL: the database refused: permission denied")

    superuser = {"ADMIN_DATABASE_URL": server.url("switchboard"), "ADMIN_DATABASE_PASSWORD": ""}
    assert (await run("users provision", env | superuser))[0] == 0
    assert server.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'users_app'").strip() == "f"


async def test_an_older_version_leaves_the_schema_of_a_newer_one_alone(
    server: PostgresServer, admin: str, tmp_path: Path
) -> None:
    env = environment(server, "users")
    assert (await run("users provision", env))[0] == 0
    newer = Path(shutil.copytree(store.MIGRATIONS, tmp_path / "migrations"))
    number = len(list(newer.iterdir())) + 1
    (newer / f"{number:04}_next.sql").write_text("ALTER TABLE customers ADD COLUMN tier text NOT NULL DEFAULT 'basic';")
    owner = url(server, "users_owner")
    assert await migrate(owner, "users", newer, password("users_owner")) == number

    code, said = await run("users migrate", env)
    assert (code, json.loads(said)["applied"]) == (0, [])
    assert (await run("users seed", env))[0] == 0
    connection = await connect(server.url("switchboard"))
    assert await connection.fetchval("SELECT count(*) FROM users.customers WHERE tier = 'basic'") == 50
    assert await connection.fetchval("SELECT max(version) FROM users.schema_migrations") == number
    await connection.close()


@pytest.mark.parametrize("command", ["users provision", "users migrate", "users seed", "tickets provision"])
async def test_a_command_waits_for_a_database_that_is_starting_and_says_so_once(
    server: PostgresServer, admin: str, command: str, tmp_path: Path
) -> None:
    env = environment(server, command.split()[0])
    if command in ("users migrate", "users seed"):
        assert (await run("users provision", env))[0] == 0
        assert (await run("users migrate", env))[0] == 0
    await server.stop()
    log = tmp_path / "log"
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command.split()), env=os.environ | env, stderr=output
        )
    await eventually(lambda: logged(log, "waiting_for_database"))
    await server.start()
    assert await asyncio.wait_for(child.wait(), 30) == 0, log.read_text()
    assert log.read_text().count("waiting_for_database") == 1


async def logged(log: Path, event: str) -> bool:
    return event in log.read_text()


@pytest.mark.parametrize("command", ["users", "users provision", "users migrate", "users seed", "tickets migrate"])
async def test_a_wrong_password_is_said_at_once_in_one_line_without_it(
    server: PostgresServer, admin: str, command: str
) -> None:
    env = environment(server, command.split()[0])
    code, said = await run(command, {name: "wrong" if "_PASSWORD" in name else told for name, told in env.items()})
    assert code == 1
    assert said.startswith("setting ")
    assert "password authentication failed" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ConnectionRefusedError(111, "refused"), "no database after 0 s: ConnectionRefusedError: [Errno 111] refused"),
        (TimeoutError(), "no database after 0 s: TimeoutError"),
        (asyncpg.CannotConnectNowError("starting"), "no database after 0 s: CannotConnectNowError: starting"),
        (asyncpg.TooManyConnectionsError("full"), "no database after 0 s: TooManyConnectionsError: full"),
        (asyncpg.InvalidCatalogNameError("no such database"), "the database refused: no such database"),
    ],
)
async def test_a_database_that_never_comes_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, told: str
) -> None:
    monkeypatch.setattr("runtime.postgres.pool.START_DEADLINE_SECONDS", 0.1)
    monkeypatch.setattr("runtime.postgres.pool.START_POLL_SECONDS", 0.1)

    async def work() -> None:
        raise fault

    with pytest.raises(SystemExit) as ended:
        await when_up("MIGRATION_DATABASE_URL", work)
    assert str(ended.value) == f"setting MIGRATION_DATABASE_URL: {told}"
