"""`python -m tests.parts.approved_tools`: tools that a person has to approve; each writes down that it was called."""

import asyncio
from pathlib import Path

import restate
from pydantic import BaseModel, Field

from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings

TOOL = {"mcp.type": "tool", "tool.approval": "required"}
LEDGERS: list[Path] = []

payments = restate.Service("Payments", ingress_private=True, invocation_retry_policy=RETRY)


class Settings(RestateServiceSettings):
    ledger: Path


class Pay(BaseModel):
    order: str = Field(description="For which order.", pattern=r"^[a-z0-9-]{1,64}$")
    euros: float = Field(description="How much.", gt=0, le=1000)
    user_id: str


class Paid(BaseModel):
    order: str
    euros: float
    user_id: str


def write(line: str) -> str:
    """Outlives a kill, and is written once for a payment of this call."""
    ledger = LEDGERS[0]
    if line not in ledger.read_text().splitlines():
        with ledger.open("a") as file:
            file.write(f"{line}\n")
    return line


@payments.handler(metadata=TOOL | {"tool.bind": "user_id=caller.user_id"}, input_serde=RAW)
@checked
async def pay(ctx: restate.Context, wanted: Pay) -> Paid:
    """Pays money back."""
    if wanted.order == "refused":
        raise Refused(422, "refused", "this order is refused")
    await ctx.run_typed("pay", write, line=f"{wanted.order} {wanted.euros:g} {wanted.user_id} {ctx.request().id}")
    return Paid(**wanted.model_dump())


class Look(BaseModel):
    order: str = Field(description="Which order.")


@payments.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def look_at_order(_: restate.Context, wanted: Look) -> Paid:
    """Shows an order."""
    return Paid(order=wanted.order, euros=1, user_id="")


if __name__ == "__main__":
    settings = Settings.read()
    LEDGERS.append(settings.ledger)
    asyncio.run(serve(settings, [payments]))
