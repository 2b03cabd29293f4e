"""The tools: where each comes from, which are left out and why, what changed; an admin switches one off."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from console.members import ADMINS
from console.posted import Unfit
from console.problems import Problem
from console.restate import Refusal
from console.visits import Visit, for_staff
from contracts import ToolAct, ToolChange, ToolLine, ToolsShown
from contracts.tool import TOOL_NAME
from contracts.tool_desk import MOST_REASON

NEWS = timedelta(days=1)
ACT_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
SAID = {
    "stands_so": "Somebody did this before you. Look at who it was, and why.",
    "forbidden": "The operators' policy has it switched off: nobody can switch it on here.",
    "act_id_taken": "This form was sent before with other words. Look at what was done.",
    "unknown_tool": "There is no such tool any more, so nothing was done.",
}
"""What a refused switch is called here, by the code of the registry."""


def routes() -> list[Route]:
    return [
        Route("/tools", for_staff(show), methods=["GET"]),
        Route("/tools", for_staff(switch, ADMINS), methods=["POST"]),
    ]


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def switch(visit: Visit) -> Response:
    """Off, or on again, once. The reason is kept when it is not done."""
    tool, act, act_id = (visit.form.get(name, "") for name in ("tool", "act", "act_id"))
    if act not in ("off", "on") or not re.fullmatch(TOOL_NAME, tool) or not ACT_ID.fullmatch(act_id):
        raise Problem(422)
    try:
        await visit.desk.switch_tool(tool, act_id, _reason(visit), on=act == "on")
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)
    except Refusal as refusal:
        if refusal.code not in SAID:
            raise
        return await _page(visit, refusal.status, SAID[refusal.code], unsent=visit.form.get("why", ""))
    return visit.go(f"/tools#tool-{tool}")


def _reason(visit: Visit) -> str:
    why = visit.form.get("why", "").replace("\r\n", "\n").strip()
    if not why or len(why) > MOST_REASON:
        raise Unfit(f"Say why, in at most {MOST_REASON} characters.")
    return why


async def _page(visit: Visit, status: int = 200, notice: str = "", unsent: str = "") -> Response:
    shown = await visit.desk.tools()
    news, older = told_of(shown, datetime.now(UTC))
    told: dict[str, Any] = {
        "groups": grouped(shown.tools),
        "news": news,
        "older": older,
        "since": shown.since,
        "may_switch": visit.member.may(ADMINS),
        "act_ids": {line.name: uuid.uuid4().hex for line in shown.tools},
        "written": visit.form,
        "unsent": unsent,
        "most": MOST_REASON,
        "notice": notice,
    }
    return visit.page("tools.html", status, **told)


def grouped(lines: list[ToolLine]) -> list[tuple[str, str, list[ToolLine]]]:
    """Those that somebody has to know of come first: a key, a heading, and its tools."""
    headings = {
        "off": "Switched off here",
        "left_out": "Left out",
        "on": "On offer",
        "forbidden": "Switched off by the operators' policy",
    }
    groups = [(state, name, [line for line in lines if line.state == state]) for state, name in headings.items()]
    return [group for group in groups if group[2] or group[0] == "on"]


def told_of(shown: ToolsShown, now: datetime) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What changed of the tools, by itself or by an admin, the newest first: of the last day, and before."""
    told = [*map(_by_itself, shown.changes), *map(_by_admin, shown.acts)]
    told.sort(key=lambda each: datetime.fromisoformat(each["at"]), reverse=True)
    news = [each for each in told if datetime.fromisoformat(each["at"]) > now - NEWS]
    return news, told[len(news) :]


def _by_itself(change: ToolChange) -> dict[str, str]:
    return {"tool": change.tool, "what": change.what, "told": change.told, "at": change.at, "who": ""}


def _by_admin(act: ToolAct) -> dict[str, str]:
    what = "switched on" if act.on else "switched off"
    return {"tool": act.tool, "what": what, "told": act.why, "at": act.at, "who": act.who}
