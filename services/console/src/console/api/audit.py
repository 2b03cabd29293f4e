"""Who did what, in all rooms."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from console.api import examples
from console.api.asked import BEARER, Audits, Here, answers, desk_of
from console.auditing import audited
from contracts import AuditKind, AuditLine
from runtime.api.asked import API

router = APIRouter(prefix=API, tags=["audit"], dependencies=[BEARER])


class Audit(BaseModel):
    """What was done, the newest first; `next` is the `after` of the next page, empty at the end."""

    lines: list[AuditLine]
    next: str = ""


@router.get("/audit", responses=answers(examples.AUDIT), summary="Read who did what")
async def read(
    here: Here,
    who: Audits,
    kind: Annotated[AuditKind | None, Query(examples=["approval"])] = None,
    by: Annotated[str, Query(max_length=64, description="By whom.", examples=["anna"])] = "",
    subject: Annotated[
        str,
        Query(max_length=128, description="What it is about: an id, or a tool's name.", examples=["TCK-000001"]),
    ] = "",
    since: Annotated[AwareDatetime | None, Query(examples=["2026-01-02T00:00:00Z"])] = None,
    until: Annotated[
        AwareDatetime | None, Query(description="Before this moment.", examples=["2026-01-03T00:00:00Z"])
    ] = None,
    after: Annotated[
        str,
        Query(
            max_length=256,
            pattern=r"^([0-9]{1,17}~[A-Za-z0-9_./:-]{1,220})?$",
            description="`next` of the page before.",
            examples=["1767323045000000~a.1"],
        ),
    ] = "",
) -> Audit:
    """What staff and their tools did, 50 lines at a time; for admins."""
    asked = {"who": by, "subject": subject, "cursor": after}
    times = {name: at.isoformat() for name, at in (("since", since), ("until", until)) if at}
    lines, following = await audited(desk_of(here, who).audits, kind, asked | times)
    return Audit(lines=lines, next=following)
