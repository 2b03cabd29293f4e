"""Registers again what others had registered and Restate has lost, as with its volume. Upgrades are left to them."""

from collections.abc import Callable, Collection, Mapping

from yarl import URL

from registry.admin import Admin, AdminError, Deployment
from registry.metrics import count_restored, expect_restored
from registry.pins import family
from registry.registration.one_url import NotRegistered, register
from runtime.telemetry.logs import get_logger

log = get_logger("registry")


class Restorer:
    """Looks at each poll for wanted deployments of which Restate knows no version at all.

    Where it knows another version, an upgrade is under way or was refused: whoever upgrades decides what is routed to.
    """

    def __init__(self, admin: Admin, wanted: Callable[[], Mapping[str, str]], own: Collection[str] = ()) -> None:
        self._admin = admin
        self._wanted = wanted
        self._own = frozenset(own)
        """Names that this registry keeps registered anyway."""
        self._lost = set[str]()
        self._said = dict[str, str]()

    async def restore(self) -> None:
        """What is lost twice in a row is registered: a Restate that starts may not know everything at once."""
        wanted = {name: url for name, url in self._wanted().items() if name not in self._own}
        if not wanted:
            self._lost.clear()
            return
        deployments = await self._admin.deployments()
        lost = {name for name, url in wanted.items() if not is_known(url, deployments)}
        for name in wanted:
            expect_restored(name)
            if name in lost & self._lost:
                await self._register(name, wanted[name])
        self._lost = lost

    async def _register(self, name: str, url: str) -> None:
        try:
            found = await register(self._admin, url)
        except (AdminError, NotRegistered) as error:
            if isinstance(error, AdminError) and error.status is None:
                raise
            if self._said.get(name) != str(error):
                log.warning("deployment_not_registered", extra={"deployment": name, "url": url, "reason": str(error)})
            self._said[name] = str(error)
            return
        self._said.pop(name, None)
        count_restored(name)
        about = {"deployment": name, "url": url, "deployment_id": found.deployment_id}
        log.warning("registration_restored", extra=about | {"services": found.services})


def is_known(url: str, deployments: Collection[Deployment]) -> bool:
    """Whether Restate knows this deployment, or another version of it."""
    return any(each.uri and (URL(each.uri) == URL(url) or family(each.uri) == family(url)) for each in deployments)
