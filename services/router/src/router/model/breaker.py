"""An endpoint that fails is left out for a while, so that no question waits for it in vain."""

import time
from collections.abc import Callable

FAILURES = 3
OPEN_SECONDS = 30.0


class Breaker:
    """Opens after some failures in a row; then one call at a time tries whether the endpoint is back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_again_at = 0.0

    def lets_through(self) -> bool:
        """Whether a call may be made now. When the pause is over one call is let through, and a new pause begins."""
        if self._failures < FAILURES:
            return True
        if self._clock() < self._closed_again_at:
            return False
        self._closed_again_at = self._clock() + OPEN_SECONDS
        return True

    def failed(self) -> None:
        self._failures += 1
        self._closed_again_at = self._clock() + OPEN_SECONDS

    def succeeded(self) -> None:
        self._failures = 0
