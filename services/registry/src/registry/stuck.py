"""Ends what is stuck: runs that gave up, and runs that fail on and on. Restate itself tells nobody about them."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from registry.admin import Admin, AdminError, Service, Unfinished
from registry.metrics import count_ended
from registry.status import Status
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

DEADLINE = "switchboard.deadline"
"""Metadata key by which a handler states its own deadline, in seconds, or `none`."""

NEVER = math.inf
"""Work that nobody waits for: it goes on until it is done, or until a person ends it."""

CANCELLED_SECONDS = 5
"""How long a cancelled run may go on failing: a handler that fails before its first step never learns of it."""

MOST_ASKED_FOR = 500
"""So many failing runs are asked at once whether they were cancelled."""

VERIFY_SECONDS = 5

BY_HAND = "paused by hand"

_EXCEPTION = re.compile(r"(?:\[[^\]]*\] )?((?:[A-Za-z_][A-Za-z0-9_.]{0,60})?(?:Error|Exception|Timeout))\b")


class StuckRuns:
    """Watches runs that are paused or keep failing.

    Time counts from when this process first saw the run paused or failing, and anew after each progress. So a run is
    not blamed for the time when Restate was away, or this machine was off, and it had no chance to go on.
    """

    def __init__(
        self,
        admin: Admin,
        status: Status,
        paused_grace: int,
        deadline: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._status = status
        self._paused_grace = paused_grace
        self._deadline = deadline
        self._clock = clock
        self._seen: dict[str, tuple[datetime | int, float]] = {}
        self._paused_by_a_person: set[tuple[str, datetime]] = set()

    async def end(self) -> None:
        """One round: what has been stuck for too long is killed, counted and named."""
        try:
            runs = await self._admin.paused_or_failing()
            deadlines = stated_deadlines(await self._admin.services()) if runs else {}
            may_end = [run for run in runs if self._deadline_of(run, deadlines) != NEVER]
            failing = [run.id for run in may_end if run.status == "backing-off"]
            cancelled = await self._admin.cancelled(failing[:MOST_ASKED_FOR])
        except AdminError:
            self._seen.clear()
            raise
        self._seen = {run.id: self._first_seen(run) for run in runs if self._is_watched(run)}
        self._paused_by_a_person = {(run.id, run.modified_at) for run in runs if self._was_paused_while_failing(run)}
        for run in runs:
            deadline = self._deadline_of(run, deadlines)
            if run.id in cancelled:
                deadline = min(deadline, CANCELLED_SECONDS)
            if run.id in self._seen and run.status != "running" and deadline != NEVER:
                await self._end_if_overdue(run, deadline)

    def _deadline_of(self, run: Unfinished, stated: Mapping[tuple[str, str], float]) -> float:
        return stated.get((run.service, run.handler), self._deadline)

    def _is_watched(self, run: Unfinished) -> bool:
        """A failing run looks as if it ran whenever it is tried again; that alone is no progress."""
        return run.status != "running" or self._seen.get(run.id, (None,))[0] == run.progress

    def _first_seen(self, run: Unfinished) -> tuple[datetime | int, float]:
        before = self._seen.get(run.id)
        return before if before and before[0] == run.progress else (run.progress, self._clock())

    def _was_paused_while_failing(self, run: Unfinished) -> bool:
        """Whether a person paused it between two tries.

        Restate still tells the failure of such a run, but none of a run that gave up. When Restate starts anew it
        forgets that failure too, so it is remembered here. A run that was paused in the middle of a try, which then
        failed, looks like one that gave up.
        """
        known = run.last_failure is not None or (run.id, run.modified_at) in self._paused_by_a_person
        return run.status == "paused" and known

    async def _end_if_overdue(self, run: Unfinished, deadline: float) -> None:
        stuck_for = self._clock() - self._seen[run.id][1]
        if stuck_for < min(self._paused_grace, deadline):
            return
        reason, allowed = await self._why(run, deadline)
        if stuck_for >= allowed:
            await self._end(run, reason)

    async def _why(self, run: Unfinished, deadline: float) -> tuple[str, float]:
        """The reason, and how long it may last. What a person paused has the full deadline."""
        if run.status != "paused":
            return reason_code(run.last_failure_error_code, run.last_failure), deadline
        reason = pause_reason(await self._admin.pause_event(run.id))
        by_hand = reason == BY_HAND or (run.id, run.modified_at) in self._paused_by_a_person
        return reason, deadline if by_hand else self._paused_grace

    async def _end(self, run: Unfinished, reason: str) -> None:
        about = {"id": run.id, "target": f"{run.service}/{run.handler}", "state": run.status, "reason": reason}
        try:
            await self._admin.kill(run.id)
            ended = await self._has_ended(run.id)
        except AdminError as error:
            if error.status is None:
                raise
            ended = False
        if not ended:
            log.error("stuck_run_does_not_end", extra=about)
            return
        self._status.count_stuck(run.service, reason)
        count_ended(run.service, reason)
        log.warning("stuck_run_ended", extra=about)

    async def _has_ended(self, invocation_id: str) -> bool:
        overdue = time.monotonic() + VERIFY_SECONDS
        while await self._admin.is_unfinished(invocation_id):
            if time.monotonic() > overdue:
                return False
            await asyncio.sleep(0.1)
        return True


def stated_deadlines(services: list[Service]) -> dict[tuple[str, str], float]:
    """The deadlines of handlers that have one of their own; of all others the setting decides.

    A handler says so itself, in whole seconds or with `none`; else an effect that the agent makes has none.
    """
    handlers = [(service.name, handler) for service in services for handler in service.handlers]
    deadlines = {(service, handler.name): _deadline(handler.metadata) for service, handler in handlers}
    return {target: deadline for target, deadline in deadlines.items() if deadline is not None}


def _deadline(metadata: dict[str, str]) -> float | None:
    stated = metadata.get(DEADLINE, "")
    if re.fullmatch(r"[0-9]{1,9}", stated):
        return int(stated)
    is_effect = metadata.get("mcp.type") == "tool" and metadata.get("tool.readonly") != "true"
    return NEVER if stated == "none" or is_effect else None


def pause_reason(event: dict[str, Any]) -> str:
    """Why a run was paused, from what Restate noted then. Nobody but a person pauses one that has not failed."""
    failure: dict[str, Any] | None = event.get("last_failure")
    if failure is None:
        return BY_HAND
    return reason_code(failure.get("restate_doc_error_code"), failure.get("error_message"))


def reason_code(restate_code: str | None, message: str | None) -> str:
    """Restate's code and the class of the exception; never the message, which may repeat a customer's words."""
    found = _EXCEPTION.match(message or "")
    return " ".join(code for code in (restate_code, found and found.group(1)) if code) or "unknown"
