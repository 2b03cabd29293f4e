"""What the tool that refunds an invoice takes and answers."""

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts import USER_ID

REASON_CHARACTERS = 500


class RefundInvoice(BaseModel):
    """Which invoice to refund, and how much of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"invoice_id": "INV-10001-003"}]})

    user_id: USER_ID = Field(description="Whose invoice; set by the router, never by the model.")
    invoice_id: str = Field(
        pattern=r"^[A-Za-z0-9-]{1,40}$",
        description="The id of the invoice, as the customer or the account names it.",
        examples=["INV-10001-003"],
    )
    amount: str | None = Field(
        default=None,
        pattern=r"^[0-9]{1,7}(\.[0-9]{1,2})?$",
        description="How much to give back, in the invoice's currency, as a decimal number; if left out, all of it.",
        examples=["49.00"],
    )
    reason: str = Field(
        default="", max_length=REASON_CHARACTERS, description="Why the customer wants it, for whoever approves it."
    )

    @property
    def cents(self) -> int | None:
        return None if self.amount is None else int(Decimal(self.amount) * 100)


class Refund(BaseModel):
    """A refund that was made; `amount` is a decimal number."""

    refund_id: str
    invoice_id: str
    amount: str
    currency: str
    status: Literal["made"] = "made"


class CancelledRefund(BaseModel):
    """The refund of this call does not hold, and never will. `refund_id` is None if it had not been made."""

    refund_id: str | None = None
    invoice_id: str | None = None
    amount: str | None = None
    currency: str | None = None
    status: Literal["cancelled"] = "cancelled"
