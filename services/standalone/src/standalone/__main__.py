"""`python -m standalone run` starts everything here; `ask`, `chat`, `tickets` and others use what runs."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import aiohttp
import typer

from standalone.approvals import ApprovalDesk
from standalone.ask import NoAnswer, ask_and_show
from standalone.chat import chat
from standalone.database import running_database, staff_url
from standalone.people import login, staff_token
from standalone.process import StartError, inherited
from standalone.run import run
from standalone.seed.command import seed
from standalone.seed.guard import SeedSettings
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


@commands.command("api-key", context_settings={"ignore_unknown_options": True, "help_option_names": []})
def api_key(arguments: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """Keys by which machines come in at the gateway of this machine: make, list, revoke."""
    _keys("api-key", arguments)


@commands.command("staff-key", context_settings={"ignore_unknown_options": True, "help_option_names": []})
def staff_key(arguments: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None) -> None:
    """Keys by which the staff's own tools come in at the desk of this machine: make, list, revoke."""
    _keys("staff-key", arguments)


def _keys(command: str, arguments: list[str] | None) -> None:
    try:
        url = running_database(StandaloneSettings.read()).url("conversations", "app")
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    raise typer.Exit(_run(["conversations", command, *(arguments or ["list"])], {"DATABASE_URL": url}))


people = typer.Typer(
    invoke_without_command=True, help="The staff's view of the conversations: take one, speak in it, give it back."
)
commands.add_typer(people, name="conversations")
Conversation = Annotated[str, typer.Argument(metavar="CONVERSATION")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="Which member of staff; by default who is logged in.")]


TICKET_ACTS = frozenset({"assign", "close", "resend", "drop"})
"""What needs a staff token."""


@commands.command("tickets", context_settings={"ignore_unknown_options": True, "help_option_names": []})
def tickets(arguments: Annotated[list[str] | None, typer.Argument(metavar="COMMAND")] = None, name: As = "") -> None:
    """The staff's command on this machine: list, show, assign, close, undelivered, resend, drop."""
    told = arguments or ["list"]
    settings = StandaloneSettings.read()
    try:
        env = {"STAFF_DATABASE_URL": staff_url(settings), "RESTATE_INGRESS_URL": settings.ingress_url}
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None
    if told[0] in TICKET_ACTS:
        by = name or login()
        env["STAFF_TOKEN"] = staff_token(settings.data_dir, by)
        say(f"as {by}, with a staff token that this command made itself", "dim")
    raise typer.Exit(_run(["tickets", "staff", *told], env))


@people.callback()
def list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_conversations()


@people.command("list")
def list_conversations(name: As = "") -> None:
    """Conversations that wait for a person, then those that one has."""
    _at_desk(name, lambda desk: desk.list())


@people.command("show")
def show_conversation(conversation: Conversation, name: As = "") -> None:
    """What was said and done, with what only staff may see."""
    _at_desk(name, lambda desk: desk.show(conversation))


@people.command("take")
def take_conversation(conversation: Conversation, name: As = "") -> None:
    """Take it: the agent is silent from now on."""
    _at_desk(name, lambda desk: desk.take(conversation))


@people.command("assign")
def assign_conversation(conversation: Conversation, to: str, name: As = "") -> None:
    """Give it to a member of staff."""
    _at_desk(name, lambda desk: desk.assign(conversation, to))


@people.command("say")
def say_to_customer(conversation: Conversation, text: str, name: As = "") -> None:
    """Say something to the customer; take the conversation first."""
    _at_desk(name, lambda desk: desk.say(conversation, text))


@people.command("return")
def give_conversation_back(conversation: Conversation, name: As = "") -> None:
    """Let the agent speak again; it is asked what nobody has answered."""
    _at_desk(name, lambda desk: desk.give_back(conversation))


@people.command("undo")
def undo_run(conversation: Conversation, run: str = typer.Argument(default=""), name: As = "") -> None:
    """Stop a run, if it is at work, and undo what it did; without a name the one at work, or the latest."""
    _at_desk(name, lambda desk: desk.undo(conversation, run))


approvals = typer.Typer(
    invoke_without_command=True, help="The calls that wait for a person: approve one, deny it, or change it first."
)
commands.add_typer(approvals, name="approvals")
Approval = Annotated[str, typer.Argument(metavar="APPROVAL")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is written down.")]


@approvals.callback()
def approvals_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_approvals()


@approvals.command("list")
def list_approvals(
    decided: Annotated[bool, typer.Option(help="Those that are decided.")] = False, name: As = ""
) -> None:
    """Calls that wait for a person, those first that wait no longer soon."""
    _at_desk(name, lambda desk: desk.list_approvals(decided=decided))


@approvals.command("show")
def show_approval(approval: Approval, name: As = "") -> None:
    """All that is decided about."""
    _at_desk(name, lambda desk: desk.show_approval(approval))


@approvals.command("approve")
def approve(approval: Approval, reason: Reason = "", name: As = "") -> None:
    """Let the call be made as it is shown."""
    _at_desk(name, lambda desk: desk.approve(approval, reason))


@approvals.command("deny")
def deny(approval: Approval, reason: str, name: As = "") -> None:
    """Say no, and why: the customer is told the reason."""
    _at_desk(name, lambda desk: desk.deny(approval, reason))


@approvals.command("edit")
def edit(
    approval: Approval,
    changes: Annotated[list[str], typer.Argument(metavar="NAME=VALUE")],
    reason: Reason = "",
    name: As = "",
) -> None:
    """Let the call be made with other arguments."""
    _at_desk(name, lambda desk: desk.edit(approval, changes, reason))


def _at_desk(name: str, work: Callable[[ApprovalDesk], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as http:
            await work(ApprovalDesk(AskSettings.read(), http, name))

    try:
        asyncio.run(run())
    except NoAnswer as error:
        complain(str(error))
        raise typer.Exit(1) from None


@commands.command("accept")
def accept(tools: Annotated[list[str], typer.Argument(metavar="TOOL[=DIGEST]")]) -> None:
    """Show what tools of others say now, and what has changed; with the digest that was read, accept it."""
    settings = StandaloneSettings.read()
    raise typer.Exit(
        _run(["registry", "accept", *tools], {"RESTATE_ADMIN_URL": settings.admin_url, **accepted(settings)})
    )


@commands.command("seed")
def seed_demo_data(
    tickets: Annotated[int, typer.Option(min=0, max=1_000_000, help="How many tickets there are then.")] = 10_000,
    messages: Annotated[int, typer.Option(min=0, max=5_000_000, help="In all conversations together.")] = 50_000,
) -> None:
    """Fill the database of this machine with demo tickets, conversations and approvals; never beside what is real."""
    try:
        asyncio.run(seed(SeedSettings.read(), tickets, messages))
    except StartError as error:
        complain(str(error))
        raise typer.Exit(1) from None


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
