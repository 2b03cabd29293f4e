"""The agent's runs: the latest of all conversations, and one of them with what it did; staff stop one at work."""

import re
import uuid
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from console.members import TALKERS
from console.posted import Unfit, reason_of
from console.problems import Problem
from console.rendering import INVOCATION, RUN, TRACE, USER
from console.restate import Refusal
from console.settings import ConsoleSettings
from console.visits import Visit, for_staff, key_of
from contracts import RunKind, RunLine, RunSteps

KINDS: tuple[str, ...] = get_args(RunKind)
CURSOR = re.compile(r"[0-9]{1,17}~[A-Za-z0-9_-]{1,64}", re.ASCII)


def routes() -> list[Route]:
    page = "/conversations/{key}/runs/{run}"
    return [
        Route("/runs", for_staff(show_list), methods=["GET"]),
        Route(page, for_staff(show_one), methods=["GET"]),
        Route(page, for_staff(stop, TALKERS), methods=["POST"]),
    ]


async def show_list(visit: Visit) -> Response:
    chosen = chosen_by(visit.request.query_params)
    page = await visit.desk.runs(chosen["show"], chosen["customer"], chosen["after"])
    told: dict[str, Any] = {
        "runs": page.runs,
        "links": {each.run: links_to(each, visit.parts.settings) for each in page.runs},
        "more": f"/runs?{urlencode(chosen | {'after': page.next})}" if page.next else "",
        "may_stop": visit.member.may(TALKERS),
    }
    return visit.page("runs.html", chosen=chosen, kinds=KINDS, **told)


async def show_one(visit: Visit) -> Response:
    """What the agent did in one run: a page, of which a conversation shows the main part where somebody unfolds it."""
    return await _page(visit)


async def stop(visit: Visit) -> Response:
    """Stop this run, if it is still at work; why is kept where it is not."""
    key, run = key_of(visit), _run(visit)
    try:
        await visit.desk.stop(key, run, reason_of(visit.form), visit.form.get("act_id", ""))
    except Unfit as unfit:
        return await _page(visit, 422, unfit.complaint)
    except Refusal as refusal:
        if refusal.status != 409:
            raise
        return await _page(visit, 409, SAID.get(refusal.code, refusal.message))
    return visit.go(f"/conversations/{key}/runs/{run}")


SAID = {
    "run_changed": "This run is over, or was stopped already: nothing was done.",
    "act_id_taken": "This form was sent before with another reason. Look at what became of it.",
}
"""What is told of a refusal, by the code of the room."""


def links_to(run: RunSteps | RunLine, settings: ConsoleSettings) -> dict[str, str]:
    """Where else a run can be looked at, as far as the settings say where and the run is known there."""
    found: dict[str, str] = {}
    if settings.restate_ui_url and INVOCATION.fullmatch(run.invocation):
        found["In Restate"] = settings.restate_ui_url.replace("{invocation}", run.invocation)
    if settings.trace_url and TRACE.fullmatch(run.trace_id):
        found["Its trace"] = settings.trace_url.replace("{trace_id}", run.trace_id)
    return found


def chosen_by(asked: QueryParams) -> dict[str, str]:
    """The filters in the address, as far as they are any."""
    words = {name: asked.get(name, "").strip() for name in ("show", "customer", "after")}
    return {
        "show": words["show"] if words["show"] in KINDS else "all",
        "customer": words["customer"] if USER.fullmatch(words["customer"]) else "",
        "after": words["after"] if CURSOR.fullmatch(words["after"]) else "",
    }


async def _page(visit: Visit, status: int = 200, notice: str = "") -> Response:
    key, run = key_of(visit), _run(visit)
    after = visit.request.query_params.get("after", "0")
    if not re.fullmatch("[0-9]{1,6}", after, re.ASCII):
        raise Problem(404)
    did = await visit.desk.steps(key, run, int(after))
    told: dict[str, Any] = {
        "did": did,
        "links": links_to(did, visit.parts.settings),
        "may_stop": visit.member.may(TALKERS),
        "act_id": uuid.uuid4().hex,
        "why": visit.form.get("why", ""),
    }
    return visit.page("run.html", status, key=key, notice=notice, **told)


def _run(visit: Visit) -> str:
    run = visit.request.path_params["run"]
    if not RUN.fullmatch(run):
        raise Problem(404)
    return run
