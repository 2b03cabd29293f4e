"""A schema and the roles that own and use it."""

import re
from collections.abc import Mapping
from typing import Any

import asyncpg

from runtime.database_url import address
from runtime.postgres.pool import COMMAND_SECONDS, connect
from runtime.telemetry.logs import get_logger

log = get_logger("runtime.postgres")


_ROLES_IN_SQL = re.compile(r"\b(users|tickets|conversations)_(owner|app|staff|router|gateway)\b")

_BY_HAND = "or let an administrator make the roles by k8s/postgres/roles.sql, and do not provision"

_SHARED = """
role {role} is used by the database {other} of the same server, and has another password there, which is left alone: \
set DATABASE_ROLE_PREFIX, so that this installation has roles of its own"""


def with_prefix(sql: str, prefix: str) -> str:
    """The same statements for roles whose names begin with this."""
    return _ROLES_IN_SQL.sub(rf"{prefix}\1_\2", sql) if prefix else sql


async def provision(
    admin_url: str, schema: str, passwords: Mapping[str, str], password: str = "", *, prefix: str = ""
) -> None:
    """Create a schema and its login roles `<prefix><schema>_<kind>`, one for each kind in `passwords`; repeatable.

    `owner` owns the schema and runs migrations; the others may only use it: migrations grant them what they need.
    None is a superuser, none bypasses row-level security. The administrator itself needs to be neither: CREATEROLE,
    and CREATE on the database, are enough. The password of a role that another database uses too is never changed.

    Raises: ValueError, which says what the administrator lacks, or whose role it is.
    """
    connection = await connect(admin_url, password)
    roles = {f"{prefix}{schema}_{kind}": role_password for kind, role_password in passwords.items()}
    owner = f"{prefix}{schema}_owner"
    try:
        await _require_rights(connection, schema, list(roles))
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('switchboard:provision'))")
            database = await connection.fetchval("SELECT current_database()")
            for role, role_password in roles.items():
                is_shared = await _is_shared(connection, admin_url, role, role_password)
                await _make_role(connection, role)
                if not is_shared:
                    await _execute(connection, "ALTER ROLE %I LOGIN PASSWORD %L", role, role_password)
                await _execute(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, role)
            await _execute(connection, "GRANT %I TO CURRENT_USER", owner)
            await _execute(connection, "CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", schema, owner)
            await _execute(connection, "SET LOCAL ROLE %I", owner)  # an administrator may own, and inherit, nothing
            for role in roles:
                await _execute(connection, "GRANT USAGE ON SCHEMA %I TO %I", schema, role)
        log.info("provisioned", extra={"schema": schema, "roles": list(roles)})
    finally:
        await connection.close()


async def _require_rights(connection: Any, schema: str, roles: list[str]) -> None:
    """Before anything is done: PostgreSQL only says that permission is denied."""
    may = await connection.fetchrow(_RIGHTS, schema, roles)
    lacking = [
        *([] if may["creates_roles"] or may["has_roles"] else ["CREATEROLE"]),
        *([] if may["creates_schemas"] or may["has_schema"] else [f"CREATE on the database {may['database']}"]),
    ]
    if lacking:
        raise ValueError(f"its role {may['role']} lacks {' and '.join(lacking)}: grant that, {_BY_HAND}")


_RIGHTS = """
SELECT current_user AS role, current_database() AS database,
    (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) AS creates_roles,
    (SELECT count(*) = cardinality($2::text[]) FROM pg_roles WHERE rolname = ANY ($2::text[])) AS has_roles,
    has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS has_schema
"""


async def _is_shared(connection: Any, admin_url: str, role: str, password: str) -> bool:
    """Whether another database uses this role, and this password is the one that it has.

    Raises: ValueError if it has another one.
    """
    other = await connection.fetchval(_OTHER_DATABASE, role)
    if other is None:
        return False
    try:
        where = address(admin_url).url
        check = await asyncpg.connect(where, user=role, password=password, timeout=COMMAND_SECONDS)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        raise ValueError(_SHARED.strip().format(role=role, other=other)) from None
    except asyncpg.InsufficientPrivilegeError:
        return True  # the password was taken; the right to connect follows
    await check.close()
    return True


_OTHER_DATABASE = """
SELECT max(datname) FROM pg_shdepend AS uses JOIN pg_database AS other
    ON other.oid = CASE WHEN uses.classid = 'pg_database'::regclass THEN uses.objid ELSE uses.dbid END
WHERE uses.refclassid = 'pg_authid'::regclass AND uses.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
    AND other.datname <> current_database()
"""
"""What of other databases is the role's, or may be used by it."""


async def _make_role(connection: Any, role: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await _execute(connection, "CREATE ROLE %I", role)
    for attribute in await connection.fetchval(_STRONG_ATTRIBUTES, role):
        await _execute(connection, f"ALTER ROLE %I NO{attribute}", role)


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
