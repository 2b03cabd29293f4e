"""Who did what, for admins."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from console.auditing import audited
from console.members import ADMINS
from console.visits import Visit, for_staff
from contracts import AuditKind

KINDS: tuple[str, ...] = get_args(AuditKind)
CURSOR = re.compile(r"[0-9]{1,17}~[A-Za-z0-9_./:-]{1,220}", re.ASCII)


def routes() -> list[Route]:
    return [Route("/audit", for_staff(show, ADMINS), methods=["GET"])]


async def show(visit: Visit) -> Response:
    chosen = chosen_by(visit.request.query_params)
    kind = cast(AuditKind | None, chosen["kind"] or None)
    lines, following = await audited(visit.desk.audits, kind, asked_of(chosen))
    more = f"/audit?{urlencode(chosen | {'after': following})}" if following else ""
    is_filtered = any(chosen[name] for name in chosen if name != "after")
    return visit.page("audit.html", lines=lines, chosen=chosen, kinds=KINDS, more=more, is_filtered=is_filtered)


def chosen_by(asked: QueryParams) -> dict[str, str]:
    """The filters in the address, as far as they are any."""
    words = {name: asked.get(name, "").strip() for name in ("kind", "who", "subject", "since", "until", "after")}
    return {
        "kind": words["kind"] if words["kind"] in KINDS else "",
        "who": words["who"][:64],
        "subject": words["subject"][:128],
        "since": words["since"] if _day(words["since"]) else "",
        "until": words["until"] if _day(words["until"]) else "",
        "after": words["after"] if CURSOR.fullmatch(words["after"]) else "",
    }


def asked_of(chosen: dict[str, str]) -> dict[str, Any]:
    """What the rooms are asked for; a day is one of UTC, and the last one counts whole."""
    asked: dict[str, Any] = {"who": chosen["who"], "subject": chosen["subject"], "cursor": chosen["after"]}
    if since := _day(chosen["since"]):
        asked["since"] = since.isoformat()
    if until := _day(chosen["until"]):
        asked["until"] = (until + timedelta(days=1)).isoformat()
    return asked


def _day(text: str) -> datetime | None:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None
