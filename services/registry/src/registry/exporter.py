"""What only Restate knows, as metrics: asked every few seconds, told as one moment, and not at all while it is away.

Nothing is remembered between two moments, so a restart of the registry changes nothing.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from yarl import URL

from contracts import Catalogue
from registry.admin import Admin, AdminError, Deployment, Service, UnfinishedGroup
from registry.metrics import MOST_REASONS, OTHER, expect_ended
from registry.settings import deployments_in
from registry.signals import TABLE
from registry.stuck import pause_reason, reason_code
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import Samples, Snapshot

log = get_logger("registry")

STATUSES = ("pending", "scheduled", "ready", "running", "backing-off", "suspended", "paused")
"""Restate's words for what is unfinished; one that is new to us appears once something is in it."""

SETTLING_SECONDS = 1
"""After a restart, Restate 1.7 answers for a moment as if there were nothing: its partitions have no leaders yet."""

MOST_PAUSES = 500
"""So many pauses are asked about at once; the reason of more is `other`."""


@dataclass(frozen=True)
class Moment:
    """What Restate said, in the order in which it was asked: routes first, work afterwards."""

    deployments: list[Deployment]
    services: list[Service]
    groups: list[UnfinishedGroup]
    pauses: Mapping[str, str]
    """Why invocations were paused, by their ids."""
    asked_at: datetime


class Wanted:
    """What should be registered: what this registry registers, and what a file names that is read anew each time."""

    def __init__(self, deployments: Mapping[str, str], file: Path | None = None) -> None:
        self._deployments = deployments
        self._file = file
        self._fault: str | None = None

    def urls(self) -> dict[str, str]:
        """URLs by name. A file that cannot be read names nothing, and is warned of once."""
        try:
            named = self._named_in_file()
            self._fault = None
        except (OSError, ValueError) as error:
            named = {}
            if str(error) != self._fault:
                log.warning("wanted_deployments_unreadable", extra={"file": str(self._file), "reason": str(error)})
            self._fault = str(error)
        return {**named, **self._deployments}

    def _named_in_file(self) -> dict[str, str]:
        if self._file is None:
            return {}
        named = deployments_in(self._file.read_text())
        if not named:
            raise ValueError("it names nothing")
        return named


class Exporter:
    def __init__(self, admin: Admin, wanted: Wanted) -> None:
        self._admin = admin
        self._wanted = wanted
        self._work, self._tools = Snapshot(TABLE), Snapshot(TABLE)
        self._away = True

    async def poll(self) -> None:
        """Ask, and tell. Stale numbers would be worse than none."""
        try:
            moment = await self._look()
            if self._away:
                await asyncio.sleep(SETTLING_SECONDS)
                moment = await self._look()
            self._away = False
        except AdminError:
            self._away = True
            self._work.tell({"switchboard_restate_reachable": {(): 0}})
            raise
        stuck = stuck_by_reason(moment)
        for service, _, _, reason in stuck:
            expect_ended(service, reason)
        self._work.tell(
            {
                "switchboard_restate_reachable": {(): 1},
                "switchboard_invocations": by_status(moment),
                "switchboard_invocation_oldest_seconds": oldest(moment),
                "switchboard_invocations_stuck": few_reasons(stuck),
                "switchboard_deployment_invocations": by_deployment(moment),
                "switchboard_deployment_draining_seconds": draining(moment),
                "switchboard_deployment_registered": registered(moment, self._wanted.urls()),
            }
        )

    def tell_tools(self, catalogue: Catalogue) -> None:
        """They stay on offer while Restate is away."""
        withdrawn = sum(each.withdrawn for each in catalogue.left_out)
        told = {
            ("offered",): len(catalogue.tools),
            ("left_out",): len(catalogue.left_out) - withdrawn,
            ("withdrawn",): withdrawn,
        }
        self._tools.tell({"switchboard_tools": told})

    async def _look(self) -> Moment:
        deployments, services = await self._admin.deployments(), await self._admin.services()
        groups = await self._admin.unfinished()
        paused = [group.paused for group in groups if group.paused]
        events = await self._admin.pause_events(paused[:MOST_PAUSES])
        why = {each: pause_reason(events.get(each, {})) for each in paused[:MOST_PAUSES]}
        return Moment(deployments, services, groups, why, datetime.now(UTC))


def by_status(moment: Moment) -> dict[tuple[str, ...], int]:
    """0 for whatever a registered handler might be doing."""
    found = {(*target, status): 0 for target in _handlers(moment.services) for status in STATUSES}
    for group in moment.groups:
        key = (group.service, group.handler, group.status)
        found[key] = found.get(key, 0) + group.invocations
    return found


def oldest(moment: Moment) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = dict.fromkeys(_handlers(moment.services), 0.0)
    for group in moment.groups:
        key = (group.service, group.handler)
        found[key] = max(found.get(key, 0.0), group.age)
    return found


def stuck_by_reason(moment: Moment) -> dict[tuple[str, str, str, str], int]:
    found: Counter[tuple[str, str, str, str]] = Counter()
    for group in moment.groups:
        if reason := _reason(group, moment.pauses):
            found[group.service, group.handler, group.status, reason] += group.invocations
    return dict(found)


def few_reasons(stuck: Mapping[tuple[str, str, str, str], int]) -> Samples:
    """The rarer ones of too many reasons become `other`."""
    totals: Counter[str] = Counter()
    for (_, _, _, reason), invocations in stuck.items():
        totals[reason] += invocations
    kept = {reason for reason, _ in totals.most_common(MOST_REASONS)}
    found: Counter[tuple[str, ...]] = Counter()
    for (*what, reason), invocations in stuck.items():
        found[*what, reason if reason in kept else OTHER] += invocations
    return dict(found)


def by_deployment(moment: Moment) -> Samples:
    """0 for what is routed to and has nothing to do; what is drained is not told of."""
    routed = {service.deployment_id for service in moment.services}
    unfinished = _unfinished(moment.groups)
    return {
        (each.id, each.uri, "current" if each.id in routed else "draining"): unfinished[each.id]
        for each in moment.deployments
        if each.id in routed or unfinished[each.id]
    }


def draining(moment: Moment) -> Samples:
    routed = {service.deployment_id for service in moment.services}
    unfinished = _unfinished(moment.groups)
    return {
        (each.id, each.uri): max(0.0, (moment.asked_at - since).total_seconds())
        for each in moment.deployments
        if each.id not in routed
        and unfinished[each.id]
        and (since := replaced_at(each, moment.deployments) or each.created_at)
    }


def replaced_at(deployment: Deployment, deployments: Collection[Deployment]) -> datetime | None:
    """When the last of its services went to a newer deployment. Restate dates a forced registration anew, so that a
    rollback counts as newer; None if newer ones have been deleted since: then its own age is all that is known.
    """
    newer = sorted((each for each in deployments if each.created_at > deployment.created_at), key=_created_at)
    taken: dict[str, datetime] = {}
    for each in newer:
        for service in each.services:
            taken.setdefault(service.name, each.created_at)
    return max((taken[service.name] for service in deployment.services if service.name in taken), default=None)


def registered(moment: Moment, wanted: Mapping[str, str]) -> Samples:
    """1 for each name whose URL Restate knows and routes all its services to."""
    served: defaultdict[str, set[str]] = defaultdict(set)
    for service in moment.services:
        served[service.deployment_id].add(service.name)

    def is_routed(url: str) -> bool:
        known = [each for each in moment.deployments if each.uri and URL(each.uri) == URL(url)]
        return any(each.services and {one.name for one in each.services} <= served[each.id] for each in known)

    return {(name,): int(is_routed(url)) for name, url in wanted.items()}


def _handlers(services: Iterable[Service]) -> Iterator[tuple[str, str]]:
    return ((service.name, handler.name) for service in services for handler in service.handlers)


def _reason(group: UnfinishedGroup, pauses: Mapping[str, str]) -> str | None:
    if group.paused:
        return pauses.get(group.paused, OTHER)
    return reason_code(group.code, group.failure) if group.status == "backing-off" else None


def _unfinished(groups: Iterable[UnfinishedGroup]) -> Counter[str]:
    found: Counter[str] = Counter()
    for group in groups:
        if group.deployment:
            found[group.deployment] += group.invocations
    return found


def _created_at(deployment: Deployment) -> datetime:
    return deployment.created_at
