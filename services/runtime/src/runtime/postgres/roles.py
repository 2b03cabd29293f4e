"""A schema and the roles that own and use it."""

from collections.abc import Mapping
from typing import Any

from runtime.postgres.pool import connect
from runtime.telemetry.logs import get_logger

log = get_logger("runtime.postgres")


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
