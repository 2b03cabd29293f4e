"""A pool with every timeout set; waits for a database that is starting."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from runtime.database_url import address
from runtime.postgres.states import UNUSABLE, is_leaving
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import SHARED
from runtime.terminal import leave

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Connections = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Connections = Any

POOL_SIZE = 8
STATEMENTS_KEPT = 100
"""Prepared by each connection; none through a pooler, where the next transaction may meet a session without them."""
COMMAND_SECONDS = 5.0
START_DEADLINE_SECONDS = 60.0
START_POLL_SECONDS = 0.5

Result = TypeVar("Result")

_STARTING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""What a database says, or its absence, while it is coming up: refused, unknown host, no reply, not yet, too many."""

log = get_logger("runtime.postgres")

_connections = SHARED.gauge("switchboard_postgres_pool_connections")
_limit = SHARED.gauge("switchboard_postgres_pool_limit")


@dataclass(frozen=True)
class Pool:
    """Connections of one login role to one schema.

    All that a session would keep is set in each transaction instead: PgBouncer refuses startup parameters
    (https://www.pgbouncer.org/config.html#ignore_startup_parameters) and lends a session for one transaction.
    """

    connections: Connections
    schema: str

    async def execute(self, statement: str, *arguments: Any) -> str:
        """One statement for nobody, in a transaction of its own, as in `fetch` and `fetchval`."""
        async with self._transaction() as db:
            return await db.execute(statement, *arguments)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with self._transaction() as db:
            return await db.fetch(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self._transaction() as db:
            return await db.fetchval(query, *arguments)

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[Connection]:
        connection = await self.connections.acquire(timeout=COMMAND_SECONDS)
        async with lent(self.connections, connection) as db, db.transaction():
            await db.execute(begin_as(self.schema), "")
            yield db


@asynccontextmanager
async def lent(connections: Connections, connection: Connection) -> AsyncGenerator[Connection]:
    """Give a connection back at the end; to a server that is leaving, none is kept."""
    try:
        yield connection
    except asyncpg.PostgresError as error:
        if is_leaving(error):
            connection.terminate()
            await connections.expire_connections()
        raise
    finally:
        await connections.release(connection)


@cache
def begin_as(schema: str) -> str:
    """The first statement of a transaction in this schema; `$1` is the caller."""
    others = "".join(f", set_config('{name}', '{value}', true)" for name, value in _IN_TRANSACTIONS.items())
    return f"SELECT set_config('app.user_id', $1, true), set_config('search_path', '{schema}', true){others}"


_IN_TRANSACTIONS = {
    "timezone": "UTC",
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "10s",
}


async def connect(url: str, password: str = "", *, command_seconds: float | None = None, **session: str) -> Any:
    """One connection, with settings for its whole session, which a pooler does not take.

    The password never goes into the URL, where its characters would have a meaning.

    Raises: ValueError if settings are wanted through a pooler.
    """
    where = address(url)
    if session and where.is_pooled:
        raise ValueError("this command wants a database URL that goes past the pooler")
    return await asyncpg.connect(
        where.url,
        password=password or None,
        timeout=COMMAND_SECONDS,
        command_timeout=command_seconds,
        statement_cache_size=0 if where.is_pooled else STATEMENTS_KEPT,
        server_settings=session,
    )


@asynccontextmanager
async def open_pool(
    url: str,
    schema: str,
    size: int = POOL_SIZE,
    password: str = "",
    *,
    setting: str = "DATABASE_URL",
    waits: bool = True,
) -> AsyncGenerator[Pool]:
    """A pool whose connections see `schema`; waits for a database that is starting. The metrics are the last pool's.

    With `waits=False` it is there at once, and whoever uses it does without until the database and its roles are made.
    Ends the process with one line, now or then, when the role could bypass row-level security.
    """
    where = address(url)
    connections = asyncpg.create_pool(
        where.url,
        password=password or None,
        min_size=0,
        max_size=size,
        timeout=COMMAND_SECONDS,
        command_timeout=COMMAND_SECONDS,
        reset=_no_reset,
        statement_cache_size=0 if where.is_pooled else STATEMENTS_KEPT,
        server_settings={"application_name": f"switchboard-{schema}"},
    )
    async with connections:
        pool = Pool(connections, schema)
        check = partial(_check_role, pool, setting)
        if waits:
            await when_up(setting, check)
        _measure(connections)
        async with nullcontext() if waits else _meanwhile(_once_up(setting, check)):
            yield pool


async def _check_role(pool: Pool, setting: str) -> None:
    if await pool.fetchval(_TOO_STRONG, pool.schema):
        leave(
            f"setting {setting}: its role owns schema {pool.schema} or bypasses row-level security; use the login role"
        )


async def _once_up(setting: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do this work when the database can do it, however late."""
    said = ""
    while True:
        try:
            await work()
            return
        except UNUSABLE as error:
            reason = type(error).__name__
        if reason != said:
            log.warning("waiting_for_database", extra={"setting": setting, "reason": reason})
        said = reason
        await asyncio.sleep(START_POLL_SECONDS)


@asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _measure(pool: Connections) -> None:
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
        leave(str(error))


async def when_up(setting: str, work: Callable[[], Awaitable[Result]]) -> Result:
    """What `work` returns. While the database is starting it is tried again; any other refusal ends the process."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + START_DEADLINE_SECONDS
    waiting = False
    while True:
        try:
            return await work()
        except ssl.SSLCertVerificationError as error:
            leave(f"setting {setting}: the database's certificate is not trusted: {error.verify_message}")
        except _STARTING as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
            if clock() > deadline:
                leave(f"setting {setting}: no database after {START_DEADLINE_SECONDS:.0f} s: {reason}")
            if not waiting:
                log.warning("waiting_for_database", extra={"setting": setting, "reason": reason})
            waiting = True
            await asyncio.sleep(START_POLL_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            leave(f"setting {setting}: the database refused: {error}")
