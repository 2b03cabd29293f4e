"""The SQL of accounts. Each read is one statement, and sees the rows of one customer alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.postgres import Pool, caller_transaction, connect
from runtime.telemetry.logs import get_logger
from users.account import Account

SCHEMA = "users"
MIGRATIONS = Path(__file__).parent / "migrations"

log = get_logger(__name__)

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""One customer's rows by table; `customers` has one."""

_TABLES = ("customers", "agreed_limits", "usage", "invoices", "api_errors")

_KNOWS = "SELECT EXISTS (SELECT FROM customers WHERE user_id = $1)"

_ACCOUNT = """
WITH limits AS (
    SELECT metric, COALESCE(agreed.allowed, offered.allowed) AS allowed
    FROM (SELECT * FROM plan_limits WHERE plan = (SELECT plan FROM customers WHERE user_id = $1)) AS offered
    FULL JOIN (SELECT * FROM agreed_limits WHERE user_id = $1) AS agreed USING (metric)
), used AS (
    SELECT metric, COALESCE(used, 0) AS used, allowed
    FROM (SELECT * FROM limits WHERE metric <> 'requests_per_second') AS limits
    FULL JOIN (
        SELECT metric, used FROM usage
        WHERE user_id = $1 AND month = date_trunc('month', CURRENT_DATE)::date
    ) AS month USING (metric)
), billed AS (
    SELECT *, status = 'open' AND due_on < CURRENT_DATE AS overdue
    FROM invoices WHERE user_id = $1
    ORDER BY overdue DESC, issued_on DESC, invoice_id LIMIT 6
), failed AS (
    SELECT endpoint, status, code, message, count, last_seen
    FROM api_errors WHERE user_id = $1 AND last_seen > now() - interval '7 days'
    ORDER BY count DESC, endpoint, code LIMIT 10
)
SELECT json_build_object(
    'profile', json_build_object(
        'user_id', user_id, 'name', customers.name, 'company', company, 'country', country,
        'email', regexp_replace(email, '^(.).*@', '\\1***@'), 'status', status,
        'customer_since', customer_since, 'trial_ends_on', trial_ends_on
    ),
    'plan', json_build_object(
        'name', plans.name, 'monthly_price_usd', round(monthly_price_cents / 100.0, 2),
        'limits', (SELECT json_object_agg(metric, allowed ORDER BY metric) FROM limits)
    ),
    'usage', (SELECT COALESCE(json_agg(json_build_object(
        'metric', metric, 'used', used, 'limit', allowed,
        'percent', round(100.0 * used / NULLIF(allowed, 0), 1), 'over_limit', COALESCE(used > allowed, false)
    ) ORDER BY metric), '[]') FROM used),
    'invoices', (SELECT COALESCE(json_agg(json_build_object(
        'invoice_id', invoice_id, 'amount', round(amount_cents / 100.0, 2), 'currency', currency,
        'status', CASE WHEN overdue THEN 'overdue' ELSE status END,
        'issued_on', issued_on, 'due_on', due_on, 'paid_on', paid_on,
        'days_overdue', CASE WHEN overdue THEN CURRENT_DATE - due_on END,
        'refunded', (SELECT round(refunds.amount_cents / 100.0, 2) FROM refunds
                     WHERE refunds.invoice_id = billed.invoice_id AND refunds.status = 'refunded')
    )), '[]') FROM billed),
    'recent_errors', (SELECT COALESCE(json_agg(failed), '[]') FROM failed)
)
FROM customers JOIN plans USING (plan) WHERE user_id = $1
"""

_EVERYTHING = """
SELECT json_build_object(
    'customers', json_build_array(row_to_json(customers)),
    'agreed_limits', (SELECT COALESCE(json_agg(t), '[]') FROM agreed_limits AS t WHERE user_id = $1),
    'usage', (SELECT COALESCE(json_agg(t), '[]') FROM usage AS t WHERE user_id = $1),
    'invoices', (SELECT COALESCE(json_agg(t), '[]') FROM invoices AS t WHERE user_id = $1),
    'api_errors', (SELECT COALESCE(json_agg(t), '[]') FROM api_errors AS t WHERE user_id = $1),
    'refunds', (SELECT COALESCE(json_agg(t), '[]') FROM refunds AS t WHERE user_id = $1)
)
FROM customers WHERE user_id = $1
"""


async def is_customer(pool: Pool, caller: str, user_id: str) -> bool:
    """Whether there is such a customer."""
    async with caller_transaction(pool, caller) as db:
        return bool(await db.fetchval(_KNOWS, user_id))


async def read_account(pool: Pool, caller: str, user_id: str) -> Account | None:
    """The whole account, without the problems in it; None for an unknown customer."""
    async with caller_transaction(pool, caller) as db:
        found = await db.fetchval(_ACCOUNT, user_id)
    return None if found is None else Account.model_validate_json(found)


async def read_everything(pool: Pool, caller: str, user_id: str) -> str | None:
    """All that is stored about a customer, as JSON by table; None for an unknown customer."""
    async with caller_transaction(pool, caller) as db:
        return await db.fetchval(_EVERYTHING, user_id)


async def replace_customers(owner_url: str, customers: Mapping[str, Rows], password: str = "") -> None:
    """Put these customers, by id, in the place of whatever is stored about them: all or nothing, one process at a time.

    The owner is under row-level security too, so it becomes one customer after the other.
    """
    connection = await connect(owner_url, password)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('search_path', $1, true)", SCHEMA)
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('switchboard:seed'))")
            for user_id, rows in customers.items():
                await connection.execute("SELECT set_config('app.user_id', $1, true)", user_id)
                await connection.execute("DELETE FROM customers WHERE user_id = $1", user_id)
                for table in _TABLES:
                    await _insert(connection, table, rows.get(table, []))
        log.info("seeded", extra={"customers": len(customers)})
    finally:
        await connection.close()


async def _insert(connection: Any, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Names the columns that the rows have, so that those of a newer schema keep their defaults."""
    if rows:
        columns = ", ".join(rows[0])
        insert = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1)"  # noqa: S608
        await connection.execute(insert, json.dumps(rows, default=str))
