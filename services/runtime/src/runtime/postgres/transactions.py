"""Transactions that see one caller's rows alone, and what Restate should do about a database's errors.

Row-level security does the separation: each transaction sets `app.user_id`, each policy compares with it, and unset
or empty means nobody. Whatever failed for want of a database is tried slower and slower, to once a minute. So is what
a database refuses of work that was accepted for good: somebody can mend that.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from restate import TerminalError
from restate.exceptions import RetryableError
from restate.extensions import current_context

from runtime.postgres.pool import Connection, Connections, Pool, begin_as, lent
from runtime.postgres.states import BROKEN, is_leaving, is_of_another_session, is_passing
from runtime.retries import accepted_for_good
from runtime.steps import Attempts, pause_after, spread
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import SHARED
from runtime.telemetry.tracing import untraced

ACQUIRE_SECONDS = 2.0

log = get_logger("runtime.postgres")

_waiting = SHARED.gauge("switchboard_postgres_pool_waiting")
_wait = SHARED.histogram("switchboard_postgres_pool_wait_seconds")
_errors = SHARED.counter("switchboard_postgres_errors_total")
for _kind in ("away", "busy", "refused"):
    _errors.labels(_kind)

_failed = Attempts()
"""How often each invocation failed for want of a database, since a transaction of its last succeeded here."""


@asynccontextmanager
async def caller_transaction(pool: Pool, user_id: str) -> AsyncGenerator[Connection]:
    """One transaction that sees the rows of `user_id` alone.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement. Work
    that was accepted for good is tried again then, too.
    """
    with sql_errors():
        async with _connection(pool.connections) as connection, connection.transaction():
            with untraced():
                await connection.execute(begin_as(pool.schema), user_id)
            yield connection
    _failed.forget(_invocation())


@asynccontextmanager
async def _connection(pool: Connections) -> AsyncGenerator[Connection]:
    with _waiting.track_inprogress(), _wait.time():
        connection = await _acquire(pool)
    async with lent(pool, connection):
        yield connection


async def _acquire(pool: Connections) -> Connection:
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
        if is_leaving(error):
            raise _away(f"SQLSTATE {state}, all connections closed") from None
        if is_of_another_session(error):
            raise _away("a pooler lends sessions: DATABASE_URL has to end in ?pgbouncer=true") from None
        if is_passing(error):
            raise _away(f"SQLSTATE {state}") from None
        _errors.labels("refused").inc()
        log.error("statement_refused", extra={"sqlstate": state, "error": type(error).__name__})
        if accepted_for_good.get() and not _is_of_another_caller(error):
            raise _again(f"the database refused the statement: SQLSTATE {state}") from None
        raise TerminalError("the database refused the statement", status_code=500) from None
    except BROKEN as error:
        raise _away(type(error).__name__) from None


def _is_of_another_caller(error: asyncpg.PostgresError) -> bool:
    """Whether row-level security refused a row. Nobody shall mend that; its SQLSTATE is that of a missing right."""
    return error.server_source_function == "ExecWithCheckOptions"


def _away(reason: str) -> RetryableError:
    _errors.labels("away").inc()
    log.warning("database_away", extra={"reason": reason})
    return _again(f"the database is away: {reason}")


def _again(message: str) -> RetryableError:
    failures = _failed.begin(_invocation()).number
    return RetryableError(message, status_code=503, retry_after=spread(pause_after(failures)))


def _invocation() -> tuple[str, str]:
    """Whose transaction this is; all that belong to none are counted as one."""
    try:
        context: Any = current_context()
    except LookupError:
        context = None
    return ("" if context is None else context.request().id, "database")
