"""Migrations: numbered SQL files, each applied once."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from runtime.postgres.pool import connect
from runtime.telemetry.logs import get_logger

_MIGRATION = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

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
