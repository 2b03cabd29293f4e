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
from tickets.changing import Changing
from tickets.counts import counting
from tickets.customer import customer_tickets
from tickets.deciding import Deciding
from tickets.looking import Looking
from tickets.notifier import Post, notifier, webhook_post
from tickets.reading import ticket_tools
from tickets.resender import resender
from tickets.settings import AdminSettings, StaffSettings, TicketSettings
from tickets.staff import staff
from tickets.store import MIGRATIONS, SCHEMA, TicketStore
from tickets.ticket_desk import Parts, ticket_desk
from tickets.ticket_life import ticket_life
from tickets.undelivered import Undelivered
from tickets.workflow import ticket_workflow

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
commands.add_typer(staff, name="staff")


@commands.callback(invoke_without_command=True)
def services(context: typer.Context) -> None:
    """Without a command: serve the tickets' workflow, tools, desk and notifier until SIGTERM."""
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
        store, undelivered = TicketStore(pool, settings.life), Undelivered(pool)
        acceptance = Acceptance(http, settings.accepted_url)
        callers = ProvenCallers(settings.call_keys, acceptance.of)
        post = _post(settings, http)
        counted = counting(pool, settings.count_seconds) if settings.metrics_port else nullcontext()
        async with counted, watching_clock(http, settings.accepted_url):
            changing = Changing(pool, settings.life, notify=post is not None)
            workflow = ticket_workflow(store, changing, callers, notify=post is not None)
            delivering = [notifier(post, undelivered), resender(undelivered)]
            reading = [ticket_tools(store, changing, callers), customer_tickets(store, settings, acceptance)]
            desk = ticket_desk(Parts(settings, acceptance, Looking(pool), changing, Deciding(pool)))
            await serve(settings, [workflow, desk, *ticket_life(changing), *reading, *delivering])


def _post(settings: TicketSettings, http: aiohttp.ClientSession) -> Post | None:
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return webhook_post(http, str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def main() -> None:
    commands()
