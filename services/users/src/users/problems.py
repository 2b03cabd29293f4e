"""What is wrong with an account, in sentences: read off its data, nothing guessed."""

from collections.abc import Iterator

from users.account import Account, ApiError, Invoice, Profile, Usage

NEAR_LIMIT_PERCENT = 80
ERRORS_WORTH_TELLING = 100

_STATUS = {
    "suspended": "The account is suspended.",
    "cancelled": "The subscription is cancelled.",
    "past_due": "The account is past due: a payment is missing.",
}


def find_problems(account: Account) -> list[str]:
    """One sentence for each problem, the account's status first; empty when there is none to see."""
    return [
        *_of_status(account.profile),
        *_of_usage(account.usage or []),
        *_of_invoices(account.invoices or []),
        *_of_errors(account.recent_errors or []),
    ]


def _of_status(profile: Profile | None) -> Iterator[str]:
    if profile is None:
        return
    if profile.status in _STATUS:
        yield _STATUS[profile.status]
    if profile.status == "trial" and profile.trial_ends_on is not None:
        yield f"The trial ends on {profile.trial_ends_on}."


def _of_usage(usage: list[Usage]) -> Iterator[str]:
    for item in usage:
        if item.limit is None or item.percent is None:
            continue
        figures = f"{item.used:,} of {item.limit:,} ({item.percent:g}%)"
        name = item.metric.replace("_", " ").replace("api", "API")
        if item.over_limit:
            yield f"Over the plan's limit for {name}: {figures}."
        elif item.percent >= NEAR_LIMIT_PERCENT and item.limit > 1:
            yield f"Near the plan's limit for {name}: {figures}."


def _of_invoices(invoices: list[Invoice]) -> Iterator[str]:
    for invoice in invoices:
        if invoice.status == "overdue":
            amount = f"{invoice.amount:,.2f} {invoice.currency}"
            yield f"Invoice {invoice.invoice_id} ({amount}) is {invoice.days_overdue} days overdue."


def _of_errors(errors: list[ApiError]) -> Iterator[str]:
    for error in errors:
        if error.count >= ERRORS_WORTH_TELLING:
            yield (
                f"API calls to {error.endpoint} failed {error.count:,} times with {error.status} {error.code}, "
                f"last at {error.last_seen:%Y-%m-%d %H:%M} UTC."
            )
