"""`python -m users` serves; `migrate` brings the schema up to date; `seed` puts the demo customers in."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from runtime.logs import configure_logs
from runtime.postgres import migrate, open_pool
from runtime.serving import run as run_service
from runtime.serving import serve
from users import store
from users.demo import demo_customers
from users.handlers import account_export, user_database
from users.settings import OwnerSettings, UserSettings

MIGRATIONS = Path(__file__).parent / "migrations"


def main() -> None:
    match sys.argv[1:]:
        case []:
            run_service(run(UserSettings.read()))
        case ["migrate"]:
            by_owner(migrate(owner_url(), store.SCHEMA, MIGRATIONS))
        case ["seed"]:
            by_owner(store.replace_customers(owner_url(), demo_customers(datetime.now(UTC))))
        case _:
            sys.exit("usage: python -m users [migrate | seed]")


async def run(settings: UserSettings) -> None:
    configure_logs("users", settings.log_level)
    async with open_pool(settings.database_url.get_secret_value(), store.SCHEMA) as pool:
        await serve(settings, [user_database(pool), account_export(pool, settings.export_seconds)])


def owner_url() -> str:
    return OwnerSettings.read().migration_database_url.get_secret_value()


def by_owner(work: Coroutine[Any, Any, Any]) -> None:
    """Run a command of the schema's owner to its end; what an operator can mend is told in one line."""
    try:
        asyncio.run(work)
    except ValueError as error:
        sys.exit(str(error))
    except (OSError, asyncpg.PostgresError) as error:
        sys.exit(f"setting MIGRATION_DATABASE_URL: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
