"""PostgreSQL for a service: a pool, transactions that see one caller alone, migrations, roles."""

from runtime.postgres.migrations import Migration, migrate, read_migrations
from runtime.postgres.pool import Connection, Pool, connect, open_pool, run_command, when_up
from runtime.postgres.roles import provision
from runtime.postgres.states import UNUSABLE, is_passing
from runtime.postgres.transactions import caller_transaction, sql_errors

__all__ = [
    "UNUSABLE",
    "Connection",
    "Migration",
    "Pool",
    "caller_transaction",
    "connect",
    "is_passing",
    "migrate",
    "open_pool",
    "provision",
    "read_migrations",
    "run_command",
    "sql_errors",
    "when_up",
]
