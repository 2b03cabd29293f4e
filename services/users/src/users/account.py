"""What the tools of this service take and answer."""

from datetime import date, datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from contracts import USER_ID

Section = Literal["profile", "plan", "usage", "invoices", "recent_errors"]
SECTIONS: tuple[Section, ...] = get_args(Section)


class QueryUserDatabase(BaseModel):
    """Which parts of the customer's account to read."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"sections": ["plan", "usage"]}]})

    user_id: USER_ID = Field(description="Whose account; set by the router, never by the model.")
    sections: list[Section] | None = Field(
        default=None,
        max_length=len(SECTIONS),
        description="Parts to read; leave it out for all of them. "
        "profile: name, company, status. plan: subscription, price and limits. usage: this month against the limits. "
        "invoices: what is overdue, then the latest. recent_errors: failed API calls of the last 7 days.",
        examples=[["plan", "usage"]],
    )


class CustomerId(BaseModel):
    """Which customer."""

    model_config = ConfigDict(extra="forbid")

    user_id: USER_ID = Field(description="The customer's id.")


class Known(BaseModel):
    """Whether there is such a customer."""

    known: bool


def _is_none(value: object) -> bool:
    return value is None


class Profile(BaseModel):
    """Who the customer is; the e-mail address is masked, since all of this goes to a model."""

    user_id: str
    name: str
    company: str
    country: str
    email: str
    status: str
    customer_since: date
    trial_ends_on: date | None = Field(default=None, exclude_if=_is_none)


class Plan(BaseModel):
    """What was bought; the price is None when it is set by contract. `limits` are by metric."""

    name: str
    monthly_price_usd: float | None
    limits: dict[str, int]


class Usage(BaseModel):
    """One metric in the current month; a metric without a limit has neither limit nor percent."""

    metric: str
    used: int
    limit: int | None
    percent: float | None
    over_limit: bool


class Invoice(BaseModel):
    """`status` is paid, open, overdue or void; `refunded` is what of it was given back."""

    invoice_id: str
    amount: float
    currency: str
    status: str
    issued_on: date
    due_on: date
    paid_on: date | None = Field(default=None, exclude_if=_is_none)
    days_overdue: int | None = Field(default=None, exclude_if=_is_none)
    refunded: float | None = Field(default=None, exclude_if=_is_none)


class ApiError(BaseModel):
    """Failed API calls of one kind at one endpoint."""

    endpoint: str
    status: int
    code: str
    message: str
    count: int
    last_seen: datetime


class Account(BaseModel):
    """One customer's account; sections that were not asked for are absent. `problems` looks at all of them."""

    problems: list[str] = Field(default_factory=list[str], description="What needs attention in this account.")
    profile: Profile | None = Field(default=None, exclude_if=_is_none)
    plan: Plan | None = Field(default=None, exclude_if=_is_none)
    usage: list[Usage] | None = Field(default=None, exclude_if=_is_none)
    invoices: list[Invoice] | None = Field(default=None, exclude_if=_is_none)
    recent_errors: list[ApiError] | None = Field(default=None, exclude_if=_is_none)

    def only(self, sections: list[Section] | None) -> "Account":
        """This account without the sections that were not asked for."""
        unwanted = set(SECTIONS) - set(sections or SECTIONS)
        return self.model_copy(update=dict.fromkeys(unwanted))


class Export(BaseModel):
    """A finished export: how many records of each kind, and the size of all of it as JSON."""

    export_id: str
    records: dict[str, int]
    size_bytes: int
