"""Tickets: a list, what is due first at the top, and one of them with all that was said of it and what can be done."""

import asyncio
import re
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from console.filling import Known, filled
from console.members import TALKERS
from console.posted import Unfit
from console.problems import Problem
from console.rendering import TICKET, USER
from console.restate import Refusal
from console.ticket_forms import AFTER_REPLY, CATEGORIES, CHANGED_TO, PRIORITIES, told_of, wanted_by
from console.visits import Visit, for_staff
from contracts import TicketShown, TicketState

STATES: tuple[str, ...] = get_args(TicketState)
FORMS = ("reply", "note", "hold", "assign", "change", "merge")
WHO = ("all", "mine", "unassigned", "overdue")
CURSOR = re.compile(r"([0-9]{1,20}|infinity)?(~[0-9]{1,18})?", re.ASCII)


def routes() -> list[Route]:
    return [
        Route("/tickets", for_staff(show_list), methods=["GET"]),
        Route("/tickets/{id}", for_staff(show_one), methods=["GET"]),
        Route("/tickets/{id}", for_staff(act, TALKERS), methods=["POST"]),
    ]


async def show_list(visit: Visit) -> Response:
    chosen = chosen_by(visit.request.query_params)
    desk = visit.desk
    page, counts = await asyncio.gather(desk.tickets(**asked_of(chosen)), desk.ticket_counts())
    more = f"/tickets?{urlencode(chosen | {'after': page.next})}" if page.next else ""
    told: dict[str, Any] = {"states": STATES, "priorities": PRIORITIES, "counts": counts, "more": more}
    return visit.page("tickets.html", tickets=page.tickets, chosen=chosen, **told)


async def show_one(visit: Visit) -> Response:
    """With `?macro=` its text stands in the reply, as long as nobody has written there."""
    macro = visit.request.query_params.get("macro", "")
    if not macro or visit.is_refresh or not visit.member.may(TALKERS):
        return await _page(visit)
    return await _put_in(visit, {"macro": macro})


async def _put_in(visit: Visit, form: Mapping[str, str]) -> Response:
    """Show the reply with a macro in its text; nothing was sent yet."""
    try:
        return await _page(visit, form=form)
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)


async def act(visit: Visit) -> Response:
    """What a form on the page wants done, once. What was written is kept when it is not done."""
    ticket_id = _id(visit)
    if visit.form.get("act") == "macro":
        return await _put_in(visit, visit.form)
    try:
        wanted = wanted_by(visit.form, visit.member.name)
        await visit.desk.change_ticket(wanted.handler, ticket_id=ticket_id, **wanted.body)
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)
    except Refusal as refusal:
        return await _refused(visit, refusal)
    if wanted.handler == "merge":
        return visit.go(f"/tickets/{wanted.body['into']}")
    return visit.go(f"/tickets/{ticket_id}#{'end' if wanted.handler in ('reply', 'note') else 'main'}")


async def _refused(visit: Visit, refusal: Refusal) -> Response:
    if refusal.status not in (404, 409, 422):
        raise refusal
    notice = told_of(refusal, visit.form, await visit.desk.ticket(_id(visit)))
    if not notice:
        raise refusal
    return await _page(visit, refusal.status, notice)


async def _page(visit: Visit, status: int = 200, notice: str = "", form: Mapping[str, str] | None = None) -> Response:
    """`form` names a macro that is to stand in the reply."""
    ticket = await visit.desk.ticket(_id(visit))
    filling = await filled(form, visit.parts.macros, _known(visit, ticket), visit.form)
    written = visit.form
    if form is not None or visit.form.get("act") == "macro":
        written = {**visit.form, "act": "reply", "text": filling.text}
    told: dict[str, Any] = {
        "ticket": ticket,
        "others": visit.others(f"ticket:{ticket.ticket_id}"),
        "may_act": visit.member.may(TALKERS),
        "act_ids": {form: uuid.uuid4().hex for form in FORMS},
        "filling": filling,
        "written": written,
        "after_reply": AFTER_REPLY,
        "priorities": PRIORITIES,
        "categories": CATEGORIES,
        "changed_to": CHANGED_TO,
        "notice": notice or filling.notice,
    }
    return visit.page("ticket.html", status, **told)


def _known(visit: Visit, ticket: TicketShown) -> Known:
    values = {"customer.id": ticket.user_id, "ticket.id": ticket.ticket_id, "ticket.subject": ticket.subject}
    values |= {"staff.name": visit.member.shown or visit.member.name}
    if ticket.conversation:
        values["conversation.id"] = ticket.conversation
    return Known(values, partial(visit.customer_name, ticket.user_id))


def _id(visit: Visit) -> str:
    ticket_id = visit.request.path_params["id"]
    if not TICKET.fullmatch(ticket_id):
        raise Problem(404)
    return ticket_id


def chosen_by(asked: QueryParams) -> dict[str, str]:
    """The filters in the address, as far as they are any."""
    words = {name: asked.get(name, "").strip() for name in ("who", "state", "priority", "customer", "search", "after")}
    return {
        "who": words["who"] if words["who"] in WHO else "all",
        "state": words["state"] if words["state"] in STATES else "",
        "priority": words["priority"] if words["priority"] in PRIORITIES else "",
        "customer": words["customer"] if USER.fullmatch(words["customer"]) else "",
        "search": words["search"][:200],
        "after": words["after"] if CURSOR.fullmatch(words["after"]) else "",
    }


def asked_of(chosen: dict[str, str]) -> dict[str, Any]:
    """What `TicketDesk/list` is asked for."""
    asked: dict[str, Any] = {"limit": 50, "search": chosen["search"], "cursor": chosen["after"]}
    if chosen["who"] != "all":
        asked[chosen["who"]] = True
    if chosen["state"]:
        asked["states"] = [chosen["state"]]
    if chosen["priority"]:
        asked["priority"] = chosen["priority"]
    if chosen["customer"]:
        asked["user_id"] = chosen["customer"]
    return asked
