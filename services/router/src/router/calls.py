"""Calls: start what a turn planned, all at once and in the model's order, and wait for it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import restate
from pydantic import BaseModel
from restate import Context, RunOptions, TerminalError
from restate.context import RestateDurableCallFuture, RestateDurableFuture
from restate.serde import BytesSerde

from contracts import Caller, Tool
from router.plan import Plan
from router.tasks import Task, remember
from router.transcript import Result, as_data, as_error
from runtime.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class LocalTool:
    """A tool of the router's own: a read, done inside `ctx.run`. `run` takes the checked JSON arguments."""

    tool: Tool
    run: Callable[[bytes], Awaitable[BaseModel]]


async def settle(ctx: Context, plans: list[Plan], caller: Caller, local: Mapping[str, LocalTool]) -> list[Result]:
    """Make the planned calls and wait for each as long as its plan allows; results come in the model's order.

    Raises only our own cancellation (409), which leaves at once.
    """
    calls = [_start(ctx, plan, local) for plan in plans]
    results = {plan.call_id: _refused(plan) for plan in plans if plan.error is not None}
    waiting = {plan.call_id: (plan, call) for plan, call in zip(plans, calls, strict=True) if call is not None}
    timers = _timers(ctx, [plan for plan, _ in waiting.values() if plan.service is not None])
    for plan in plans:
        if plan.error is None and plan.mode == "send":
            results[plan.call_id] = await _send(ctx, plan, caller)
    while waiting:
        futures: list[RestateDurableFuture[Any]] = [*(call for _, call in waiting.values()), *timers.values()]
        done, _ = await restate.wait_completed(*futures)
        expired = {timeout for timeout, timer in timers.items() if timer in done}
        for call_id, (plan, call) in list(waiting.items()):
            if call in done:
                results[call_id] = await _read(plan, call)
                del waiting[call_id]
            elif plan.timeout in expired:
                results[call_id] = await _leave(ctx, plan, call, caller)
                del waiting[call_id]
        timers = {timeout: timer for timeout, timer in timers.items() if timeout not in expired}
    return [results[plan.call_id] for plan in plans]


def _start(ctx: Context, plan: Plan, local: Mapping[str, LocalTool]) -> RestateDurableFuture[bytes] | None:
    if plan.error is not None or plan.mode == "send":
        return None
    if plan.service is None:
        options = RunOptions[bytes](serde=BytesSerde(), max_attempts=1)
        return ctx.run_typed(f"tool {plan.tool}", _run_local, options, local[plan.tool], plan)
    return ctx.generic_call(
        plan.service, plan.handler or "", plan.body.encode(), key=plan.key, idempotency_key=_idempotency_key(plan)
    )


def _timers(ctx: Context, remote: list[Plan]) -> dict[float, RestateDurableFuture[None]]:
    """One durable timer for each distinct timeout, named after its tools; a local tool keeps its own in its step."""
    tools: dict[float, list[str]] = {}
    for plan in remote:
        tools.setdefault(plan.timeout, []).append(plan.tool)
    return {
        seconds: ctx.sleep(timedelta(seconds=seconds), f"tool {', '.join(names)} (at most {seconds:g} s)")
        for seconds, names in tools.items()
    }


def _idempotency_key(plan: Plan) -> str | None:
    """Keeps the result of a call that may outlive its run; a keyed call with its own retention needs none."""
    return plan.task_id if plan.task_id and plan.key is None else None


async def _run_local(tool: LocalTool, plan: Plan) -> bytes:
    try:
        async with asyncio.timeout(plan.timeout):
            result = await tool.run(plan.body.encode())
    except TimeoutError:
        raise TerminalError(f"no answer within {plan.timeout:g} seconds", status_code=504) from None
    return result.model_dump_json().encode()


async def _send(ctx: Context, plan: Plan, caller: Caller) -> Result:
    sent = ctx.generic_send(
        plan.service or "", plan.handler or "", plan.body.encode(), key=plan.key, idempotency_key=_idempotency_key(plan)
    )
    await _remember(ctx, plan, await sent.invocation_id(), caller)
    return _result(plan, "ok", as_data("started", {"task_id": plan.task_id, "next": "check_task tells how it stands"}))


async def _remember(ctx: Context, plan: Plan, invocation_id: str, caller: Caller) -> None:
    task = Task(task_id=plan.task_id, invocation_id=invocation_id, tool=plan.tool)
    await ctx.object_call(remember, key=caller.user_id, arg=task)


async def _read(plan: Plan, call: RestateDurableFuture[bytes]) -> Result:
    """The result of a completed call. An error read here is the tool's own, a 409 too."""
    try:
        body = await call
    except TerminalError as error:
        denied = error.status_code == 403
        why = error.message if 400 <= error.status_code < 500 or error.status_code == 504 else "the tool failed"
        return _result(plan, "denied" if denied else "error", as_error(why))
    return _ok(plan, body or b"null")


def _ok(plan: Plan, body: bytes) -> Result:
    text = body.decode("utf-8", "replace")
    try:
        value: Any = json.loads(text)
    except ValueError:
        value = text
    ticket_id = cast(dict[str, Any], value).get("ticket_id") if isinstance(value, dict) else None
    if len(body) > plan.max_result_bytes:
        kept = body[: plan.max_result_bytes].decode("utf-8", "ignore")
        value = f"{kept}… [cut: the result was {len(body)} bytes long]"
    result = _result(plan, "ok", as_data("ok", value))
    result.ticket_id = ticket_id if isinstance(ticket_id, str) else None
    return result


async def _leave(ctx: Context, plan: Plan, call: RestateDurableFuture[bytes], caller: Caller) -> Result:
    """The call took too long: a read is cancelled, anything else lives on as a task."""
    assert isinstance(call, RestateDurableCallFuture)
    invocation_id = await call.invocation_id()
    if plan.readonly:
        ctx.cancel_invocation(invocation_id)
        return _result(plan, "error", as_error(f"no answer within {plan.timeout:g} seconds"))
    await _remember(ctx, plan, invocation_id, caller)
    unknown = f"outcome unknown after {plan.timeout:g} seconds; it goes on as task {plan.task_id}; do not repeat it"
    return _result(plan, "unknown", json.dumps({"status": "unknown", "task_id": plan.task_id, "error": unknown}))


def _refused(plan: Plan) -> Result:
    return _result(plan, "denied" if plan.denied else "error", as_error(plan.error or ""))


def _result(plan: Plan, status: str, content: str) -> Result:
    log.info("call_settled", extra={"call": plan.call_id, "tool": plan.tool, "status": status})
    return Result.model_validate(
        {"call_id": plan.call_id, "tool": plan.tool, "status": status, "content": content, "seen_at": time.time()}
    )
