"""Fifty made-up customers: the same at every call, with dates that follow the clock."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from users.store import Rows

DEMO_CUSTOMERS = Path(__file__).parent / "demo_customers.csv"
MONTHS_OF_USAGE = 6
MONTHS_OF_INVOICES = 6
DAYS_TO_PAY = 14

_ALLOWED = {  # api_calls_per_month, team_members, storage_gb
    "free": (1_000, 1, 1),
    "starter": (50_000, 5, 10),
    "pro": (500_000, 20, 100),
    "business": (5_000_000, 100, 1_000),
    "enterprise": (40_000_000, 400, 8_000),  # as agreed, and any number of members
}
_PRICE_CENTS = {"free": 0, "starter": 2_900, "pro": 19_900, "business": 99_900, "enterprise": 420_000}


@dataclass(frozen=True)
class _Failing:
    """One kind of failing API call, and about how often it was seen."""

    endpoint: str
    status: int
    code: str
    message: str
    count: int


_STRAY = (
    _Failing("GET /v1/customers/{id}", 404, "not_found", "There is no customer with this id", 12),
    _Failing("POST /v1/payments", 400, "invalid_request", "The field `currency` is missing", 7),
    _Failing("POST /v1/webhooks", 422, "already_exists", "A webhook with this URL exists", 2),
)
_USED_UP = "The API calls of this month are used up"
_LIMIT_REACHED = (
    _Failing("POST /v1/payments", 429, "usage_limit_reached", _USED_UP, 3_000),
    _Failing("GET /v1/customers", 429, "usage_limit_reached", _USED_UP, 1_200),
)
_TOO_FAST = (_Failing("GET /v1/payments", 429, "rate_limited", "Too many requests in one second", 850),)
_REVOKED = (_Failing("POST /v1/payments", 401, "key_revoked", "This API key was revoked", 640),)
_SUSPENDED = (_Failing("POST /v1/payments", 403, "account_suspended", "The account is suspended", 410),)
_SERVER = (
    _Failing("POST /v1/payments", 502, "bad_gateway", "A server behind the API did not answer", 190),
    _Failing("GET /v1/payments", 504, "timeout", "The operation took longer than 30 seconds", 35),
)


@dataclass(frozen=True)
class _Situation:
    """How a customer is doing. `usage` is a range of shares of the plan's API calls, and may pass 1 by a little,
    since calls are metered with a delay; `unpaid` counts invoices.
    """

    usage: tuple[float, float] = (0.15, 0.7)
    status: str = "active"
    unpaid: int = 0
    failing: tuple[_Failing, ...] = ()
    established: bool = True
    trial_days_left: int | None = None


_SITUATIONS = {
    "fine": _Situation(),
    "new": _Situation(usage=(0.0, 0.02), established=False),
    "trial": _Situation(usage=(0.05, 0.3), status="trial", established=False, trial_days_left=9),
    "near_limit": _Situation(usage=(0.91, 0.98)),
    "over_limit": _Situation(usage=(1.001, 1.015), failing=_LIMIT_REACHED),
    "rate_limited": _Situation(failing=_TOO_FAST),
    "key_revoked": _Situation(failing=_REVOKED),
    "server_errors": _Situation(failing=_SERVER),
    "overdue": _Situation(status="past_due", unpaid=1),
    "suspended": _Situation(usage=(0.0, 0.05), status="suspended", unpaid=2, failing=_SUSPENDED),
    "cancelled": _Situation(usage=(0.0, 0.01), status="cancelled"),
    "in_trouble": _Situation(usage=(1.005, 1.01), status="past_due", unpaid=1, failing=_LIMIT_REACHED),
}


def demo_customers(now: datetime) -> Mapping[str, Rows]:
    """All rows of the demo customers, by user id and table."""
    with DEMO_CUSTOMERS.open(encoding="utf-8", newline="") as file:
        return {line["user_id"]: _rows(line, now) for line in csv.DictReader(file)}


def demo_names() -> Mapping[str, str]:
    """The name of each demo customer, by user id."""
    with DEMO_CUSTOMERS.open(encoding="utf-8", newline="") as file:
        return {line["user_id"]: f"{line['name']}, {line['company']}" for line in csv.DictReader(file)}


def _rows(line: dict[str, str], now: datetime) -> Rows:
    situation = _SITUATIONS[line["situation"]]
    user_id, plan = line["user_id"], line["plan"]
    random = Random(user_id)
    days = random.randrange(200, 1600) if situation.established else random.randrange(1, 6)
    trial_ends_on = None
    if situation.trial_days_left is not None:
        trial_ends_on = now.date() + timedelta(days=situation.trial_days_left)
    customer = {name: line[name] for name in ("user_id", "name", "email", "company", "country", "plan")} | {
        "status": situation.status,
        "customer_since": now.date() - timedelta(days=days),
        "trial_ends_on": trial_ends_on,
    }
    return {
        "customers": [customer],
        "agreed_limits": _agreed_limits(user_id, plan),
        "usage": _usage(user_id, plan, situation, random, now.date()),
        "invoices": _invoices(user_id, plan, situation, now.date()),
        "api_errors": _errors(user_id, plan, situation, random, now),
    }


def _agreed_limits(user_id: str, plan: str) -> list[dict[str, Any]]:
    if plan != "enterprise":
        return []
    calls, _, storage = _ALLOWED[plan]
    agreed = {"api_calls_per_month": calls, "storage_gb": storage, "requests_per_second": 1_000}
    return [{"user_id": user_id, "metric": metric, "allowed": allowed} for metric, allowed in agreed.items()]


def _usage(user_id: str, plan: str, situation: _Situation, random: Random, today: date) -> list[dict[str, Any]]:
    """This month as the situation says, the months before it as for everybody."""
    calls, members, storage = _ALLOWED[plan]
    members_used = max(1, int(members * random.uniform(0.2, 0.8)))
    storage_used = int(storage * random.uniform(0.1, 0.8))
    rows: list[dict[str, Any]] = []
    for back in range(MONTHS_OF_USAGE if situation.established else 1):
        share = random.uniform(*(situation.usage if back == 0 else (0.3, 0.85)))
        used = {"api_calls_per_month": int(calls * share), "team_members": members_used, "storage_gb": storage_used}
        month = _month(today, back)
        rows += [{"user_id": user_id, "month": month, "metric": metric, "used": n} for metric, n in used.items()]
    return rows


def _invoices(user_id: str, plan: str, situation: _Situation, today: date) -> list[dict[str, Any]]:
    """One a month; the newest was due twelve days ago, so that an unpaid one is overdue. The last paid one is -006."""
    if not _PRICE_CENTS[plan] or not situation.established:
        return []
    rows: list[dict[str, Any]] = []
    for back in range(MONTHS_OF_INVOICES):
        due = today - timedelta(days=12 + 30 * back)
        issued = due - timedelta(days=DAYS_TO_PAY)
        paid = back >= situation.unpaid
        rows.append(
            {
                "invoice_id": f"INV-{user_id.removeprefix('user_')}-{MONTHS_OF_INVOICES - back + situation.unpaid:03}",
                "user_id": user_id,
                "amount_cents": _PRICE_CENTS[plan],
                "currency": "USD",
                "status": "paid" if paid else "open",
                "issued_on": issued,
                "due_on": due,
                "paid_on": issued + timedelta(days=5) if paid else None,
            }
        )
    return rows


def _errors(user_id: str, plan: str, situation: _Situation, random: Random, now: datetime) -> list[dict[str, Any]]:
    """What the situation says, and now and then the stray errors that every integration has."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    stray = random.sample(_STRAY, random.randrange(len(_STRAY))) if situation.established else []
    scale = 0.1 if plan == "free" else 1.0
    failures = [(failing, 0) for failing in situation.failing] + [(failing, 2) for failing in stray]
    return [
        {
            "user_id": user_id,
            "endpoint": failing.endpoint,
            "status": failing.status,
            "code": failing.code,
            "message": failing.message,
            "count": max(1, int(failing.count * scale * random.uniform(0.8, 1.2))),
            "last_seen": hour - timedelta(days=days_ago, minutes=random.randrange(1, 50)),
        }
        for failing, days_ago in failures
    ]


def _month(today: date, back: int) -> date:
    year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
    return date(year, month + 1, 1)
