"""Keeps the named deployments registered with Restate, each on its own, and ends the former code at their place."""

import asyncio
import logging
import time

from yarl import URL

from registry.admin import Admin, AdminError
from registry.metrics import (
    FORMER_CODE,
    count_ended,
    count_failed,
    count_restored,
    expect_failed,
    expect_restored,
)
from registry.registration.one_url import NotReady, NotRegistered, register, require_health, require_routed
from registry.status import Status
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

WAITING_SECONDS = 0.5
RETRY_SECONDS = 2
CHECK_SECONDS = 5
END_SECONDS = 30


class Registrar:
    """Keeps the named deployments registered, each on its own."""

    def __init__(self, admin: Admin, urls: dict[str, str], status: Status, end_former: bool = False) -> None:
        self._admin = admin
        self._urls = urls
        self._status = status
        self._end_former = end_former
        self._lost = set[str]()
        """What Restate has forgotten since this process registered it."""
        self._said: dict[str, tuple[int, str]] = {}
        self.changed = asyncio.Event()
        """Set after a registration or a failure, so that new tools are on offer at once."""
        for name in urls:
            expect_failed(name)
            expect_restored(name)

    async def keep_registered(self, name: str, health_seconds: float) -> None:
        """Register, and again whenever Restate has forgotten it. Never gives up, and never returns."""
        overdue = time.monotonic() + health_seconds
        while True:
            try:
                await self._ensure(name)
                self._registered(name)
                pause = CHECK_SECONDS
            except (AdminError, NotReady, NotRegistered) as error:
                waiting = _may_come_by_itself(error) and time.monotonic() < overdue
                self._failed(name, str(error), logging.INFO if waiting else logging.WARNING)
                if not (waiting or _is_away(error)):
                    count_failed(name)
                pause = WAITING_SECONDS if waiting else RETRY_SECONDS
            await asyncio.sleep(pause)

    @property
    def all_had_their_chance(self) -> bool:
        """Whether each deployment is registered or known to fail: before that, the tools of some are still to come."""
        failing = {name for name, (level, _) in self._said.items() if level == logging.WARNING}
        return self._urls.keys() <= self._status.registered.keys() | failing

    async def _ensure(self, name: str) -> None:
        known = self._status.registered.get(name)
        if known and known.deployment_id in {deployment.id for deployment in await self._admin.deployments()}:
            await require_routed(self._admin, known)
            return
        if self._status.registered.pop(name, None):
            self._lost.add(name)
        await require_health(self._urls[name])
        found = await register(self._admin, self._urls[name])
        if self._end_former:
            await self._end_former_code(self._urls[name])
        self._status.registered[name] = found
        self.changed.set()
        about = {"deployment": name, "url": self._urls[name], "deployment_id": found.deployment_id}
        log.info("deployment_registered", extra=about | {"services": found.services})
        if name in self._lost:
            self._lost.discard(name)
            count_restored(name)
            log.warning("registration_restored", extra=about | {"services": found.services})

    async def _end_former_code(self, url: str) -> None:
        """End what only former code at this host and port could finish: nobody serves that path any more."""
        former = [each for each in await self._admin.deployments() if self._is_former(each.uri, url)]
        ended = 0
        for deployment in former:
            ended += await self._end_runs(deployment.id)
            await self._admin.delete(deployment.id)
        self._status.ended_former += ended
        if former:
            log.info("former_code_ended", extra={"url": url, "deployments": len(former), "runs": ended})

    def _is_former(self, uri: str, url: str) -> bool:
        named = {_path(other) for other in self._urls.values() if _origin(other) == _origin(url)}
        return _origin(uri) == _origin(url) and _path(uri) not in named

    async def _end_runs(self, deployment_id: str) -> int:
        ended: dict[str, str] = {}
        overdue = time.monotonic() + END_SECONDS
        while pinned := await self._admin.pinned_to(deployment_id):
            if time.monotonic() > overdue:
                raise NotRegistered(f"{len(pinned)} runs of the former deployment {deployment_id} do not end")
            for invocation_id in pinned:
                await self._admin.kill(invocation_id)
            ended |= pinned
            await asyncio.sleep(0.05)
        for service in ended.values():
            count_ended(service, FORMER_CODE)
        return len(ended)

    def _registered(self, name: str) -> None:
        self._status.failed.pop(name, None)
        self._said.pop(name, None)

    def _failed(self, name: str, reason: str, level: int) -> None:
        self._status.failed[name] = reason
        if self._said.get(name) != (level, reason):
            log.log(
                level,
                "deployment_not_registered",
                extra={"deployment": name, "url": self._urls[name], "reason": reason},
            )
            self.changed.set()
        self._said[name] = (level, reason)


def _may_come_by_itself(error: Exception) -> bool:
    """At start everything is started at once, and neither the deployment nor Restate has to be there first."""
    return isinstance(error, NotReady) or _is_away(error)


def _is_away(error: Exception) -> bool:
    """Whether Restate has not answered; there is a metric of its own for that."""
    return isinstance(error, AdminError) and error.status is None


def _origin(url: str) -> str:
    return str(URL(url).origin()) if url else ""


def _path(url: str) -> str:
    return URL(url).path.rstrip("/")
