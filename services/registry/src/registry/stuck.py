"""Ends what is stuck: runs that gave up, and runs that fail on and on. Restate itself tells nobody about them."""

import asyncio
import re
import time
from typing import Any

from registry.admin import Admin, Service, Unfinished
from registry.status import Status
from runtime.logs import get_logger

log = get_logger("registry")

DEADLINE = "switchboard.deadline"
"""Metadata key by which a handler states its own deadline, in seconds."""

VERIFY_SECONDS = 5

_EXCEPTION = re.compile(r"(?:\[[^\]]*\] )?([A-Za-z_][A-Za-z0-9_.]{0,60}(?:Error|Exception|Timeout))\b")


async def end_stuck(admin: Admin, status: Status, paused_grace: int, deadline: int) -> None:
    """One round: everything that has made no progress for too long is killed, counted and named."""
    unfinished = await admin.paused_or_backing_off(min(paused_grace, deadline))
    deadlines = stated_deadlines(await admin.services()) if unfinished else {}
    for run in unfinished:
        own = deadlines.get((run.service, run.handler), deadline)
        reason, allowed = await _why(admin, run, paused_grace, own)
        if run.idle_seconds >= allowed:
            await _end(admin, status, run, reason)


def stated_deadlines(services: list[Service]) -> dict[tuple[str, str], int]:
    """What handlers say about their own deadlines; anything but whole seconds says nothing."""
    return {
        (service.name, handler.name): int(stated)
        for service in services
        for handler in service.handlers
        if re.fullmatch(r"[0-9]{1,9}", stated := handler.metadata.get(DEADLINE, ""))
    }


def reason_code(restate_code: str | None, message: str | None, status: int | None = None) -> str:
    """Restate's code and the class of the exception; never the message, which may repeat a customer's words."""
    found = _EXCEPTION.match(message or "")
    codes = [restate_code, str(status) if status and not restate_code else None, found and found.group(1)]
    return " ".join(code for code in codes if code) or "unknown"


async def _why(admin: Admin, run: Unfinished, paused_grace: int, deadline: int) -> tuple[str, int]:
    """The reason, and how long it may last. A pause without a failure is a person's, who gets the full deadline."""
    if run.status != "paused":
        return reason_code(run.last_failure_error_code, run.last_failure), deadline
    failure: dict[str, Any] | None = (await admin.pause_event(run.id)).get("last_failure")
    if failure is None:
        return "paused by hand", deadline
    reason = reason_code(failure.get("restate_doc_error_code"), failure.get("error_message"), failure.get("error_code"))
    return reason, paused_grace


async def _end(admin: Admin, status: Status, run: Unfinished, reason: str) -> None:
    await admin.kill(run.id)
    about = {"id": run.id, "target": f"{run.service}/{run.handler}", "state": run.status, "reason": reason}
    if not await _has_ended(admin, run.id):
        log.error("stuck_run_does_not_end", extra=about)
        return
    status.count_stuck(run.service, reason)
    log.warning("stuck_run_ended", extra={**about, "idle_seconds": run.idle_seconds})


async def _has_ended(admin: Admin, invocation_id: str) -> bool:
    overdue = time.monotonic() + VERIFY_SECONDS
    while await admin.is_unfinished(invocation_id):
        if time.monotonic() > overdue:
            return False
        await asyncio.sleep(0.1)
    return True
