"""Migrations: numbered SQL files, each applied once."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from runtime.postgres.pool import connect
from runtime.postgres.roles import with_prefix
from runtime.telemetry.logs import get_logger

_MIGRATION = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

LOCK_SECONDS = 60
_HELD = (
    "another process has held the lock on the migrations of schema {schema} for {seconds} s. "
    "See which: SELECT pid, usename, state, query FROM pg_stat_activity "
    "WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
)

log = get_logger("runtime.postgres")


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


async def migrate(owner_url: str, schema: str, directory: Path, password: str = "", *, prefix: str = "") -> int:
    """Apply what is missing, each file in a transaction of its own, one process at a time; returns how many.

    The names of roles begin with the prefix. What a newer version has applied is left alone. A pooler may stand
    between: nothing outlives a transaction.

    Raises: ValueError when a file that was applied has changed since, or another process holds the lock for too long.
    """
    migrations = read_migrations(directory)
    connection = await connect(owner_url, password)
    applied: list[str] = []
    try:
        while (migration := await _apply_next(connection, schema, migrations, prefix)) is not None:
            applied.append(migration.name)
        log.info("migrated", extra={"schema": schema, "applied": applied})
        return len(applied)
    finally:
        await connection.close()


async def _apply_next(connection: Any, schema: str, migrations: list[Migration], prefix: str) -> Migration | None:
    """The migration that was applied, in its order; None when there is nothing left to do."""
    async with connection.transaction():
        await _lock(connection, schema)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["version"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_migrations")}
        for migration in migrations:
            if applied.get(migration.version, migration.checksum) != migration.checksum:
                raise ValueError(f"migration {migration.name} was changed after it was applied; add a new file instead")
        missing = [migration for migration in migrations if migration.version not in applied]
        if not missing:
            return None
        migration = missing[0]
        await connection.execute(with_prefix(migration.sql, prefix))
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
        return migration


async def _lock(connection: Any, schema: str) -> None:
    """For this transaction: its schema, and the sole right to migrate it."""
    await connection.execute("SELECT set_config('search_path', $1, true)", schema)
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{LOCK_SECONDS}s")
    try:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('switchboard:' || $1))", schema)
    except asyncpg.LockNotAvailableError:
        raise ValueError(_HELD.format(schema=schema, seconds=LOCK_SECONDS)) from None
