"""PostgreSQL for a service: a pool with every timeout set, transactions that see one caller alone, migrations, roles.

Row-level security does the separation: each transaction sets `app.user_id`, each policy compares with it, and unset
or empty means nobody.
"""

import asyncio
import hashlib
import re
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from restate import TerminalError
from restate.exceptions import RetryableError

from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import counter, gauge, histogram
from runtime.telemetry.tracing import untraced

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Pool = Any

POOL_SIZE = 8
ACQUIRE_SECONDS = 2.0
COMMAND_SECONDS = 5.0
RETRY_AFTER = timedelta(milliseconds=500)
START_DEADLINE_SECONDS = 60.0
START_POLL_SECONDS = 0.5

Result = TypeVar("Result")

_RETRYABLE_CLASSES = {"08", "28", "40", "53", "55", "57", "58"}
_READ_ONLY = "25006"
"""What a primary says that has become a standby (read_only_sql_transaction): others will be told another server."""
_STARTING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""What a database says, or its absence, while it is coming up: refused, unknown host, no reply, not yet, too many."""
_MIGRATION = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

log = get_logger(__name__)

_connections = gauge("switchboard_postgres_pool_connections")
_limit = gauge("switchboard_postgres_pool_limit")
_waiting = gauge("switchboard_postgres_pool_waiting")
_wait = histogram("switchboard_postgres_pool_wait_seconds")
_errors = counter("switchboard_postgres_errors_total")
for _kind in ("away", "busy", "refused"):
    _errors.labels(_kind)


async def connect(url: str, password: str = "", *, command_seconds: float | None = None, **server_settings: str) -> Any:
    """One connection. The password never goes into the URL, where its characters would have a meaning."""
    return await asyncpg.connect(
        url,
        password=password or None,
        timeout=COMMAND_SECONDS,
        command_timeout=command_seconds,
        server_settings=server_settings,
    )


@asynccontextmanager
async def open_pool(url: str, schema: str, size: int = POOL_SIZE, password: str = "") -> AsyncGenerator[Pool]:
    """A pool whose connections see `schema`; waits for a database that is starting. The metrics are the last pool's.

    Ends the process with one line when the role could bypass row-level security.
    """
    pool = asyncpg.create_pool(
        url,
        password=password or None,
        min_size=0,
        max_size=size,
        timeout=COMMAND_SECONDS,
        command_timeout=COMMAND_SECONDS,
        reset=_no_reset,
        server_settings={
            "search_path": schema,
            "application_name": f"switchboard-{schema}",
            "timezone": "UTC",
            "statement_timeout": "5s",
            "lock_timeout": "2s",
            "idle_in_transaction_session_timeout": "10s",
        },
    )
    async with pool:
        if await when_up("DATABASE_URL", lambda: pool.fetchval(_TOO_STRONG, schema)):
            sys.exit(
                f"setting DATABASE_URL: its role owns schema {schema} or bypasses row-level security; "
                "use the login role"
            )
        _measure(pool)
        yield pool


def _measure(pool: Pool) -> None:
    """Asked by each scrape, so what is told is never older than it."""
    _connections.labels("used").set_function(lambda: pool.get_size() - pool.get_idle_size())
    _connections.labels("idle").set_function(pool.get_idle_size)
    _limit.set(pool.get_max_size())


async def _no_reset(_: Any) -> None:
    """Nothing outlives a transaction here, so a connection goes back as it is, without a round trip."""


_TOO_STRONG = """
SELECT rolsuper OR rolbypassrls
    OR EXISTS (SELECT FROM pg_namespace WHERE nspname = $1 AND pg_get_userbyid(nspowner) = current_user)
FROM pg_roles WHERE rolname = current_user
"""


def run_command(setting: str, work: Callable[[], Awaitable[Any]]) -> None:
    """Run a command on the database that `setting` names to its end; it may be begun again, until the database is up.

    Ends the process with one line about what an operator can mend.
    """
    try:
        asyncio.run(when_up(setting, work))
    except ValueError as error:
        sys.exit(str(error))


async def when_up(setting: str, work: Callable[[], Awaitable[Result]]) -> Result:
    """What `work` returns. While the database is starting it is tried again; any other refusal ends the process."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + START_DEADLINE_SECONDS
    waiting = False
    while True:
        try:
            return await work()
        except ssl.SSLCertVerificationError as error:
            sys.exit(f"setting {setting}: the database's certificate is not trusted: {error.verify_message}")
        except _STARTING as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            if clock() > deadline:
                sys.exit(f"setting {setting}: no database after {START_DEADLINE_SECONDS:.0f} s: {reason}")
            if not waiting:
                log.warning("waiting_for_database", extra={"setting": setting, "reason": reason})
            waiting = True
            await asyncio.sleep(START_POLL_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            sys.exit(f"setting {setting}: the database refused: {error}")


@asynccontextmanager
async def caller_transaction(pool: Pool, user_id: str) -> AsyncGenerator[Connection]:
    """One transaction that sees the rows of `user_id` alone.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement.
    """
    with sql_errors():
        async with _connection(pool) as connection, connection.transaction():
            with untraced():
                await connection.execute("SELECT set_config('app.user_id', $1, true)", user_id)
            yield connection


@asynccontextmanager
async def _connection(pool: Pool) -> AsyncGenerator[Connection]:
    with _waiting.track_inprogress(), _wait.time():
        connection = await _acquire(pool)
    try:
        yield connection
    except asyncpg.ReadOnlySQLTransactionError:
        connection.terminate()
        raise
    finally:
        await pool.release(connection)


async def _acquire(pool: Pool) -> Connection:
    try:
        return await pool.acquire(timeout=ACQUIRE_SECONDS)
    except TimeoutError:
        if pool.get_size() < pool.get_max_size():  # it may open more connections: the database does not answer
            raise
        _errors.labels("busy").inc()
        log.warning("database_busy")
        raise _again("the database is busy: every connection of the pool is in use") from None


@contextmanager
def sql_errors() -> Generator[None]:
    """Turn database errors into what Restate should do about them, without their text, which may hold data."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state = error.sqlstate or ""
        if state[:2] in _RETRYABLE_CLASSES or state == _READ_ONLY:
            raise _away(f"SQLSTATE {state}") from None
        _errors.labels("refused").inc()
        log.error("statement_refused", extra={"sqlstate": state, "error": type(error).__name__})
        raise TerminalError("the database refused the statement", status_code=500) from None
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise _away(type(error).__name__) from None


def _away(reason: str) -> RetryableError:
    _errors.labels("away").inc()
    log.warning("database_away", extra={"reason": reason})
    return _again(f"the database is away: {reason}")


def _again(message: str) -> RetryableError:
    return RetryableError(message, status_code=503, retry_after=RETRY_AFTER)


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file; immutable once merged."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path) -> list[Migration]:
    """The `NNNN_name.sql` files of a folder in order; raises ValueError when a number is missing or taken twice."""
    files = sorted(path for path in directory.glob("*.sql"))
    migrations = [Migration(index, path.name, path.read_text()) for index, path in enumerate(files, start=1)]
    for migration in migrations:
        match = _MIGRATION.match(migration.name)
        if match is None or int(match[1]) != migration.version:
            raise ValueError(f"migration {migration.name}: expected a name like {migration.version:04}_what.sql")
    return migrations


async def migrate(owner_url: str, schema: str, directory: Path, password: str = "") -> int:
    """Apply what is missing, each file in a transaction of its own, one process at a time; returns how many.

    What a newer version has applied is left alone. Raises ValueError when a file that was applied has changed since.
    """
    connection = await connect(owner_url, password, search_path=schema)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('switchboard:' || $1))", schema)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["version"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_migrations")}
        todo: list[Migration] = []
        for migration in read_migrations(directory):
            if migration.version not in applied:
                todo.append(migration)
            elif applied[migration.version] != migration.checksum:
                raise ValueError(f"migration {migration.name} was changed after it was applied; add a new file instead")
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
        log.info("migrated", extra={"schema": schema, "applied": [migration.name for migration in todo]})
        return len(todo)
    finally:
        await connection.close()


async def provision(admin_url: str, schema: str, passwords: Mapping[str, str], password: str = "") -> None:
    """Create a schema and its login roles `<schema>_<kind>`, one for each kind in `passwords`; repeatable.

    `owner` owns the schema and runs migrations; the others may only use it: migrations grant them what they need.
    None is a superuser, none bypasses row-level security. The administrator itself needs to be neither: CREATEROLE,
    and CREATE on the database, are enough.
    """
    connection = await connect(admin_url, password)
    owner = f"{schema}_owner"
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('switchboard:provision'))")
            database = await connection.fetchval("SELECT current_database()")
            for kind, role_password in passwords.items():
                await _create_role(connection, f"{schema}_{kind}", role_password)
                await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, f"{schema}_{kind}")
            await _execute(connection, "GRANT %I TO CURRENT_USER", owner)
            await _execute(connection, "CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", schema, owner)
            await _execute(connection, "SET LOCAL ROLE %I", owner)  # an administrator may own, and inherit, nothing
            for kind in passwords:
                await _execute(connection, "GRANT USAGE ON SCHEMA %I TO %I", schema, f"{schema}_{kind}")
        log.info("provisioned", extra={"schema": schema, "roles": [f"{schema}_{kind}" for kind in passwords]})
    finally:
        await connection.close()


async def _create_role(connection: Any, role: str, password: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await _execute(connection, "CREATE ROLE %I", role)
    for attribute in await connection.fetchval(_STRONG_ATTRIBUTES, role):
        await _execute(connection, f"ALTER ROLE %I NO{attribute}", role)
    await _execute(connection, "ALTER ROLE %I LOGIN PASSWORD %L", role, password)


_STRONG_ATTRIBUTES = """
SELECT array_remove(ARRAY[
    CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END,
    CASE WHEN rolreplication THEN 'REPLICATION' END
], NULL)
FROM pg_roles WHERE rolname = $1
"""
"""Only those that a role has are taken away: a mere administrator may not so much as name the others."""


async def _execute(connection: Any, template: str, *arguments: str) -> None:
    """Statements about roles take no parameters, so PostgreSQL itself quotes what goes into them."""
    places = ", ".join(f"${index}::text" for index in range(2, len(arguments) + 2))
    await connection.execute(await connection.fetchval(f"SELECT format($1, {places})", template, *arguments))
