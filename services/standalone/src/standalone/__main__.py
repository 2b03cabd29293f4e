"""`python -m standalone run` starts everything here; `ask`, `chat`, `tickets` and others use what runs."""

import asyncio
import subprocess
import sys
from typing import Annotated

import typer

from standalone.ask import NoAnswer, ask_and_show
from standalone.chat import chat
from standalone.database import staff_url
from standalone.process import StartError, inherited
from standalone.run import run
from standalone.services import accepted
from standalone.settings import DEFAULT_QUESTION, AskSettings, StandaloneSettings
from standalone.terminal import complain, say
from standalone.transcript import export_conversation, show_transcript

commands = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, help=__doc__)


@commands.command("run")
def run_everything() -> None:
    """Start everything, ask one question, stay up until Ctrl-C."""
    raise typer.Exit(asyncio.run(run(StandaloneSettings.read())))


@commands.command("ask")
def ask_question(
    message: Annotated[str, typer.Argument(metavar="QUESTION", help="In the customer's own words.")] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="Who asks.")] = "user_12345",
) -> None:
    """Ask the agent that runs here; prints the steps as they happen, then the answer."""
    try:
        asyncio.run(ask_and_show(AskSettings.read(), message or DEFAULT_QUESTION, user))
    except NoAnswer as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        complain("not waiting any longer; the run goes on, see the Restate UI")
        raise typer.Exit(130) from None


@commands.command("chat")
def talk(user: Annotated[str, typer.Option(metavar="ID", help="Who talks.")] = "user_12345") -> None:
    """Talk with the agent that runs here; Ctrl-C stops what it does."""
    try:
        asyncio.run(chat(AskSettings.read(), user))
    except NoAnswer as error:
        complain(str(error))
        raise typer.Exit(1) from None


@commands.command("tickets", context_settings={"ignore_unknown_options": True, "help_option_names": []})
def tickets(arguments: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """The staff's command, on the database of this machine: list, show, assign, close, undelivered, resend, drop."""
    try:
        url = staff_url(StandaloneSettings.read())
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    raise typer.Exit(_run(["tickets", "staff", *(arguments or ["list"])], {"STAFF_DATABASE_URL": url}))


@commands.command("accept")
def accept(tools: Annotated[list[str], typer.Argument(metavar="TOOL[=DIGEST]")]) -> None:
    """Show what tools of others say now, and what has changed; with the digest that was read, accept it."""
    settings = StandaloneSettings.read()
    raise typer.Exit(
        _run(["registry", "accept", *tools], {"RESTATE_ADMIN_URL": settings.admin_url, **accepted(settings)})
    )


def _run(command: list[str], env: dict[str, str]) -> int:
    """A command of one of the rooms, on this terminal; its exit status."""
    return subprocess.run([sys.executable, "-m", *command], env={**inherited(), **env}, check=False).returncode  # noqa: S603


@commands.command("transcript")
def transcript(conversation: str) -> None:
    """What was said in a conversation, by the database of this machine."""
    try:
        asyncio.run(show_transcript(StandaloneSettings.read(), conversation))
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None


@commands.command("export")
def export(conversation: str) -> None:
    """All that is kept of a conversation, as JSON on standard output."""
    try:
        say(asyncio.run(export_conversation(StandaloneSettings.read(), conversation)))
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None


if __name__ == "__main__":
    commands()
