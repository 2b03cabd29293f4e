"""`AccountDesk`: an account as staff see it. A staff token opens it, of whoever speaks with customers."""

import time
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import restate

from contracts import AccountPart, AccountQuery, AccountRow, AccountShown
from runtime.acceptance import Acceptance
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.postgres import Pool
from runtime.proof import prove_staff
from runtime.retries import RETRY
from users import store
from users.account import Account, Invoice, Usage
from users.handlers import unknown_customer
from users.problems import find_problems
from users.settings import UserSettings

TALKERS = frozenset({"agent", "admin"})
"""Roles that see accounts."""


def account_desk(pool: Pool, settings: UserSettings, acceptance: Acceptance) -> restate.Service:
    service = restate.Service(
        "AccountDesk",
        description="The staff's view of a customer's account",
        journal_retention=timedelta(0),
        invocation_retry_policy=RETRY,
    )

    @service.handler(input_serde=RAW, metadata={"switchboard.deadline": "90"})
    @checked
    async def show(ctx: restate.Context, asked: AccountQuery) -> AccountShown:  # pyright: ignore[reportUnusedFunction]
        """The account of a customer, in plain texts."""
        accepted_at = partial(acceptance.of, ctx.request().id)
        staff = await prove_staff(asked.staff_token, settings, time.time(), accepted_at)
        if not TALKERS & set(staff.roles):
            raise Refused(403, "staff_role", "this needs a role that speaks with customers")
        account = await store.read_account(pool, asked.user_id, asked.user_id)
        if account is None:
            raise unknown_customer()
        return shown(asked.user_id, account)

    return service


def shown(user_id: str, account: Account) -> AccountShown:
    parts = {
        "Customer": _profile(account),
        "Plan": _plan(account),
        "This month": [_row(each.metric, _used(each)) for each in account.usage or []],
        "Invoices": [_row(each.invoice_id, _billed(each)) for each in account.invoices or []],
        "Failed API calls": [
            _row(each.endpoint, f"{each.count} times {each.status} {each.code}, last {each.last_seen:%Y-%m-%d %H:%M}")
            for each in account.recent_errors or []
        ],
    }
    told = [AccountPart(title=title, rows=rows) for title, rows in parts.items() if rows]
    name = account.profile.name if account.profile else ""
    return AccountShown(user_id=user_id, name=name, problems=find_problems(account), parts=told)


def _profile(account: Account) -> list[AccountRow]:
    if (who := account.profile) is None:
        return []
    told = [("Name", who.name), ("Company", who.company), ("Country", who.country), ("E-mail", who.email)]
    told += [("Status", who.status), ("Customer since", str(who.customer_since))]
    return _rows([*told, ("Trial ends on", str(who.trial_ends_on or ""))])


def _plan(account: Account) -> list[AccountRow]:
    if (plan := account.plan) is None:
        return []
    price = "by contract" if plan.monthly_price_usd is None else f"{plan.monthly_price_usd:g} USD a month"
    limits = ((f"Limit of {metric}", f"{limit:,}") for metric, limit in plan.limits.items())
    return _rows([("Plan", plan.name), ("Price", price), *limits])


def _used(usage: Usage) -> str:
    if usage.limit is None:
        return f"{usage.used:,}"
    return f"{usage.used:,} of {usage.limit:,}{' (over the limit)' if usage.over_limit else ''}"


def _billed(invoice: Invoice) -> str:
    refunded = f", {invoice.refunded:.2f} refunded" if invoice.refunded else ""
    return f"{invoice.amount:.2f} {invoice.currency}, {invoice.status}, due {invoice.due_on}{refunded}"


def _rows(told: Iterable[tuple[str, str]]) -> list[AccountRow]:
    return [_row(name, value) for name, value in told if value]


def _row(name: str, value: str) -> AccountRow:
    return AccountRow(name=name, value=value)
