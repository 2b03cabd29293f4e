"""Runs the ticket services, or one of their commands: `provision`, `migrate`, `staff`, `wait`."""

import signal
from contextlib import nullcontext

import aiohttp
import typer

from runtime.acceptance import Acceptance
from runtime.call_tokens import ProvenCallers
from runtime.clock import watching_clock
from runtime.postgres import open_pool
from runtime.postgres.commands import OwnerSettings, make_schema, update_schema
from runtime.serving import run as run_service
from runtime.serving import serve
from runtime.telemetry.export import configure_tracing
from runtime.telemetry.logs import configure_logs
from runtime.telemetry.metrics import serve_metrics
from tickets.counts import counting
from tickets.notifier import Post, notifier, webhook_post
from tickets.reading import ticket_tools
from tickets.resender import resender
from tickets.settings import AdminSettings, StaffSettings, TicketSettings
from tickets.staff import staff
from tickets.store import MIGRATIONS, SCHEMA, TicketStore
from tickets.undelivered import Undelivered
from tickets.workflow import ticket_workflow

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
commands.add_typer(staff, name="staff")


@commands.callback(invoke_without_command=True)
def services(context: typer.Context) -> None:
    """Without a command: serve SupportTicketWorkflow, Tickets, Notifier and Resender until SIGTERM."""
    configure_logs("tickets")
    if context.invoked_subcommand is None:
        run_service(_serve(TicketSettings.read()))


@commands.command("provision")
def make() -> None:
    """Make the schema `tickets` and its roles."""
    make_schema(AdminSettings.read(), SCHEMA)


@commands.command("migrate")
def update() -> None:
    """Bring the schema `tickets` up to date."""
    update_schema(OwnerSettings.read(), SCHEMA, MIGRATIONS)


@commands.command("wait")
def wait() -> None:
    """Do nothing until SIGTERM: for a pod in which the staff's command is run, and nothing is served."""
    StaffSettings.read()
    signal.pause()


async def _serve(settings: TicketSettings) -> None:
    configure_logs("tickets", settings.log_level)
    serve_metrics(settings, "tickets")
    configure_tracing(settings, "tickets")
    url, password = settings.database_url.get_secret_value(), settings.database_password.get_secret_value()
    async with open_pool(url, SCHEMA, password=password) as pool, aiohttp.ClientSession(trust_env=True) as http:
        store, undelivered = TicketStore(pool), Undelivered(pool)
        callers = ProvenCallers(settings.call_keys, Acceptance(http, settings.accepted_url).of)
        post = _post(settings, http)
        counted = counting(pool, settings.count_seconds) if settings.metrics_port else nullcontext()
        async with counted, watching_clock(http, settings.accepted_url):
            workflow = ticket_workflow(store, callers, notify=post is not None)
            delivering = [notifier(post, undelivered), resender(undelivered)]
            await serve(settings, [workflow, ticket_tools(store, callers), *delivering])


def _post(settings: TicketSettings, http: aiohttp.ClientSession) -> Post | None:
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return webhook_post(http, str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def main() -> None:
    commands()
