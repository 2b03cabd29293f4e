"""The command `register`: all the named deployments are served by Restate, or none of them is touched."""

from functools import partial

from registry.admin import Admin
from registry.commands import Patience
from registry.registration.held_up import Lookout
from registry.registration.one_url import register, rehearse, require_routed
from registry.settings import RegisterSettings
from runtime.telemetry.logs import get_logger

log = get_logger("registry")


async def register_all(settings: RegisterSettings) -> None:
    """In the order of the settings, so that an agent comes after its tools.

    Only Restate asks the deployments whether they are there, so that no network policy has to let this command through.
    """
    urls, lookout = settings.deployments, Lookout(settings)
    patience = Patience(settings.register_seconds, lambda name: lookout.why(urls[name]))
    async with Admin(settings.restate_admin_url, settings.admin_token) as admin:
        for name, url in urls.items():
            await patience.until_done(partial(rehearse, admin, url, settings.force), name)
        found = {
            name: await patience.until_done(partial(register, admin, url, settings.force), name)
            for name, url in urls.items()
        }
        for name, deployment in found.items():
            await patience.until_done(partial(require_routed, admin, deployment), name)
            about = {"deployment": name, "url": urls[name], "deployment_id": deployment.deployment_id}
            log.info("deployment_registered", extra=about | {"services": deployment.services})
