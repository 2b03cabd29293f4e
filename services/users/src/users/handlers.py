"""What the model may ask about a customer's account, and what it may start or refund; whether a customer exists."""

import json
from datetime import timedelta

import restate
from restate import RunOptions

from runtime.call_tokens import ProvenCallers
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.postgres import Pool
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from users import refund_store, store
from users.account import Account, CustomerId, Export, Known, QueryUserDatabase
from users.problems import find_problems
from users.refunds import CancelledRefund, Refund, RefundInvoice

ORPHANED = {"switchboard.deadline": "90"}
"""A read that fails for longer than any caller waits is ended by the registry: nothing tells it of a cancellation."""
BOUND_TOOL = {"mcp.type": "tool", "tool.bind": "user_id=caller.user_id"}


def user_database(pool: Pool, callers: ProvenCallers) -> restate.Service:
    """`UserDatabase`: reads. They take no `ctx.run`, since the handler's answer is journaled by its caller."""
    service = restate.Service("UserDatabase", ingress_private=True, invocation_retry_policy=RETRY)

    @service.handler(
        input_serde=RAW, metadata={**BOUND_TOOL, "tool.readonly": "true", "tool.timeout": "30", **ORPHANED}
    )
    @checked
    async def query_user_database(ctx: restate.Context, request: QueryUserDatabase) -> Account:
        """Look up the customer's own account data: profile and account status, current subscription plan with its
        price and limits, usage this month against these limits, latest invoices and payments, and recent errors of
        their API calls. Use it to find out why API calls are failing, what is wrong with an account, or what a plan
        includes. It also lists the problems that it sees.
        """
        account = await store.read_account(pool, await callers.of(ctx), request.user_id)
        if account is None:
            raise unknown_customer()
        account.problems = find_problems(account)
        return account.only(request.sections)

    @service.handler(input_serde=RAW)
    @checked
    async def is_customer(ctx: restate.Context, request: CustomerId) -> Known:
        """Whether there is such a customer; for the router, not for the model."""

        async def look() -> Known:
            return Known(known=await store.is_customer(pool, await callers.of(ctx), request.user_id))

        return await ctx.run_typed("look the customer up", look)  # a step, since only what waits can be cancelled

    return service


def account_export(pool: Pool, callers: ProvenCallers, seconds: float) -> restate.Service:
    """`AccountExport`: work that takes its time, so it is started (`send`) and asked about later."""
    service = restate.Service("AccountExport", ingress_private=True, invocation_retry_policy=RETRY_UNTIL_DONE)

    @service.handler(
        input_serde=RAW,
        metadata={**BOUND_TOOL, "tool.mode": "send"},
        inactivity_timeout=timedelta(seconds=1),  # while it sleeps it holds neither a slot nor a connection
    )
    @checked
    async def export_account(ctx: restate.Context, request: CustomerId) -> Export:
        """Start an export: one file with everything that is stored about the customer, for data portability or an
        archive. It takes a while; the answer is a task id, and check_task tells how it stands and what it exported.
        """
        export_id = str(ctx.uuid())

        async def export() -> Export | None:
            content = await store.read_everything(pool, await callers.of(ctx), request.user_id)
            return None if content is None else summary(export_id, content)

        exported = await ctx.run_typed("read everything", export)
        if exported is None:
            raise unknown_customer()
        await ctx.sleep(timedelta(seconds=seconds), name="write the file")
        return exported

    return service


def invoice_refund(pool: Pool, callers: ProvenCallers) -> restate.Workflow:
    """`InvoiceRefund`: one refund for each key, or none once that key was cancelled."""
    workflow = restate.Workflow(
        "InvoiceRefund",
        description="Refunds an invoice, once for each key",
        ingress_private=True,
        invocation_retry_policy=RETRY_UNTIL_DONE,
    )

    async def made(ctx: restate.WorkflowContext, wanted: RefundInvoice) -> Refund:
        return await refund_store.refund(pool, await callers.of(ctx), ctx.key(), wanted)

    async def taken_back(ctx: restate.WorkflowSharedContext) -> CancelledRefund:
        return await refund_store.cancel(pool, await callers.of(ctx), ctx.key())

    @workflow.main(
        input_serde=RAW,
        workflow_retention=timedelta(days=1),
        metadata={
            **BOUND_TOOL,
            "tool.name": "refund_invoice",
            "tool.key": "run",
            "tool.approval": "required",
            "tool.destinations": "invoice_id",
            "tool.compensate": "cancel_refund",
        },
    )
    @checked
    async def run(ctx: restate.WorkflowContext, wanted: RefundInvoice) -> Refund:  # pyright: ignore[reportUnusedFunction]
        """Refund a paid invoice of the customer, all of it or a part: the money goes back the way it was paid.

        Use it when the customer asks for a refund and names the invoice. A person approves each refund before it is
        made. An invoice is refunded once.
        """
        _check_key(ctx.key())
        return await ctx.run_typed("refund", made, RunOptions(), ctx, wanted)

    @workflow.handler("cancel_refund", input_serde=RAW, metadata={"switchboard.deadline": "none"})
    @checked
    async def cancel_refund(ctx: restate.WorkflowSharedContext, _: RefundInvoice) -> CancelledRefund:  # pyright: ignore[reportUnusedFunction]
        """Take the refund of this key back; one that was not made yet never will be."""
        _check_key(ctx.key())
        return await ctx.run_typed("cancel refund", taken_back, RunOptions(), ctx)

    return workflow


def _check_key(key: str) -> None:
    if not key:
        raise Refused(422, "key_missing", "a refund needs a key of its own")


def summary(export_id: str, content: str) -> Export:
    """How many records of each kind this export holds, and how large it is."""
    records = {table: len(rows) for table, rows in json.loads(content).items()}
    return Export(export_id=export_id, records=records, size_bytes=len(content.encode()))


def unknown_customer() -> Refused:
    return Refused(404, "unknown_customer", "there is no customer with this id", "user_id")
