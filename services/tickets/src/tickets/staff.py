"""The staff command: list, show, assign and close tickets; send notifications again that were not delivered.

It reads by SQL. What it changes goes through `TicketDesk`, by a staff token of whoever acts.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from pydantic import SecretStr

from contracts import STAFF_NAME_PATTERN
from runtime import terminal
from runtime.postgres import UNUSABLE
from tickets.acts import Acts, acting
from tickets.desk import Declined, Desk, Event, Filter, KeptNotification, StaffTicket, open_desk
from tickets.settings import ActingSettings, StaffSettings

Result = TypeVar("Result")

staff = typer.Typer(help="List, show, assign and close tickets; send notifications again.", no_args_is_help=True)


class Show(StrEnum):
    unfinished = "unfinished"
    open = "open"
    assigned = "assigned"
    closed = "closed"
    all = "all"


class Priority(StrEnum):
    low = "low"
    normal = "normal"
    high = "high"
    urgent = "urgent"


_STATUSES = {Show.unfinished: ["open", "assigned"], Show.all: ["open", "assigned", "closed"]}


def _upper(ticket_id: str) -> str:
    return ticket_id.upper()


def _staff_name(name: str) -> str:
    if not re.fullmatch(STAFF_NAME_PATTERN, name):
        raise typer.BadParameter("a member of staff has a name of 1 to 64 letters, digits and _.@:-")
    return name


TicketId = Annotated[str, typer.Argument(metavar="ID", help="Such as TCK-000123.", callback=_upper)]


@staff.callback()
def who_acts(
    context: typer.Context,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the staff token from standard input.")
    ] = False,
) -> None:
    """List, show, assign and close tickets; send notifications again."""
    context.obj = SecretStr(sys.stdin.readline().strip()) if token_stdin else None


@staff.command("list")
def list_tickets(
    status: Annotated[Show, typer.Option(help="Which tickets.")] = Show.unfinished,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's.")] = None,
    assignee: Annotated[str | None, typer.Option(metavar="NAME", help="Only this person's.")] = None,
    priority: Annotated[Priority | None, typer.Option(help="Only of this priority.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those past their due time.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List tickets, the one that is due first at the top."""
    wanted = Filter(
        statuses=_STATUSES.get(status, [status.value]),
        user_id=user,
        assignee=assignee,
        priority=priority,
        overdue=overdue,
        limit=limit,
    )

    async def read(desk: Desk) -> tuple[list[StaffTicket], int]:
        return await desk.find(wanted), await desk.count_undelivered(user)

    tickets, left = _at_desk(read)
    now = datetime.now(UTC)
    heads = ("ID", "DUE", "PRIORITY", "CATEGORY", "STATUS", "ASSIGNEE", "CUSTOMER", "SUBJECT")
    _table(heads, [_row(ticket, now) for ticket in tickets], "no tickets")
    if left:
        terminal.show(f"\nundelivered notifications: {left} (the command `undelivered` lists them)")


@staff.command()
def show(ticket_id: TicketId) -> None:
    """Show a ticket, with its text and its history."""

    async def read(desk: Desk) -> tuple[StaffTicket, list[Event]]:
        return await desk.show(ticket_id), await desk.history(ticket_id)

    ticket, history = _at_desk(read)
    terminal.show(f"{ticket.ticket_id}  {_line(ticket.subject)}")
    terminal.show(f"customer  {_line(ticket.user_id)}")
    terminal.show(f"status    {ticket.status}" + (f", assigned to {ticket.assignee}" if ticket.assignee else ""))
    terminal.show(f"category  {ticket.category}, priority {ticket.priority}")
    terminal.show(f"due       {ticket.sla_due_at:%Y-%m-%d %H:%M %Z} ({due(ticket, datetime.now(UTC))})")
    if ticket.prompt:
        terminal.show(f"prompt    {ticket.prompt}")
    terminal.show(f"\n{ticket.description}\n")
    for event in history:
        terminal.show(f"{event.at:%Y-%m-%d %H:%M %Z}  {event.who}  {event.action}  {_line(event.note)}".rstrip())


@staff.command()
def assign(
    context: typer.Context,
    ticket_id: TicketId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who shall work on it.", callback=_staff_name)],
    reassign: Annotated[bool, typer.Option("--reassign", help="Also when somebody else has it.")] = False,
) -> None:
    """Give a ticket to somebody."""
    _act(context, lambda acts: acts.assign(ticket_id, name, reassign=reassign))
    terminal.show(f"{ticket_id} is assigned to {name}")


@staff.command()
def close(
    context: typer.Context,
    ticket_id: TicketId,
    note: Annotated[str, typer.Option(help="How it was solved; kept in the history.")] = "",
) -> None:
    """Close a ticket."""
    _act(context, lambda acts: acts.close(ticket_id, note))
    terminal.show(f"{ticket_id} is closed")


@staff.command("undelivered")
def list_undelivered(
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only this customer's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List the notifications that were not delivered, the oldest first."""
    kept = _at_desk(lambda desk: desk.undelivered(user, limit))
    heads = ("ID", "SINCE", "STATE", "WHY", "RESENT")
    _table(heads, [_kept_row(notification) for notification in kept], "no undelivered notifications")


@staff.command()
def resend(
    context: typer.Context,
    ticket_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of which ticket.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were refused.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what is on its way again already.")] = False,
) -> None:
    """Have the notification of a ticket sent again; receivers know its id, so it counts once."""
    if (ticket_id is None) != every:
        raise typer.BadParameter("name one ticket, or give --all")
    wanted = ticket_id and _upper(ticket_id)
    tickets = _act(context, lambda acts: acts.resend(wanted, again=again))
    for ticket in tickets:
        terminal.show(f"the notification of {ticket} is going to be sent again")
    if not tickets:
        terminal.show("no undelivered notifications")


@staff.command()
def drop(
    context: typer.Context,
    ticket_id: TicketId,
    note: Annotated[str, typer.Option(help="Why nobody needs it; kept in the history.")] = "",
) -> None:
    """Give up the notification of a ticket that was not delivered."""
    _act(context, lambda acts: acts.drop(ticket_id, note))
    terminal.show(f"the notification of {ticket_id} is dropped")


def due(ticket: StaffTicket, now: datetime) -> str:
    """How long until the ticket is due; the word OVERDUE when it is late."""
    if ticket.status == "closed":
        return "-"
    minutes = abs(ticket.sla_due_at - now) // timedelta(minutes=1)
    span = f"{minutes // 60}h {minutes % 60:02}m"
    return f"OVERDUE {span}" if ticket.sla_due_at < now else f"in {span}"


def _row(ticket: StaffTicket, now: datetime) -> tuple[str, ...]:
    return (
        ticket.ticket_id,
        due(ticket, now),
        ticket.priority,
        ticket.category,
        ticket.status,
        ticket.assignee or "-",
        ticket.user_id,
        ticket.subject,
    )


def _kept_row(kept: KeptNotification) -> tuple[str, ...]:
    why = f"status {kept.status}" if kept.status else kept.reason.replace("_", " ")
    return (kept.ticket_id, f"{kept.kept_at:%Y-%m-%d %H:%M %Z}", kept.state, why, str(kept.resends))


def _line(text: str) -> str:
    """Somebody's words where they may fill a part of a line, and begin none of their own."""
    return terminal.printable(text.replace("\n", " "), lines=False)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]], without_rows: str) -> None:
    if not rows:
        terminal.show(without_rows)
        return
    lines = [tuple(_line(cell) for cell in row) for row in (heads, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for row in lines:
        terminal.show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _at_desk(work: Callable[[Desk], Awaitable[Result]]) -> Result:
    settings = StaffSettings.read()
    url, password = settings.staff_database_url.get_secret_value(), settings.staff_database_password.get_secret_value()

    async def run() -> Result:
        async with open_desk(url, password) as desk:
            return await work(desk)

    try:
        return _done(run())
    except (*UNUSABLE, ValueError) as error:
        terminal.complain(f"setting STAFF_DATABASE_URL: the database cannot be used: {error or type(error).__name__}")
        raise typer.Exit(1) from None


def _act(context: typer.Context, work: Callable[[Acts], Awaitable[Result]]) -> Result:
    settings, token = ActingSettings.read(), context.obj

    async def run() -> Result:
        async with acting(settings, token or settings.staff_token) as acts:
            return await work(acts)

    return _done(run())


def _done(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except Declined as reason:
        terminal.complain(str(reason))
        raise typer.Exit(1) from None
