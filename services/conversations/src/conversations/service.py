"""Runs the conversations, or one of their commands: `provision`, `migrate`, `api-key`, `staff-key`."""

from contextlib import nullcontext
from datetime import timedelta

import aiohttp
import typer

from conversations import api_keys, staff_keys
from conversations.acting import Parts
from conversations.approvals import approvals
from conversations.conversation import conversation
from conversations.counts import counting
from conversations.erasing import Journals
from conversations.following import conversation_runs
from conversations.people import desk
from conversations.settings import AdminSettings, ConversationSettings
from conversations.store import MIGRATIONS, SCHEMA
from conversations.undo_store import UndoStore
from conversations.watch.changes import ChangeHub, ChangeLog
from conversations.watch.hub import Hub
from conversations.watch.log import EventLog
from conversations.watch.web import serve_watchers
from runtime.acceptance import Acceptance
from runtime.clock import watching_clock
from runtime.postgres import open_pool
from runtime.postgres.commands import OwnerSettings, make_schema, update_schema
from runtime.serving import run as run_service
from runtime.serving import serve
from runtime.telemetry.export import configure_tracing
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.telemetry.metrics import serve_metrics

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)
commands.add_typer(api_keys.commands, name="api-key")
commands.add_typer(staff_keys.commands, name="staff-key")


@commands.callback(invoke_without_command=True)
def services(context: typer.Context) -> None:
    """Without a command: serve Conversation, ConversationRuns and Approvals until SIGTERM."""
    configure_logs("conversations")
    if context.invoked_subcommand is None:
        run_service(_serve(ConversationSettings.read()))


@commands.command("provision")
def make() -> None:
    """Make the schema `conversations` and its roles."""
    make_schema(AdminSettings.read(), SCHEMA)


@commands.command("migrate")
def update() -> None:
    """Bring the schema `conversations` up to date."""
    update_schema(OwnerSettings.read(), SCHEMA, MIGRATIONS)


async def _serve(settings: ConversationSettings) -> None:
    configure_logs("conversations", settings.log_level)
    serve_metrics(settings, "conversations")
    configure_tracing(settings, "conversations")
    if settings.trust_user_id:
        get_logger("conversations").warning(
            "trust_user_id_is_on", extra={"advice": "any client may claim to be any user"}
        )
    url, password = settings.database_url.get_secret_value(), settings.database_password.get_secret_value()
    async with open_pool(url, SCHEMA, password=password) as pool, aiohttp.ClientSession() as http:
        store, acceptance = UndoStore(pool), Acceptance(http, settings.accepted_url)
        parts = Parts(settings, store, acceptance, Journals(http, settings.journals_url))
        changes = ChangeHub(ChangeLog(pool, timedelta(hours=settings.events_hours)))
        watching = serve_watchers(settings, Hub(EventLog(pool), settings.max_watchers), changes, store)
        counted = counting(pool, settings.count_seconds) if settings.metrics_port else nullcontext()
        async with watching_clock(http, settings.accepted_url), watching, counted:
            await serve(settings, [conversation(parts), conversation_runs, desk(parts), approvals(parts)])


def main() -> None:
    commands()
