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
from restate.context import RestateDurableCallFuture, RestateDurableFuture, SendHandle
from restate.serde import BytesSerde

from contracts import Caller, Tool
from router.plan import Plan
from router.tasks import Task, remember
from router.transcript import Result, as_data, as_error
from runtime.caller import CALLER_HEADER
from runtime.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True)
class LocalTool:
    """A tool of the router's own: a read, done inside `ctx.run`. `run` takes the checked JSON arguments."""

    tool: Tool
    run: Callable[[bytes], Awaitable[BaseModel]]


async def settle(ctx: Context, plans: list[Plan], caller: Caller, local: Mapping[str, LocalTool]) -> list[Result]:
    """Make the planned calls and wait for each as long as its plan allows; results come in the model's order.

    Raises only our own cancellation (409), which leaves at once: Restate then cancels the reads, while effects, sent
    and attached to, go on.
    """
    started = [_start(ctx, plan, caller, local) for plan in plans]
    results: dict[str, Result] = {}
    waiting: dict[str, _Waiting] = {}
    for plan, start in zip(plans, started, strict=True):
        if start is None:
            results[plan.call_id] = _refused(plan)
        elif not isinstance(start, SendHandle):
            waiting[plan.call_id] = _Waiting(plan, start)
        elif plan.mode == "send":
            results[plan.call_id] = await _go_on(ctx, plan, await start.invocation_id(), caller)
        else:
            sent = await start.invocation_id()
            waiting[plan.call_id] = _Waiting(plan, ctx.attach_invocation(sent, serde=BytesSerde()), sent)
    timers = _timers(ctx, [call.plan for call in waiting.values() if call.plan.service is not None])
    while waiting:
        futures: list[RestateDurableFuture[Any]] = [*(call.result for call in waiting.values()), *timers.values()]
        done, _ = await restate.wait_completed(*futures)
        expired = {timeout for timeout, timer in timers.items() if timer in done}
        for call_id, call in list(waiting.items()):
            if call.result in done:
                results[call_id] = await _read(call)
                del waiting[call_id]
            elif call.plan.timeout in expired:
                results[call_id] = await _leave(ctx, call, caller)
                del waiting[call_id]
        timers = {timeout: timer for timeout, timer in timers.items() if timeout not in expired}
    return [results[plan.call_id] for plan in plans]


@dataclass(frozen=True)
class _Waiting:
    """A call that runs; `sent` is the invocation id of an effect."""

    plan: Plan
    result: RestateDurableFuture[bytes]
    sent: str = ""


def _start(
    ctx: Context, plan: Plan, caller: Caller, local: Mapping[str, LocalTool]
) -> RestateDurableFuture[bytes] | SendHandle | None:
    if plan.error is not None:
        return None
    if plan.service is None:
        options = RunOptions[bytes](serde=BytesSerde(), max_attempts=1)
        return ctx.run_typed(f"tool {plan.tool}", _run_local, options, local[plan.tool], plan)
    told = {CALLER_HEADER: caller.user_id}
    target = (plan.service, plan.handler or "", plan.body.encode(), plan.key)
    if plan.readonly and plan.mode == "call":
        return ctx.generic_call(*target, headers=told)
    return ctx.generic_send(*target, headers=told, idempotency_key=None if plan.workflow else plan.task_id)


def _timers(ctx: Context, remote: list[Plan]) -> dict[float, RestateDurableFuture[None]]:
    """One durable timer for each distinct timeout, named after its tools; a local tool keeps its own in its step."""
    tools: dict[float, list[str]] = {}
    for plan in remote:
        tools.setdefault(plan.timeout, []).append(plan.tool)
    return {
        seconds: ctx.sleep(timedelta(seconds=seconds), f"tool {', '.join(names)} (at most {seconds:g} s)")
        for seconds, names in tools.items()
    }


async def _run_local(tool: LocalTool, plan: Plan) -> bytes:
    try:
        async with asyncio.timeout(plan.timeout):
            result = await tool.run(plan.body.encode())
    except TimeoutError:
        raise TerminalError(f"no answer within {plan.timeout:g} seconds", status_code=504) from None
    return result.model_dump_json().encode()


async def _go_on(ctx: Context, plan: Plan, invocation_id: str, caller: Caller) -> Result:
    await _remember(ctx, plan, invocation_id, caller)
    note = "it takes a while and goes on by itself; check_task tells how it stands"
    return _result(plan, "ok", json.dumps({"status": "started", "task_id": plan.task_id, "note": note}))


async def _remember(ctx: Context, plan: Plan, invocation_id: str, caller: Caller) -> None:
    task = Task(task_id=plan.task_id, invocation_id=invocation_id, tool=plan.tool)
    await ctx.object_call(remember, key=caller.user_id, arg=task)


async def _read(call: _Waiting) -> Result:
    """The result of a completed call. An error read here is the tool's own, a 409 too."""
    try:
        body = await call.result
    except TerminalError as error:
        denied = error.status_code == 403
        why = error.message if 400 <= error.status_code < 500 or error.status_code == 504 else "the tool failed"
        return _result(call.plan, "denied" if denied else "error", as_error(why))
    return _ok(call.plan, body or b"null")


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


async def _leave(ctx: Context, call: _Waiting, caller: Caller) -> Result:
    """The call took too long: a read is cancelled, an effect lives on as a task."""
    plan = call.plan
    if isinstance(call.result, RestateDurableCallFuture):
        ctx.cancel_invocation(await call.result.invocation_id())
        return _result(plan, "error", as_error(f"no answer within {plan.timeout:g} seconds"))
    await _remember(ctx, plan, call.sent, caller)
    unknown = f"outcome unknown after {plan.timeout:g} seconds; it goes on as task {plan.task_id}; do not repeat it"
    return _result(plan, "unknown", json.dumps({"status": "unknown", "task_id": plan.task_id, "error": unknown}))


def _refused(plan: Plan) -> Result:
    return _result(plan, "denied" if plan.denied else "error", as_error(plan.error or ""))


def _result(plan: Plan, status: str, content: str) -> Result:
    log.info("call_settled", extra={"call": plan.call_id, "tool": plan.tool, "status": status})
    return Result.model_validate(
        {"call_id": plan.call_id, "tool": plan.tool, "status": status, "content": content, "seen_at": time.time()}
    )
