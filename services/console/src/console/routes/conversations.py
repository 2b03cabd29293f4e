"""One conversation with all that staff may see of it, and what they do in it."""

import re
import uuid
from collections.abc import Mapping
from functools import partial

from starlette.responses import Response
from starlette.routing import Route

from console.filling import Known, filled
from console.members import TALKERS
from console.posted import Unfit, colleague_of, text_of
from console.problems import Problem
from console.rendering import RUN
from console.restate import Refusal
from console.visits import Visit, for_staff, key_of
from contracts import HistoryLine, StaffHistory
from runtime.ingress import Away


def routes() -> list[Route]:
    page = "/conversations/{key}"
    return [
        Route(page, for_staff(show_one), methods=["GET"]),
        Route(page, for_staff(act, TALKERS), methods=["POST"]),
        Route(f"{page}/account", for_staff(show_account, TALKERS), methods=["GET"]),
    ]


async def show_one(visit: Visit) -> Response:
    """With `?macro=` its text stands in the form, as long as nobody has written there."""
    macro = visit.request.query_params.get("macro", "")
    if not macro or visit.is_refresh or not visit.member.may(TALKERS):
        return await _page(visit)
    return await _put_in(visit, {"macro": macro})


async def show_account(visit: Visit) -> Response:
    """The customer's account. That the room of accounts cannot tell it keeps nobody from the conversation."""
    key = key_of(visit)
    try:
        return visit.page("account.html", key=key, account=await visit.desk.account(key), is_unknown=False)
    except Away:
        return visit.page("account.html", 503, key=key, account=None, is_unknown=False)
    except Refusal as refusal:
        if refusal.code != "unknown_customer":
            raise
        return visit.page("account.html", 404, key=key, account=None, is_unknown=True)


async def act(visit: Visit) -> Response:
    """What a form on the page wants done; who else was faster is told on it, and no text is lost."""
    key = key_of(visit)
    if visit.form.get("act") == "macro":
        return await _put_in(visit, visit.form)
    try:
        await _do(visit, key)
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)
    except Refusal as refusal:
        if refusal.status != 409:
            raise
        return await _page(visit, 409, SAID.get(refusal.code, refusal.message))
    return visit.go(f"/conversations/{key}#end")


async def _put_in(visit: Visit, form: Mapping[str, str]) -> Response:
    """Show the form with a macro in its text; nothing was said yet."""
    try:
        return await _page(visit, form=form)
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)


async def _do(visit: Visit, key: str) -> None:
    form, desk = visit.form, visit.desk
    match form.get("act"):
        case "take":
            await desk.take(key)
        case "return":
            await desk.give_back(key)
        case "assign":
            await desk.assign(key, colleague_of(form))
        case "say":
            await desk.say(key, text_of(form), form.get("say_id", ""))
        case _:
            raise Problem(422)


SAID = {
    "taken": "Somebody else was faster: they have this conversation.",
    "not_yours": "Somebody else has this conversation now, so this was not said. Your text is kept below.",
    "not_taken": "The agent has this conversation already.",
    "say_id_taken": "This form was sent before with other words. Look at what was said.",
}
"""What is told of a refusal, by the code of the room."""


def unfolded_at(page: StaffHistory) -> dict[int, str]:
    """The agent's runs, each by the position of the line under which it can be unfolded: where it answered, else where
    it is told of last. A stretch of a person is no run of the agent."""
    places: dict[str, HistoryLine] = {}
    for line in page.entries:
        if not RUN.fullmatch(line.run) or line.run in page.of_people:
            continue
        if line.run not in places or places[line.run].kind not in ("answer", "late"):
            places[line.run] = line
    return {line.position: run for run, line in places.items()}


async def _page(visit: Visit, status: int = 200, notice: str = "", form: Mapping[str, str] | None = None) -> Response:
    """`form` names a macro that is to stand in the text."""
    key, before = key_of(visit), _position(visit, "before")
    after = _position(visit, "after") if visit.is_refresh else 0
    desk = visit.desk
    page = await (desk.transcript_after(key, after) if after else desk.transcript(key, before))
    filling = await filled(form, visit.parts.macros, _known(visit, key, page.user_id), visit.form)
    return visit.page(
        "conversation.html",
        status,
        key=key,
        page=page,
        before=before,
        runs=unfolded_at(page),
        others=visit.others(f"conversation:{key}"),
        may_talk=visit.member.may(TALKERS),
        say_id=uuid.uuid4().hex,
        filling=filling,
        text=filling.text,
        to=visit.form.get("to", ""),
        notice=notice or filling.notice,
    )


def _known(visit: Visit, key: str, user_id: str) -> Known:
    values = {"customer.id": user_id, "conversation.id": key, "staff.name": visit.member.shown or visit.member.name}
    return Known(values, partial(visit.customer_name, user_id))


def _position(visit: Visit, name: str) -> int:
    """In the transcript, as the address says it; `after` is the last one that a page shows which looks for more."""
    told = visit.request.query_params.get(name, "")
    return int(told) if re.fullmatch("[0-9]{1,15}", told, re.ASCII) else 0
