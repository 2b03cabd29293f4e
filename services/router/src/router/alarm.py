"""One durable timer for all calls of a run, since each timer is a journal entry.

It is set for the first deadline, and anew only when a call has an earlier one, or when it has rung and a call still
waits for a later one. All of that follows from journaled times.
"""

import math
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import restate
from restate import Context
from restate.context import RestateDurableFuture

Future = RestateDurableFuture[Any]


class Alarm:
    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._at = math.inf
        self._timer: Future | None = None
        self._rang_at = 0.0

    async def wait(self, futures: Collection[Future], deadline: float, now: float) -> tuple[set[Future], float]:
        """Wait until one of `futures` is done or the deadline has come; `math.inf` is none.

        Returns those that are done, and up to when deadlines have passed. `deadline` and `now` are journaled times in
        seconds since the epoch; `now` is the latest that the caller knows.
        """
        if deadline < self._at:
            self._set(deadline, max(now, self._rang_at))
        timers = [self._timer] if self._timer and deadline < math.inf else []
        done, _ = await restate.wait_completed(*futures, *timers)
        passed = -math.inf
        if self._timer in done:
            passed = self._rang_at = self._at
            self._at, self._timer = math.inf, None
        return set(done), passed

    def _set(self, deadline: float, now: float) -> None:
        seconds = max(0.0, deadline - now)
        self._at, self._timer = deadline, self._ctx.sleep(timedelta(seconds=seconds), f"at most {seconds:g} s")
