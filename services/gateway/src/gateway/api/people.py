"""Who one is, and one's tickets."""

from typing import Annotated

from fastapi import APIRouter, Query

from gateway.api.asked import SIGNED_IN, TICKET, Here, TicketId, Who
from gateway.api.shapes import DemoCustomer, DemoCustomers, Me, TicketDetails, Tickets
from gateway.callers import demo_token
from runtime.api.asked import API, COMMON, is_named, problems
from runtime.api.problems import Problem
from runtime.proof import FOR_TICKETS

router = APIRouter(prefix=API)


@router.get("/me", tags=["you"], dependencies=[SIGNED_IN], responses=problems(*COMMON), summary="Who you are")
async def me(here: Here, who: Who) -> Me:
    """Who the gateway takes you for."""
    return Me(user_id=who.user_id, name=who.name, roles=list(who.roles), demo=bool(here.settings.demo_customers))


@router.get(
    "/tickets",
    tags=["tickets"],
    dependencies=[SIGNED_IN],
    responses=problems(*COMMON, "invalid_request"),
    summary="List your tickets",
)
async def tickets(here: Here, who: Who, limit: Annotated[int, Query(ge=1, le=100, examples=[50])] = 50) -> Tickets:
    """The newest first."""
    asked = {"caller_token": here.token(who, FOR_TICKETS), "limit": limit}
    return Tickets.model_validate(await here.restate.call("CustomerTickets/list", asked))


@router.get(
    "/tickets/{id}",
    tags=["tickets"],
    dependencies=[SIGNED_IN],
    responses=problems(*COMMON),
    summary="Read a ticket",
)
async def ticket(here: Here, who: Who, ticket_id: TicketId) -> TicketDetails:
    """How it stands, and what it says."""
    asked = {"caller_token": here.token(who, FOR_TICKETS), "ticket_id": is_named(TICKET, ticket_id)}
    return TicketDetails.model_validate(await here.restate.call("CustomerTickets/get", asked))


@router.get("/demo/customers", tags=["demo"], responses=problems("not_found"), summary="Whom you may be")
async def demo_customers(here: Here) -> DemoCustomers:
    """Made-up customers, each with a token. There are none where real customers come in."""
    if not here.settings.demo_customers:
        raise Problem("not_found")
    customers = [
        DemoCustomer(user_id=each.user_id, name=each.name, token=demo_token(each))
        for each in here.settings.demo_customers
    ]
    return DemoCustomers(customers=customers)
