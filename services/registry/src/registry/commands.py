"""Commands that run once and end: what they cannot do is told in one plain line, with exit status 1."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from registry.admin import AdminError
from registry.cluster import ClusterError
from registry.registration.one_url import NotRegistered
from registry.settings import CommandSettings
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.terminal import leave

log = get_logger("registry")

RETRY_SECONDS = 1

_T = TypeVar("_T")
_S = TypeVar("_S", bound=CommandSettings)


class Failed(Exception):
    """The command cannot do what it is for; the message tells the operator why."""


def run_once(command: str, work: Callable[[_S], Coroutine[Any, Any, None]], settings: _S) -> None:
    configure_logs("registry", settings.log_level)
    try:
        asyncio.run(work(settings))
    except (Failed, AdminError, ClusterError) as error:
        log.error("command_failed", extra={"command": command, "reason": str(error)})
        leave(f"{command}: {error}")


def may_come_by_itself(error: Exception) -> bool:
    """Whoever is starting, moving or cut off for a moment may answer later; a 4xx is an answer."""
    return isinstance(error, NotRegistered) or (
        isinstance(error, AdminError | ClusterError) and (error.status is None or error.status >= 500)
    )


class Patience:
    """How long a command goes on trying."""

    def __init__(self, seconds: float, why: Callable[[str], Awaitable[str]] | None = None) -> None:
        """`why` may add to a reason, given what `until_done` is about."""
        self._seconds = seconds
        self._why = why
        self._overdue = time.monotonic() + seconds
        self._said = ""

    async def until_done(self, step: Callable[[], Awaitable[_T]], what: str = "") -> _T:
        """What `step` returns once it succeeds. A refusal ends it at once, anything else when time is up."""
        about = f"{what}: " if what else ""
        while True:
            try:
                return await step()
            except (AdminError, ClusterError, NotRegistered) as error:
                if not may_come_by_itself(error):
                    raise Failed(f"{about}{error}") from error
                reason = f"{error}{await self._why(what) if self._why else ''}"
                if time.monotonic() > self._overdue:
                    raise Failed(f"{about}not within {self._seconds:g} s: {reason}") from error
                self._say(f"{about}{reason}")
            await asyncio.sleep(RETRY_SECONDS)

    def _say(self, reason: str) -> None:
        if reason != self._said:
            log.info("waiting", extra={"reason": reason})
        self._said = reason
