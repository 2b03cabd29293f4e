"""Runs the ticket services, or one of their commands: `migrate`, `staff`."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import asyncpg
import typer

from runtime.logs import configure_logs
from runtime.postgres import migrate, open_pool
from runtime.serving import run as run_service
from runtime.serving import serve
from tickets.notifier import Post, notifier, webhook_post
from tickets.reading import ticket_tools
from tickets.settings import MigrationSettings, TicketSettings
from tickets.staff import staff
from tickets.store import TicketStore
from tickets.workflow import ticket_workflow

MIGRATIONS = Path(__file__).parent / "migrations"

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
commands.add_typer(staff, name="staff")


@commands.callback(invoke_without_command=True)
def services(context: typer.Context) -> None:
    """Without a command: serve SupportTicketWorkflow, Tickets and Notifier until SIGTERM."""
    if context.invoked_subcommand is None:
        run_service(_serve(TicketSettings.read()))


@commands.command("migrate")
def migrate_schema() -> None:
    """Bring the schema `tickets` up to date."""
    url = MigrationSettings.read().migration_database_url.get_secret_value()
    try:
        applied = asyncio.run(migrate(url, "tickets", MIGRATIONS))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        sys.exit(f"setting MIGRATION_DATABASE_URL: cannot migrate: {error or type(error).__name__}")
    typer.echo(f"schema tickets: {applied} migrations applied")


async def _serve(settings: TicketSettings) -> None:
    configure_logs("tickets", settings.log_level)
    async with (
        open_pool(settings.database_url.get_secret_value(), "tickets") as pool,
        aiohttp.ClientSession() as http,
    ):
        store = TicketStore(pool)
        post = _post(settings, http)
        await serve(settings, [ticket_workflow(store, notify=post is not None), ticket_tools(store), notifier(post)])


def _post(settings: TicketSettings, http: aiohttp.ClientSession) -> Post | None:
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return webhook_post(http, str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def main() -> None:
    commands()


if __name__ == "__main__":
    main()
