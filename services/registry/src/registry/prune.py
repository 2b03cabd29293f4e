"""The commands `prune` and `remove`: the end of versions.

A version is a Deployment and a Service of one name, and what Restate has registered at that host. Helm keeps those that
a release no longer wants, since runs that are in flight need them; here they are deleted once nothing does.
"""

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from yarl import URL

from registry.admin import Admin, AdminError, Deployment
from registry.cluster import Cluster, ClusterError, KubeObject
from registry.commands import Failed, Patience, may_come_by_itself
from registry.settings import PruneSettings, RemoveSettings, deployments_in
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

PATIENCE_SECONDS = 20
"""Whom a pod may reach is not settled at the moment it starts."""

SETTLING = timedelta(seconds=30)
"""For some seconds after a registration, the other nodes of a Restate cluster go by their former routes."""

SECOND_LOOK_SECONDS = 2
"""For a fraction of a second after Restate's start its tables look empty, and every version unneeded."""

_CLUSTER_DOMAIN = re.compile(r"^([^.]+\.[^.]+)\.svc(\..*)?$")
_VERSIONED = re.compile(r"(.+-)[0-9a-g]{8}(\..+)")


@dataclass(frozen=True)
class Traffic:
    """What Restate does with its deployments, in one moment."""

    deployments: list[Deployment] = field(default_factory=list[Deployment])
    routed: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The services that new calls reach at a deployment, by its id."""
    unfinished: Mapping[str, int] = field(default_factory=dict[str, int])
    """The invocations that may need a deployment, by its id."""

    def services_at(self, version: "Version") -> list[str]:
        return sorted(service for each in version.deployments for service in self.routed.get(each.id, []))

    def unfinished_at(self, version: "Version") -> int:
        return sum(self.unfinished.get(each.id, 0) for each in version.deployments)


@dataclass(frozen=True)
class Version:
    """One version of one room; one that has been deleted halfway has no objects or no deployments any more."""

    host: str
    objects: list[KubeObject] = field(default_factory=list[KubeObject])
    deployments: list[Deployment] = field(default_factory=list[Deployment])


@dataclass(frozen=True)
class Verdict:
    delete: bool
    why: str


def versions(
    objects: Iterable[KubeObject], deployments: Iterable[Deployment], namespace: str, wanted: Collection[str]
) -> list[Version]:
    """The versions of a release. One that only Restate knows is told by its URL, a wanted one's but for the hash."""
    found: dict[str, Version] = {}
    for each in objects:
        host = f"{each.name}.{namespace}"
        found.setdefault(host, Version(host)).objects.append(each)
    families = {family_of_host(host) for host in wanted} - {None}
    for each in deployments:
        host = host_of(each.uri)
        if host in found or host in wanted or family_of_host(host) in families:
            found.setdefault(host, Version(host)).deployments.append(each)
    return sorted(found.values(), key=lambda version: version.host)


def verdict(version: Version, traffic: Traffic, wanted: Collection[str], now: datetime, prune_after: float) -> Verdict:
    """Whether this version goes, and why; in doubt it stays."""
    if version.host in wanted:
        return Verdict(False, "the release wants it")
    if services := traffic.services_at(version):
        return Verdict(False, f"Restate routes {', '.join(services)} to it")
    if unfinished := traffic.unfinished_at(version):
        return Verdict(False, f"{unfinished} unfinished invocations need it")
    if not version.deployments:
        return _unregistered(version, traffic, wanted, now, timedelta(seconds=prune_after))
    if now - max(each.created_at for each in traffic.deployments) < SETTLING:
        return Verdict(False, "routes have just changed")
    return Verdict(True, "drained")


def _unregistered(
    version: Version, traffic: Traffic, wanted: Collection[str], now: datetime, prune_after: timedelta
) -> Verdict:
    """A Restate that knows nothing of this release is new or another one, and no witness against a version."""
    if not any(host_of(each.uri) in wanted for each in traffic.deployments):
        return Verdict(False, "Restate knows nothing that the release wants")
    if now - max(each.metadata.created_at for each in version.objects) < prune_after:
        return Verdict(False, "Restate does not know it yet")
    return Verdict(True, "Restate does not know it")


def host_of(url: str) -> str:
    """`<name>.<namespace>`, however long the domain after it."""
    host = URL(url).host or "" if url else ""
    return _CLUSTER_DOMAIN.sub(r"\1", host)


def family_of_host(host: str) -> tuple[str, ...] | None:
    """What the versions of one room have in common: their names but for the hash."""
    parts = _VERSIONED.fullmatch(host)
    return parts.groups() if parts else None


async def prune(settings: PruneSettings, patience: float = PATIENCE_SECONDS) -> None:
    """One round. Housekeeping that can wait: while Restate is away, the next round will do.

    A Job that failed for an ordinary restart of Restate would go on alerting long afterwards. If Restate's URL is
    wrong, the registration fails and says so.
    """
    async with _cluster(settings) as cluster, Admin(settings.restate_admin_url, settings.admin_token) as admin:
        pruner = Pruner(cluster, admin, settings)
        try:
            await Patience(patience).until_done(pruner.round)
        except Failed as failed:
            if not (isinstance(failed.__cause__, AdminError) and may_come_by_itself(failed.__cause__)):
                raise
            log.warning("nothing_pruned", extra={"reason": str(failed)})


async def remove(settings: RemoveSettings) -> None:
    """Delete all versions of a release. What is in flight stays in Restate; the same version, back again, goes on."""
    async with _cluster(settings) as cluster:

        async def all_of_them() -> None:
            for found in await cluster.versions(settings.release):
                if not await cluster.delete(found):
                    raise ClusterError(f"{found.kind} {found.name} has just changed")
                log.info("object_deleted", extra={"kind": found.kind, "object": found.name})

        await Patience(PATIENCE_SECONDS).until_done(all_of_them)


def _cluster(settings: RemoveSettings) -> Cluster:
    return Cluster(settings.kubernetes_url, settings.namespace, settings.service_account)


def _now() -> datetime:
    return datetime.now(UTC)


class Pruner:
    """Looks at every version of a release, and deletes the ones that nothing needs any more."""

    def __init__(
        self, cluster: Cluster, admin: Admin, settings: PruneSettings, clock: Callable[[], datetime] = _now
    ) -> None:
        self._cluster = cluster
        self._admin = admin
        self._settings = settings
        self._clock = clock

    async def round(self) -> None:
        """Lists the objects before it asks what is wanted, since Helm says what it wants before it makes it."""
        objects = await self._cluster.versions(self._settings.release)
        wanted, traffic = await self._wanted(), await self._traffic()
        now = self._clock()
        for version in versions(objects, traffic.deployments, self._settings.namespace, wanted):
            found = verdict(version, traffic, wanted, now, self._settings.prune_after_seconds)
            about = _about(version, traffic)
            if not found.delete:
                level = logging.WARNING if version.deployments and not version.objects else logging.INFO
                log.log(level, "version_kept", extra=about | {"why": found.why})
            elif kept := await self._delete(version):
                log.warning("version_kept", extra=about | {"why": kept})
            else:
                log.info("version_deleted", extra=about | {"why": found.why})

    async def _delete(self, version: Version) -> str | None:
        """Delete it, and return None, or why it stays.

        It is looked at once more before anything goes. The objects go first, each only as it was listed: when a
        rollback has begun to want them again, Restate still knows the version. Whatever is left when this process dies
        halfway is found again in the next round.
        """
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        if self._is_needed(version, await self._traffic()):
            return "Restate needs it after all"
        if version.host in await self._wanted():
            return "the release wants it again"
        for found in version.objects:
            if not await self._cluster.delete(found):
                return f"its {found.kind} has just changed"
        if self._is_needed(version, await self._traffic()):
            return "Restate has just begun to use it"
        for each in version.deployments:
            await self._admin.delete(each.id)
        return None

    @staticmethod
    def _is_needed(version: Version, traffic: Traffic) -> bool:
        return bool(traffic.services_at(version) or traffic.unfinished_at(version))

    async def _wanted(self) -> set[str]:
        """The hosts that this release wants, as Helm last said: read anew each time."""
        name = self._settings.versions_configmap
        text = (await self._cluster.config(name))[0].get("deployments", "")
        try:
            urls = deployments_in(text)
        except ValueError as error:
            raise Failed(f"ConfigMap {name}: key deployments: {error}") from error
        if not urls:
            raise Failed(f"ConfigMap {name}: key deployments: names nothing")
        return {host_of(url) for url in urls.values()}

    async def _traffic(self) -> Traffic:
        """Routes first, counts afterwards: a deployment without routes gets no new invocations."""
        deployments = await self._admin.deployments()
        routed: dict[str, list[str]] = defaultdict(list)
        for service in await self._admin.services():
            routed[service.deployment_id].append(service.name)
        return Traffic(deployments, routed, await self._admin.unfinished_by_deployment())


def _about(version: Version, traffic: Traffic) -> dict[str, object]:
    return {
        "version": version.host,
        "deployments": [each.id for each in version.deployments],
        "objects": [f"{each.kind}/{each.name}" for each in version.objects],
        "unfinished": traffic.unfinished_at(version),
    }
