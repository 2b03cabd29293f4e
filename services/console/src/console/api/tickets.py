"""Tickets: listed, read and worked on."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from console.api import examples
from console.api.asked import BEARER, Act, Customer, Here, Limit, Reads, Talks, TicketId, acted, answers, desk_of, named
from console.api.shapes import AssignTicket, ChangeTicket, Hold, Merge, Note, Release, Reply
from console.rendering import TICKET
from contracts import (
    STAFF_NAME,
    UNFINISHED,
    TicketCategory,
    TicketLine,
    TicketPage,
    TicketPriority,
    TicketShown,
    TicketState,
)
from runtime.api.asked import API, body_of, described, optional_body_of

router = APIRouter(prefix=API, tags=["tickets"], dependencies=[BEARER])

CHANGING = ("changed", "closed")


@router.get("/tickets", responses=answers(examples.TICKETS), summary="List tickets")
async def tickets(
    here: Here,
    who: Reads,
    state: Annotated[
        list[TicketState], Query(max_length=5, description="Without it, those that are not done.", examples=[["new"]])
    ] = list(UNFINISHED),  # noqa: B006 - nobody changes it
    mine: Annotated[bool, Query(description="Those of this key.", examples=[False])] = False,
    unassigned: Annotated[bool, Query(description="Those that nobody has.", examples=[True])] = False,
    overdue: Annotated[bool, Query(description="Those past a due time.", examples=[False])] = False,
    priority: Annotated[TicketPriority | None, Query(examples=["high"])] = None,
    category: Annotated[TicketCategory | None, Query(examples=["bug"])] = None,
    assignee: Annotated[STAFF_NAME | None, Query(examples=["anna"])] = None,
    customer: Customer = None,
    search: Annotated[
        str, Query(max_length=200, description="Words of the subject or of what was said.", examples=["invoice"])
    ] = "",
    limit: Limit = 50,
    after: Annotated[
        str,
        Query(
            max_length=64,
            pattern=r"^([0-9]{1,20}|infinity)?(~[0-9]{1,18})?$",
            description="`next` of the page before.",
            examples=["infinity~12"],
        ),
    ] = "",
) -> TicketPage:
    """What is due first at the top; `next` is empty at the end."""
    asked = {"mine": mine, "unassigned": unassigned, "overdue": overdue, "priority": priority, "category": category}
    asked |= {"assignee": assignee, "user_id": customer, "search": search, "limit": limit, "cursor": after}
    return await desk_of(here, who).tickets(states=list(dict.fromkeys(state)), **asked)


@router.get("/tickets/{id}", responses=answers(examples.TICKET_SHOWN), summary="Read a ticket")
async def ticket(here: Here, who: Reads, ticket_id: TicketId) -> TicketShown:
    """What was said of it, how it stands, and who changed what."""
    return await desk_of(here, who).ticket(named(TICKET, ticket_id))


@router.post(
    "/tickets/{id}/reply",
    responses=acted(examples.TICKET, *CHANGING),
    openapi_extra=described(Reply),
    summary="Write to the customer",
)
async def reply(act: Talks, ticket_id: TicketId, told: Annotated[Reply, Depends(body_of(Reply))]) -> TicketLine:
    """Whoever writes has the ticket, if nobody had it."""
    return await _change(act, ticket_id, "reply", told)


@router.post(
    "/tickets/{id}/note",
    responses=acted(examples.TICKET),
    openapi_extra=described(Note),
    summary="Write to the other members of staff",
)
async def note(act: Talks, ticket_id: TicketId, told: Annotated[Note, Depends(body_of(Note))]) -> TicketLine:
    """No customer ever reads it."""
    return await _change(act, ticket_id, "note", told)


@router.post(
    "/tickets/{id}/take",
    responses=acted(examples.TICKET, *CHANGING, "taken"),
    openapi_extra=described(Hold, required=False),
    summary="Take a ticket",
)
async def take(act: Talks, ticket_id: TicketId, wanted: Annotated[Hold, Depends(optional_body_of(Hold))]) -> TicketLine:
    """From somebody else only with `reassign`."""
    return await _change(act, ticket_id, "assign", wanted, to=act.member.name)


@router.post(
    "/tickets/{id}/release",
    responses=acted(examples.TICKET, *CHANGING),
    openapi_extra=described(Release, required=False),
    summary="Give a ticket back to all",
)
async def release(
    act: Talks, ticket_id: TicketId, wanted: Annotated[Release, Depends(optional_body_of(Release))]
) -> TicketLine:
    """Nobody has it then."""
    return await _change(act, ticket_id, "assign", wanted, to="")


@router.post(
    "/tickets/{id}/assign",
    responses=acted(examples.TICKET, *CHANGING, "taken"),
    openapi_extra=described(AssignTicket),
    summary="Give a ticket to somebody",
)
async def assign(
    act: Talks, ticket_id: TicketId, wanted: Annotated[AssignTicket, Depends(body_of(AssignTicket))]
) -> TicketLine:
    """From somebody who has it only with `reassign`."""
    return await _change(act, ticket_id, "assign", wanted)


@router.post(
    "/tickets/{id}/change",
    responses=acted(examples.TICKET, *CHANGING),
    openapi_extra=described(ChangeTicket),
    summary="Change priority, category or state",
)
async def change(
    act: Talks, ticket_id: TicketId, wanted: Annotated[ChangeTicket, Depends(body_of(ChangeTicket))]
) -> TicketLine:
    """What is not given stays as it is."""
    return await _change(act, ticket_id, "change", wanted)


@router.post(
    "/tickets/{id}/merge",
    responses=acted(examples.TICKET, *CHANGING, "itself", "other_customer"),
    openapi_extra=described(Merge),
    summary="Merge a duplicate into another ticket",
)
async def merge(act: Talks, ticket_id: TicketId, wanted: Annotated[Merge, Depends(body_of(Merge))]) -> TicketLine:
    """The duplicate is closed, and what was said of it stands in the other ticket, of the same customer."""
    return await _change(act, ticket_id, "merge", wanted)


async def _change(act: Act, ticket_id: str, handler: str, told: BaseModel, **more: str) -> TicketLine:
    wanted = {"ticket_id": named(TICKET, ticket_id), "act_id": act.name, **told.model_dump(exclude_none=True), **more}
    return await act.desk.change_ticket(handler, **wanted)
