"""`runtime.postgres` and the commands that stand on it, against a real PostgreSQL."""

import asyncio
import shutil
import socket
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY
from restate import TerminalError
from restate.exceptions import RetryableError

from runtime.postgres import Pool, caller_transaction, migrate, open_pool, provision
from tests.parts import nursery
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.signed import KEYS
from users.store import MIGRATIONS

PASSWORDS = {"owner": "owner-password", "app": "app-password"}


@pytest.fixture(scope="module")
async def postgres(own_postgres: PostgresServer) -> PostgresServer:
    """No password changes that another database relies on."""
    return own_postgres


@pytest.fixture
async def admin_url(postgres: PostgresServer) -> str:
    """A fresh database with the schema `users`, still empty."""
    url = postgres.database("postgres_tests")
    await provision(url, "users", PASSWORDS)
    return url


def url_of(kind: str, admin_url: str) -> str:
    return admin_url.replace("postgres:test-password", f"users_{kind}:{PASSWORDS[kind]}")


async def command(*arguments: str, **env: str) -> tuple[int, str]:
    """Runs `python -m users ...` and returns its exit code and what it wrote to standard error."""
    code, _, stderr = await nursery.run("users", *arguments, env=KEYS | env)
    return code, stderr.strip()


async def test_provisioning_again_keeps_the_data_and_takes_the_new_password(admin_url: str) -> None:
    await migrate(url_of("owner", admin_url), "users", MIGRATIONS)
    await provision(admin_url, "users", PASSWORDS | {"app": 'it\'s "new"'})
    connection = await asyncpg.connect(admin_url.replace("postgres:test-password", "users_app:it's%20%22new%22"))
    assert await connection.fetchval("SELECT count(*) FROM users.plans") == 5
    await connection.close()


async def test_two_migrations_at_once_apply_each_file_once(admin_url: str) -> None:
    url = url_of("owner", admin_url)
    counts = await asyncio.gather(*(migrate(url, "users", MIGRATIONS) for _ in range(3)))
    assert sum(counts) == len(list(MIGRATIONS.glob("*.sql")))


async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(admin_url: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))
    await migrate(url_of("owner", admin_url), "users", folder)
    first = sorted(folder.iterdir())[0]
    first.write_text(first.read_text() + "\nDROP TABLE invoices;\n")
    with pytest.raises(ValueError, match=r"0001_.* was changed after it was applied"):
        await migrate(url_of("owner", admin_url), "users", folder)


async def test_a_migration_that_fails_leaves_nothing_behind(admin_url: str, tmp_path: Path) -> None:
    (tmp_path / "0001_half.sql").write_text("CREATE TABLE half (n int); SELECT 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(url_of("owner", admin_url), "users", tmp_path)
    connection = await asyncpg.connect(admin_url)
    assert await connection.fetchval("SELECT to_regclass('users.half')") is None
    await connection.close()


async def test_the_commands_migrate_and_seed_can_be_repeated(admin_url: str) -> None:
    for _ in range(2):
        for name in ("migrate", "seed"):
            code, said = await command(name, MIGRATION_DATABASE_URL=url_of("owner", admin_url))
            assert code == 0, said
    connection = await asyncpg.connect(admin_url)
    assert await connection.fetchval("SELECT count(*) FROM users.customers") == 50
    await connection.close()


async def test_a_wrong_password_is_told_in_one_line_that_names_the_setting(admin_url: str) -> None:
    wrong = admin_url.replace("test-password", "wrong-password")
    for arguments, name in ((("migrate",), "MIGRATION_DATABASE_URL"), ((), "DATABASE_URL")):
        code, line = await command(*arguments, **{name: wrong})
        assert code == 1
        assert line.startswith(f"setting {name}: ")
        assert "\n" not in line
        assert "wrong-password" not in line


@pytest.mark.parametrize("role", ["superuser", "owner"])
async def test_serving_as_a_role_that_row_level_security_does_not_bind_is_refused(admin_url: str, role: str) -> None:
    code, line = await command(DATABASE_URL=admin_url if role == "superuser" else url_of("owner", admin_url))
    assert code == 1
    assert line == (
        "setting DATABASE_URL: its role owns schema users or bypasses row-level security; use the login role"
    )


async def test_every_timeout_is_set_in_a_transaction(admin_url: str) -> None:
    async with open_pool(url_of("app", admin_url), "users") as pool, caller_transaction(pool, "anybody") as db:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            assert await db.fetchval("SELECT current_setting($1)", name) != "0", name


async def test_a_statement_that_takes_too_long_is_retried(admin_url: str) -> None:
    async with open_pool(url_of("app", admin_url), "users") as pool:
        with pytest.raises(RetryableError):
            async with caller_transaction(pool, "anybody") as db:
                await db.execute("SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(5)")


async def test_a_statement_for_nobody_keeps_no_connection_to_a_server_that_has_become_read_only(
    admin_url: str,
) -> None:
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool:
        first = await pool.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await pool.execute("SET LOCAL transaction_read_only = on; CREATE TABLE users.anything ()")
        assert await pool.fetchval("SELECT pg_backend_pid()") != first


async def test_a_server_that_has_become_read_only_is_asked_again_on_another_connection(admin_url: str) -> None:
    before = errors()
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool:
        first = await pool.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(RetryableError, match="25006"):
            async with caller_transaction(pool, "anybody") as db:
                await db.execute("SET LOCAL transaction_read_only = on; CREATE TABLE users.anything ()")
        assert await pool.fetchval("SELECT pg_backend_pid()") != first
    assert new_errors(before) == {"away": 1}


RETRIED, CLOSED, REFUSED = "tried again", "tried again on another connection", "refused"


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        *[(state, CLOSED) for state in ("08000", "08003", "08006", "08P01")],
        *[(state, CLOSED) for state in ("25006", "57P01", "57P02", "57P03", "57P04", "57P05")],
        *[(state, CLOSED) for state in ("53000", "53100", "53200", "53300", "53400")],
        *[(state, RETRIED) for state in ("28000", "28P01", "40001", "40P01", "40003", "55P03", "55006", "57014")],
        *[(state, RETRIED) for state in ("58000", "58030")],
        *[
            (state, REFUSED)
            for state in ("22021", "22P05", "23505", "23514", "25P02", "42501", "42P01", "P0001", "XX000")
        ],
    ],
)
async def test_what_a_server_says_decides_what_becomes_of_the_transaction_and_of_its_connections(
    admin_url: str, state: str, verdict: str
) -> None:
    async with open_pool(url_of("app", admin_url), "users", size=2) as pool:
        async with pool.connections.acquire() as one, pool.connections.acquire() as other:
            before = {await each.fetchval("SELECT pg_backend_pid()") for each in (one, other)}
        with pytest.raises((RetryableError, TerminalError)) as raised:
            async with caller_transaction(pool, "anybody") as db:
                await db.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
        async with pool.connections.acquire() as one, pool.connections.acquire() as other:
            after = {await each.fetchval("SELECT pg_backend_pid()") for each in (one, other)}
    assert isinstance(raised.value, TerminalError) == (verdict == REFUSED)
    assert ("all connections closed" in str(raised.value)) == (verdict == CLOSED)
    assert after.isdisjoint(before) == (verdict == CLOSED)
    assert after == before or verdict == CLOSED


async def test_what_fails_on_and_on_is_tried_slower_and_slower(admin_url: str) -> None:
    pauses: list[float] = []
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool:
        await empty_transaction(pool)  # it is over with former failures of this process
        for _ in range(9):
            with pytest.raises(RetryableError) as raised:
                async with caller_transaction(pool, "anybody") as db:
                    await db.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
            assert raised.value.retry_after is not None
            pauses.append(raised.value.retry_after.total_seconds())
    for pause, longest in zip(pauses, (0.5, 1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert 0.75 * longest <= pause <= longest
    assert pauses != [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_transaction_that_succeeds_begins_the_pauses_anew(admin_url: str) -> None:
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool:
        await empty_transaction(pool)
        for _ in range(4):
            with pytest.raises(RetryableError) as raised:
                async with caller_transaction(pool, "anybody") as db:
                    await db.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$")
            assert raised.value.retry_after is not None
            assert raised.value.retry_after.total_seconds() <= 0.5
            await empty_transaction(pool)


async def test_an_exhausted_pool_is_retried_and_not_waited_for(admin_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.postgres.transactions.ACQUIRE_SECONDS", 0.1)
    before = errors()
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool, pool.connections.acquire():
        with pytest.raises(RetryableError, match="busy"):
            async with caller_transaction(pool, "anybody"):
                pass
    assert new_errors(before) == {"busy": 1}


async def test_a_database_that_does_not_answer_is_away_and_not_busy(
    admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.postgres.transactions.ACQUIRE_SECONDS", 0.1)
    before = errors()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        connections = asyncpg.create_pool(f"postgresql://nobody@127.0.0.1:{port}/none", min_size=0, max_size=1)
        pool = Pool(connections, "users")
        async with connections:
            with pytest.raises(RetryableError, match="away"):
                async with caller_transaction(pool, "anybody"):
                    pass
    assert new_errors(before) == {"away": 1}


async def test_the_metrics_tell_how_the_pool_is_used_and_who_waits(admin_url: str) -> None:
    async with open_pool(url_of("app", admin_url), "users", size=1) as pool:
        waits = sample("switchboard_postgres_pool_wait_seconds_count")
        async with caller_transaction(pool, "anybody"):
            assert connections() == {"used": 1, "idle": 0, "limit": 1}
            second = asyncio.create_task(empty_transaction(pool))
            await eventually(waiting)
        await second
        assert connections() == {"used": 0, "idle": 1, "limit": 1}
        assert sample("switchboard_postgres_pool_waiting") == 0
        assert sample("switchboard_postgres_pool_wait_seconds_count") - waits == 2


async def waiting() -> bool:
    return sample("switchboard_postgres_pool_waiting") == 1


async def empty_transaction(pool: Pool) -> None:
    async with caller_transaction(pool, "anybody"):
        pass


def sample(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None, name
    return value


def connections() -> dict[str, float]:
    used, idle = (sample("switchboard_postgres_pool_connections", state=state) for state in ("used", "idle"))
    return {"used": used, "idle": idle, "limit": sample("switchboard_postgres_pool_limit")}


def errors() -> dict[str, float]:
    return {kind: sample("switchboard_postgres_errors_total", kind=kind) for kind in ("away", "busy", "refused")}


def new_errors(before: dict[str, float]) -> dict[str, float]:
    return {kind: count - before[kind] for kind, count in errors().items() if count != before[kind]}


async def test_a_refused_statement_is_final_and_tells_nothing(admin_url: str) -> None:
    before = errors()
    async with open_pool(url_of("app", admin_url), "users") as pool:
        with pytest.raises(TerminalError) as caught:
            async with caller_transaction(pool, "anybody") as db:
                await db.execute("SELECT secret FROM nowhere")
    assert str(caught.value.message) == "the database refused the statement"
    assert new_errors(before) == {"refused": 1}
