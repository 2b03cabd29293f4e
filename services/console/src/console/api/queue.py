"""The queue of the desk: what waits for somebody, tickets and conversations as one list."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console.api import examples
from console.api.asked import BEARER, Customer, Here, Reads, answers, desk_of
from console.api.shapes import Queue
from console.queueing import queue_of
from contracts import TicketPriority, TicketState
from runtime.api.asked import API

router = APIRouter(prefix=API, tags=["queue"], dependencies=[BEARER])

PLACES = r"^(([0-9]{1,20}|infinity)?(~[0-9]{1,18})?,(([0-9]{1,17}|infinity)~-?[0-9]{1,17}~conv_[A-Za-z0-9]{16,64})?)?$"
"""Behind which the next page begins: in the tickets, and in the conversations."""


@router.get("/queue", responses=answers(examples.QUEUE), summary="List what waits for somebody")
async def queue(
    here: Here,
    who: Reads,
    whose: Annotated[
        Literal["all", "mine", "nobody", "overdue"],
        Query(alias="who", description="`nobody`: what nobody has; `mine`: what this key has.", examples=["nobody"]),
    ] = "all",
    kind: Annotated[Literal["tickets", "conversations"] | None, Query(examples=["tickets"])] = None,
    state: Annotated[TicketState | None, Query(description="Of tickets.", examples=["new"])] = None,
    priority: Annotated[TicketPriority | None, Query(description="Of tickets.", examples=["high"])] = None,
    customer: Customer = None,
    search: Annotated[
        str, Query(max_length=200, description="Words of a subject or of what was said.", examples=["invoice"])
    ] = "",
    after: Annotated[
        str, Query(max_length=200, pattern=PLACES, description="`next` of the page before.", examples=["infinity~12,"])
    ] = "",
) -> Queue:
    """Unfinished tickets, and conversations that people have or are waited for in; 50 at a time."""
    chosen = {"who": whose, "kind": kind, "state": state, "priority": priority, "customer": customer, "search": search}
    of_tickets, _, of_talks = after.partition(",")
    places = {"after": of_tickets, "after_talk": of_talks}
    found = await queue_of(desk_of(here, who), {name: each or "" for name, each in chosen.items()} | places)
    following = ",".join((found.after["after"], found.after["after_talk"])) if found.after else ""
    return Queue(rows=found.rows, counts=found.counts, next=following)
