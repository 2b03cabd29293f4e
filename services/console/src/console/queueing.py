"""What waits for somebody, from both rooms as one list: tickets and conversations, what is due first at the top."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, get_args

from console.desk import Desk
from contracts import Standing, StandingPage, TicketCounts, TicketLine, TicketPage, TicketState

PAGE = 50
STATES: tuple[str, ...] = get_args(TicketState)
KINDS = ("tickets", "conversations")
WHO = ("all", "mine", "nobody", "overdue")
_NEVER = datetime.max

Row = TicketLine | Standing


class Queue(NamedTuple):
    """A page. `after` are the places behind which the next one begins, empty at the end."""

    rows: list[Row]
    counts: dict[str, int]
    after: dict[str, str]


async def queue_of(desk: Desk, chosen: Mapping[str, str]) -> Queue:
    """The page that is chosen; each room is asked once for its part of it, and both at a time."""
    tickets, standing, counts = await asyncio.gather(_tickets(desk, chosen), _talks(desk, chosen), desk.ticket_counts())
    found: list[Row] = [*standing.conversations, *tickets.tickets]
    rows = sorted(found, key=_risk)[:PAGE]
    is_more = len(found) > PAGE or standing.more or bool(tickets.next)
    return Queue(rows, _counts(counts, standing), _after(rows, chosen) if is_more else {})


async def _tickets(desk: Desk, chosen: Mapping[str, str]) -> TicketPage:
    if chosen["kind"] == "conversations":
        return TicketPage(tickets=[])
    asked: dict[str, Any] = {"limit": PAGE, "search": chosen["search"], "cursor": chosen["after"]}
    asked |= {"mine": {"mine": True}, "nobody": {"unassigned": True}, "overdue": {"overdue": True}}.get(
        chosen["who"], {}
    )
    if chosen["state"]:
        asked["states"] = [chosen["state"]]
    elif chosen["search"]:
        asked["states"] = STATES
    return await desk.tickets(**asked, **_wanted(chosen, priority="priority", customer="user_id"))


async def _talks(desk: Desk, chosen: Mapping[str, str]) -> StandingPage:
    """Those of tickets alone, as a priority or a state is, have no place for them; the counts are told all the same."""
    asked: dict[str, Any] = {"limit": PAGE, "search": chosen["search"], "cursor": chosen["after_talk"]}
    asked |= {"overdue": True} if chosen["who"] == "overdue" else {"who": chosen["who"]}
    page = await desk.standing(**asked, **_wanted(chosen, customer="user_id"))
    is_of_tickets = chosen["kind"] == "tickets" or chosen["state"] or chosen["priority"]
    return StandingPage(conversations=[], counts=page.counts) if is_of_tickets else page


def _wanted(chosen: Mapping[str, str], **names: str) -> dict[str, str]:
    """What is chosen, by the names of the rooms."""
    return {name: chosen[ours] for ours, name in names.items() if chosen[ours]}


def _risk(row: Row) -> datetime:
    """What is not due comes last: the conversations before the tickets, each as their room has them."""
    return datetime.fromisoformat(row.due_at).replace(tzinfo=None) if row.due_at else _NEVER


def _counts(tickets: TicketCounts, talks: StandingPage) -> dict[str, int]:
    standing = talks.counts
    return {
        "all": tickets.new + tickets.open + tickets.waiting + standing.waiting + standing.taken,
        "mine": tickets.mine + standing.mine,
        "nobody": tickets.unassigned + standing.waiting,
        "overdue": tickets.overdue + standing.overdue,
        "conversations": standing.waiting + standing.taken,
    }


def _after(rows: list[Row], chosen: Mapping[str, str]) -> dict[str, str]:
    """Of each room the place of its last row here, or of the page before where none is."""
    places = {"after": chosen["after"], "after_talk": chosen["after_talk"]}
    for row in rows:
        places["after_talk" if isinstance(row, Standing) else "after"] = row.place
    return places
