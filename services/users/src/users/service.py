"""The users service, and the commands that prepare its database: `provision`, `migrate`, `seed`."""

import sys
from datetime import UTC, datetime

import aiohttp

from runtime.acceptance import Acceptance
from runtime.call_tokens import ProvenCallers
from runtime.clock import watching_clock
from runtime.postgres import open_pool, run_command
from runtime.postgres.commands import OwnerSettings, make_schema, update_schema
from runtime.serving import run as run_service
from runtime.serving import serve
from runtime.telemetry.export import configure_tracing
from runtime.telemetry.logs import configure_logs
from runtime.telemetry.metrics import serve_metrics
from users import store
from users.demo import demo_customers
from users.desk import account_desk
from users.handlers import account_export, invoice_refund, user_database
from users.settings import AdminSettings, UserSettings


def main() -> None:
    configure_logs("users")
    match sys.argv[1:]:
        case []:
            run_service(serve_users(UserSettings.read()))
        case ["provision"]:
            make_schema(AdminSettings.read(), store.SCHEMA)
        case ["migrate"]:
            update_schema(OwnerSettings.read(), store.SCHEMA, store.MIGRATIONS)
        case ["seed"]:
            put_demo_customers_in(OwnerSettings.read())
        case _:
            sys.exit("usage: python -m users [provision | migrate | seed]")


async def serve_users(settings: UserSettings) -> None:
    configure_logs("users", settings.log_level)
    serve_metrics(settings, "users")
    configure_tracing(settings, "users")
    url, password = settings.database_url.get_secret_value(), settings.database_password.get_secret_value()
    async with open_pool(url, store.SCHEMA, password=password) as pool, aiohttp.ClientSession() as http:
        acceptance = Acceptance(http, settings.accepted_url)
        callers = ProvenCallers(settings.call_keys, acceptance.of)
        rooms = [
            user_database(pool, callers),
            account_export(pool, callers, settings.export_seconds),
            invoice_refund(pool, callers),
            account_desk(pool, settings, acceptance),
        ]
        async with watching_clock(http, settings.accepted_url):
            await serve(settings, rooms)


def put_demo_customers_in(settings: OwnerSettings) -> None:
    url, password = settings.owner
    customers = demo_customers(datetime.now(UTC))
    run_command("MIGRATION_DATABASE_URL", lambda: store.replace_customers(url, customers, password))
