"""Attempts at a step: how often this process began it, and when first. Restate tells neither to the code that runs.

A step that fails ends the attempt and is begun anew after a replay, so the count must outlive the handler. What comes
of it goes into the step's journaled result: a replay reads it there and never asks here.
"""

import random
import time
from collections import Counter, OrderedDict
from datetime import timedelta
from typing import NamedTuple

KEPT_STEPS = 10_000
"""Far above what a process has open at once; a step that nobody ends (cancelled, moved) makes room for newer ones."""


FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(minutes=1)


def pause_after(attempt: int) -> timedelta:
    """How long to wait before the next attempt: twice as long each time, to a minute."""
    return min(FIRST_PAUSE * 2 ** min(attempt - 1, 16), LONGEST_PAUSE)


def spread(pause: timedelta) -> timedelta:
    """Up to a quarter shorter, so that what failed together is not tried again together."""
    return pause * random.uniform(0.75, 1)


class Attempt(NamedTuple):
    """`first_started_at` is in seconds since the epoch, that of attempt 1; another process's attempts are unknown.

    `spent` is one and the same for all attempts at a step: what they have used up so far, by its name.
    """

    first_started_at: float
    number: int
    spent: Counter[str]


class Attempts:
    """Counts the attempts at each step that is not done, by the id of its invocation and its name."""

    def __init__(self, kept: int = KEPT_STEPS) -> None:
        self._kept = kept
        self._open: OrderedDict[tuple[str, str], Attempt] = OrderedDict()

    def begin(self, key: tuple[str, str]) -> Attempt:
        """Count one more attempt at this step; to be called inside its action."""
        before = self._open.get(key)
        attempt = before._replace(number=before.number + 1) if before else Attempt(time.time(), 1, Counter())
        self._open[key] = attempt
        self._open.move_to_end(key)
        if len(self._open) > self._kept:
            self._open.popitem(last=False)
        return attempt

    def of(self, key: tuple[str, str]) -> Attempt | None:
        """The latest attempt at this step, if this process made one."""
        return self._open.get(key)

    def forget(self, key: tuple[str, str]) -> None:
        """The step is over, however it ended; nothing happens when it was never begun here."""
        self._open.pop(key, None)
