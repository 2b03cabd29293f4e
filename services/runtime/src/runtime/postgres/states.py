"""What a database's errors mean, by their SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

import asyncpg

BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises when there is no connection, or when it breaks; the last, when that is between two messages."""
UNUSABLE = (asyncpg.PostgresError, *BROKEN)
"""What asyncpg raises when a statement was not done, whyever."""

_RETRYABLE_CLASSES = {"08", "28", "40", "53", "55", "57", "58"}
_READ_ONLY = "25006"
"""What a primary says that has become a standby (read_only_sql_transaction): others will be told another server."""
_FOREIGN_SESSION = ("26000", "42P05")
"""A prepared statement is not there, or is there already: the session is not the one that prepared it."""
_LEAVING = ("08", "53", "57P", _READ_ONLY)
"""Beginnings of the states of a server that is going, full, or no primary any more: no connection to it is kept."""


def is_leaving(error: asyncpg.PostgresError) -> bool:
    """Whether the server must be asked no more: a new connection may reach another one."""
    return (error.sqlstate or "").startswith(_LEAVING)


def is_of_another_session(error: asyncpg.PostgresError) -> bool:
    """Whether a pooler that nobody told of lends sessions."""
    return error.sqlstate in _FOREIGN_SESSION


def is_passing(error: asyncpg.PostgresError) -> bool:
    """Whether the same statement may be taken later."""
    state = error.sqlstate or ""
    return is_leaving(error) or is_of_another_session(error) or state[:2] in _RETRYABLE_CLASSES
