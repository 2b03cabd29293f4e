"""Who did what: how a room that keeps it is asked, and what it tells."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from contracts.people import ByStaff

AuditKind = Literal["ticket", "approval", "conversation", "tool"]

_EPOCH = datetime.fromtimestamp(0, UTC)


def cursor_of(at: datetime, key: str) -> str:
    """A place in the audit of all rooms: `key` is unique among what was done at this moment."""
    return f"{(at - _EPOCH) // timedelta(microseconds=1)}~{key}"


def place_of(cursor: str) -> tuple[datetime | None, str]:
    """The moment and the key of a cursor; of an empty one neither."""
    moment, _, key = cursor.partition("~")
    return (_EPOCH + timedelta(microseconds=int(moment)), key) if key else (None, "")


class AuditQuery(ByStaff):
    """What to tell of the audit, the newest first. What is not said does not matter.

    `cursor` is that of the last line of the page before, from whichever room it came.
    """

    kind: AuditKind | None = None
    who: str = Field(default="", max_length=64, description="By whom.")
    subject: str = Field(default="", max_length=128, description="The id of what it is about, or the name of a tool.")
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(default=None, description="Before this moment.")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str = Field(default="", max_length=256, pattern=r"^([0-9]{1,17}~[A-Za-z0-9_./:-]{1,220})?$")

    @property
    def before(self) -> tuple[datetime | None, str]:
        """The moment and the key of the line before."""
        return place_of(self.cursor)


class AuditLine(BaseModel):
    """Something that was done. `who` is empty for what came about by itself, `about` tells more of the subject.

    `note` holds words of whoever did it.
    """

    kind: AuditKind
    at: str
    who: str
    action: str
    subject: str
    about: str = ""
    note: str = ""
    cursor: str


class AuditPage(BaseModel):
    """What was done, the newest first."""

    lines: list[AuditLine]
