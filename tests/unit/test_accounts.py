"""What is wrong with an account, and who the demo customers are."""

from datetime import UTC, date, datetime

import pytest

from users.account import Account, ApiError, Invoice, Profile, Usage
from users.demo import demo_customers
from users.problems import find_problems

NOW = datetime(2026, 3, 1, 0, 10, tzinfo=UTC)


def profile(status: str, trial_ends_on: date | None = None) -> Profile:
    return Profile(
        user_id="user_1",
        name="Ada",
        company="Ada Ltd",
        country="GB",
        email="a***@ada.example",
        status=status,
        customer_since=date(2025, 1, 1),
        trial_ends_on=trial_ends_on,
    )


def usage(used: int, limit: int | None) -> Usage:
    percent = None if limit is None else 100 * used / limit
    over = limit is not None and used > limit
    return Usage(metric="api_calls_per_month", used=used, limit=limit, percent=percent, over_limit=over)


def invoice(status: str) -> Invoice:
    day = date(2026, 2, 1)
    return Invoice(
        invoice_id="INV-1",
        amount=29,
        currency="USD",
        status=status,
        issued_on=day,
        due_on=day,
        days_overdue=12 if status == "overdue" else None,
    )


def failing(count: int) -> ApiError:
    return ApiError(
        endpoint="GET /v1/payments", status=429, code="rate_limited", message="Too many", count=count, last_seen=NOW
    )


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        (Account(profile=profile("suspended")), "The account is suspended."),
        (Account(profile=profile("trial", date(2026, 3, 9))), "The trial ends on 2026-03-09."),
        (Account(usage=[usage(1010, 1000)]), "Over the plan's limit for API calls per month: 1,010 of 1,000 (101%)."),
        (Account(usage=[usage(800, 1000)]), "Near the plan's limit for API calls per month: 800 of 1,000 (80%)."),
        (Account(invoices=[invoice("overdue")]), "Invoice INV-1 (29.00 USD) is 12 days overdue."),
        (
            Account(recent_errors=[failing(850)]),
            "API calls to GET /v1/payments failed 850 times with 429 rate_limited, last at 2026-03-01 00:10 UTC.",
        ),
    ],
)
def test_each_problem_is_told_in_one_sentence(account: Account, problem: str) -> None:
    assert find_problems(account) == [problem]


def test_an_account_in_order_has_no_problems() -> None:
    account = Account(
        profile=profile("active"),
        usage=[usage(799, 1000), usage(10**9, None)],
        invoices=[invoice("paid"), invoice("open")],
        recent_errors=[failing(3)],
    )
    assert find_problems(account) == []


def test_there_are_fifty_demo_customers_with_made_up_addresses() -> None:
    customers = [rows["customers"][0] for rows in demo_customers(NOW).values()]
    assert len(customers) == len({customer["email"] for customer in customers}) == 50
    assert all(customer["email"].endswith(".example") for customer in customers)


def test_the_demo_customers_are_the_same_at_every_call() -> None:
    assert demo_customers(NOW) == demo_customers(NOW)


def test_the_demo_customers_are_of_every_plan_and_status() -> None:
    customers = [rows["customers"][0] for rows in demo_customers(NOW).values()]
    assert {customer["plan"] for customer in customers} == {"free", "starter", "pro", "business", "enterprise"}
    assert {customer["status"] for customer in customers} == {"active", "trial", "past_due", "suspended", "cancelled"}


def test_usage_months_go_back_over_the_turn_of_the_year() -> None:
    months = {row["month"] for row in demo_customers(NOW)["user_12345"]["usage"]}
    assert sorted(months)[0] == date(2025, 10, 1)
    assert sorted(months)[-1] == date(2026, 3, 1)
