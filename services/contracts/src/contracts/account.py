"""A customer's account as staff see it beside a conversation: plain texts, whatever room keeps accounts."""

from pydantic import BaseModel, Field

from contracts.people import ByStaff
from contracts.question import USER_ID


class AccountQuery(ByStaff):
    """Whose account."""

    user_id: USER_ID


class AccountRow(BaseModel):
    """One thing that is known."""

    name: str
    value: str


class AccountPart(BaseModel):
    """One table of it."""

    title: str
    rows: list[AccountRow]


class AccountShown(BaseModel):
    """An account. `name` is what its customer is called; `problems` are sentences about what needs attention."""

    user_id: str
    name: str = ""
    problems: list[str] = Field(default_factory=list[str])
    parts: list[AccountPart] = Field(default_factory=list[AccountPart])
