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

from contracts import Caller, CallStatus, Tool
from router.metrics import count_calls, label
from router.plan import Fault, Plan, Turn
from router.run import Run
from router.tasks import Task, remember
from router.transcript import Result, as_data, as_error
from runtime.bounded import Unreadable, read
from runtime.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_ERROR_CHARACTERS = 2000
"""Of what a tool says when it refuses: enough to mend a call by."""


@dataclass(frozen=True)
class LocalTool:
    """A tool of the router's own: a read, done inside `ctx.run`. `run` takes the checked JSON arguments."""

    tool: Tool
    run: Callable[[bytes], Awaitable[BaseModel]]


async def settle(ctx: Context, turn: Turn, run: Run, local: Mapping[str, LocalTool]) -> list[Result]:
    """Make the planned calls of a turn and wait for each as long as its plan allows; results come in the model's order.

    Raises only our own cancellation (409), which leaves at once: Restate then cancels the reads, while effects, sent
    and attached to, go on.
    """
    plans, caller = turn.plans, run.begun.caller
    started = [_start(ctx, plan, run, local) for plan in plans]
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
            elif call.plan.service is not None and call.plan.timeout in expired:
                results[call_id] = await _leave(ctx, call, caller)
                del waiting[call_id]
        timers = {timeout: timer for timeout, timer in timers.items() if timeout not in expired}
    settled = [results[plan.call_id] for plan in plans]
    count_calls(turn, settled)
    for plan, result in zip(plans, settled, strict=True):
        log.info("call_settled", extra={"call": plan.call_id, "tool": label(plan), "status": result.status})
    return settled


@dataclass(frozen=True)
class _Waiting:
    """A call that runs; `sent` is the invocation id of an effect."""

    plan: Plan
    result: RestateDurableFuture[bytes]
    sent: str = ""


def _start(
    ctx: Context, plan: Plan, run: Run, local: Mapping[str, LocalTool]
) -> RestateDurableFuture[bytes] | SendHandle | None:
    if plan.error is not None:
        return None
    if plan.service is None:
        options = RunOptions[bytes](serde=BytesSerde(), max_attempts=1)
        return ctx.run_typed(f"tool {plan.tool}", _run_local, options, local[plan.tool], plan)
    told = run.headers(plan.call_id)
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
        fault = _fault(error.status_code)
        why = "the tool failed" if fault == "failed" else _cut(error.message)
        return _result(call.plan, "denied" if error.status_code == 403 else "error", as_error(why), fault)
    return _ok(call.plan, body or b"null")


def _cut(why: str) -> str:
    return why if len(why) <= MAX_ERROR_CHARACTERS else f"{why[:MAX_ERROR_CHARACTERS]}… [cut]"


def _fault(status: int) -> Fault:
    if status == 504:
        return "timeout"
    return "refused" if 400 <= status < 500 else "failed"


def _ok(plan: Plan, body: bytes) -> Result:
    value: Any
    try:
        value = read(body)
    except Unreadable as problem:
        if body.lstrip()[:1] in (b"{", b"[", b'"'):
            why = f"the call was made, and its result cannot be used: {problem}"
            return _result(plan, "error", as_error(why), "failed")
        value = body.decode("utf-8", "replace").replace("\0", "")
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
        return _result(plan, "error", as_error(f"no answer within {plan.timeout:g} seconds"), "timeout")
    await _remember(ctx, plan, call.sent, caller)
    unknown = f"outcome unknown after {plan.timeout:g} seconds; it goes on as task {plan.task_id}; do not repeat it"
    told = json.dumps({"status": "unknown", "task_id": plan.task_id, "error": unknown})
    return _result(plan, "unknown", told, "timeout")


def _refused(plan: Plan) -> Result:
    denied = plan.fault == "forbidden"
    return _result(plan, "denied" if denied else "error", as_error(plan.error or ""), plan.fault)


def _result(plan: Plan, status: CallStatus, content: str, fault: Fault | None = None) -> Result:
    return Result(
        call_id=plan.call_id, tool=plan.tool, status=status, content=content, fault=fault, seen_at=time.time()
    )
