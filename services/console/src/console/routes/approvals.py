"""Calls that wait for a person's yes: what waits, what is asked, and what was decided by whom."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from console.editing import Field, fields_of, read, refilled
from console.posted import Unfit
from console.problems import Problem
from console.rendering import APPROVAL
from console.restate import Refusal
from console.visits import Visit, for_staff
from contracts import ApprovalShown, Choice

PAGE = 100
CURSOR = re.compile(rf"[0-9]{{1,17}}~{APPROVAL.pattern}", re.ASCII)
CHOICES: tuple[Choice, ...] = ("approve", "deny", "edit")
SAID = {
    "decided": "Somebody decided this before you did. What you see now is what was decided.",
    "expired": "The time for this decision is over: the call is not made.",
    "other_arguments": "What is asked has changed since you opened the page. Look at it again.",
    "approval_role": "Your roles do not include the one that decides this.",
    "own_approval": "You are the customer of this call: somebody else has to decide it.",
}
"""What a refused decision is called here, by the code of the room."""


def routes() -> list[Route]:
    return [
        Route("/approvals", for_staff(show_list), methods=["GET"]),
        Route("/approvals/{id}", for_staff(show_one), methods=["GET"]),
        Route("/approvals/{id}", for_staff(decide), methods=["POST"]),
    ]


async def show_list(visit: Visit) -> Response:
    asked = visit.request.query_params
    decided, after = asked.get("show") == "decided", asked.get("after", "")
    cursor = after if CURSOR.fullmatch(after) else ""
    page = await visit.desk.approvals(decided=decided, limit=PAGE, cursor=cursor)
    filters = {"show": "decided"} if decided else dict[str, str]()
    more = f"/approvals?{urlencode(filters | {'after': page.next})}" if page.next else ""
    return visit.page("approvals.html", approvals=page.approvals, decided=decided, is_first=not cursor, more=more)


async def show_one(visit: Visit) -> Response:
    return _page(visit, await visit.desk.approval(_id(visit)))


async def decide(visit: Visit) -> Response:
    choice, digest = visit.form.get("choice", ""), visit.form.get("digest", "")
    if choice not in CHOICES:
        raise Problem(422)
    shown = await visit.desk.approval(_id(visit))
    reason = visit.form.get("reason", "").replace("\r\n", "\n").strip()
    if choice == "deny" and not reason:
        return _page(visit, shown, 422, notice="Say why: the customer is told the reason.")
    try:
        arguments = read(_fields(shown), shown.arguments, visit.form) if choice == "edit" else None
        await visit.desk.decide(shown.approval_id, digest, choice, reason, arguments)
    except Unfit as unfit:
        return _page(visit, shown, 422, wrong={unfit.field: unfit.complaint}, opened="edit")
    except Refusal as refusal:
        return await _refused(visit, shown, refusal)
    return visit.go(f"/approvals/{shown.approval_id}")


async def _refused(visit: Visit, shown: ApprovalShown, refusal: Refusal) -> Response:
    if refusal.status == 422:
        opened = "edit" if visit.form.get("choice") == "edit" else ""
        return _page(visit, shown, 422, notice=f"It was not decided: {refusal.message}.", opened=opened)
    if refusal.code not in SAID:
        raise refusal
    now = await visit.desk.approval(shown.approval_id)
    return _page(visit, now, refusal.status, notice=SAID[refusal.code])


def _page(
    visit: Visit,
    shown: ApprovalShown,
    status: int = 200,
    *,
    notice: str = "",
    wrong: Mapping[str, str] | None = None,
    opened: str = "",
) -> Response:
    fields = _fields(shown)
    told: dict[str, Any] = {
        "approval": shown,
        "others": visit.others(f"approval:{shown.approval_id}"),
        "fields": refilled(fields, visit.form) if opened == "edit" else fields,
        "may_decide": shown.role in visit.member.roles,
        "own": shown.user_id.lower() == visit.member.name.lower(),
        "reason": visit.form.get("reason", ""),
        "choice": visit.form.get("choice", ""),
        "wrong": wrong or {},
        "opened": opened,
        "notice": notice,
    }
    return visit.page("approval.html", status, **told)


def _fields(shown: ApprovalShown) -> list[Field]:
    return fields_of(shown.parameters, shown.arguments, shown.fixed)


def _id(visit: Visit) -> str:
    return visit.request.path_params["id"]
