"""The SQL of refunds. The row of a refund is the mark that its call was made."""

from typing import Any

from runtime.errors import Refused
from runtime.postgres import Connection, Pool, caller_transaction
from users.refunds import CancelledRefund, Refund, RefundInvoice

_BY_KEY = """
SELECT refund_id, invoice_id, amount_cents, currency, status FROM refunds WHERE refund_key = $1
"""
_INVOICE = "SELECT amount_cents, currency, status FROM invoices WHERE invoice_id = $1"
_REFUND = """
INSERT INTO refunds (refund_key, user_id, invoice_id, amount_cents, currency, reason, status)
VALUES ($1, $2, $3, $4, $5, $6, 'refunded')
ON CONFLICT DO NOTHING
"""
_NEVER = """
INSERT INTO refunds (refund_key, user_id, status, cancelled_at) VALUES ($1, $2, 'cancelled', now())
ON CONFLICT (refund_key) DO NOTHING
"""
_CANCEL = "UPDATE refunds SET status = 'cancelled', cancelled_at = now() WHERE refund_key = $1 AND status = 'refunded'"


async def refund(pool: Pool, caller: str, key: str, wanted: RefundInvoice) -> Refund:
    """Refund an invoice of the caller, once for this key; a repeat reads what was done then.

    Raises: `Refused` 404 for an invoice that the caller does not have, 422 for one that cannot be refunded so, or when
    this key was cancelled before.
    """
    async with caller_transaction(pool, caller) as db:
        if made := await _made(db, key):
            return made
        cents, currency = _refundable(wanted, await db.fetchrow(_INVOICE, wanted.invoice_id))
        await db.execute(_REFUND, key, caller, wanted.invoice_id, cents, currency, wanted.reason)
        if made := await _made(db, key):
            return made
    raise Refused(422, "already_refunded", "this invoice was refunded before", "invoice_id")


async def cancel(pool: Pool, caller: str, key: str) -> CancelledRefund:
    """Take a refund back. One that was not made yet can never be made from now on.

    Raises: `Refused` 422 when the key is another caller's.
    """
    async with caller_transaction(pool, caller) as db:
        await db.execute(_NEVER, key, caller)
        await db.execute(_CANCEL, key)
        row = await db.fetchrow(_BY_KEY, key)
    if row is None:
        raise _taken()
    if row["invoice_id"] is None:
        return CancelledRefund()
    return CancelledRefund(
        refund_id=row["refund_id"],
        invoice_id=row["invoice_id"],
        amount=_decimal(row["amount_cents"]),
        currency=row["currency"],
    )


async def _made(db: Connection, key: str) -> Refund | None:
    row = await db.fetchrow(_BY_KEY, key)
    if row is None:
        return None
    if row["status"] == "cancelled":
        raise Refused(422, "refund_cancelled", "this refund was cancelled")
    return Refund(
        refund_id=row["refund_id"],
        invoice_id=row["invoice_id"],
        amount=_decimal(row["amount_cents"]),
        currency=row["currency"],
    )


def _refundable(wanted: RefundInvoice, invoice: Any) -> tuple[int, str]:
    """How much to give back, in cents, and in which currency."""
    if invoice is None:
        raise Refused(404, "unknown_invoice", "this customer has no invoice with this id", "invoice_id")
    if invoice["status"] != "paid":
        raise Refused(422, "invoice_not_paid", "this invoice was not paid, so nothing can be refunded", "invoice_id")
    cents = invoice["amount_cents"] if wanted.cents is None else wanted.cents
    if not 0 < cents <= invoice["amount_cents"]:
        paid = f"{_decimal(invoice['amount_cents'])} {invoice['currency']}"
        raise Refused(422, "amount_not_refundable", f"the amount has to be above 0 and at most {paid}", "amount")
    return cents, invoice["currency"]


def _decimal(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _taken() -> Refused:
    return Refused(422, "key_taken", "this key belongs to another caller")
