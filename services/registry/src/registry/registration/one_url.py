"""One deployment: is it healthy, would Restate take it, register it, and are its services really routed to it?"""

import os

import aiohttp
from yarl import URL

from registry.admin import Admin, Registered
from registry.status import RegisteredDeployment
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

PROBE_SECONDS = 5


class NotReady(Exception):
    """The deployment does not answer yet; the message says how."""


class NotRegistered(Exception):
    """Restate has not done what was asked for; the message says what."""


async def require_health(url: str) -> None:
    """Raise `NotReady` unless the deployment says that it is up.

    A server that speaks HTTP/2 alone cannot answer this probe: what it serves is then for Restate to find out.
    """
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url.rstrip('/')}/health") as reply:
            if reply.status != 200:
                raise NotReady(f"{url}/health answers {reply.status}")
    except aiohttp.ClientConnectorError as error:
        raise NotReady(f"{url} cannot be reached: {_why(error.os_error)}") from error
    except TimeoutError as error:
        raise NotReady(f"{url}/health gives no answer within {PROBE_SECONDS} s") from error
    except aiohttp.ClientError:
        return


async def rehearse(admin: Admin, url: str, force: bool = False) -> None:
    """Raise what Restate would refuse, and change nothing.

    Without force, Restate only looks up a URL that it knows already. If newer deployments have that URL's services, the
    registration will force Restate to discover it again, so this is rehearsed with force too. To force at once would
    prove nothing: it lets everything pass.
    """
    known = await _known(admin, url)
    found = _what_was(await admin.register(url, force=force and known, dry_run=True))
    if known and not force and await _routed_elsewhere(admin, found):
        await admin.register(url, force=True, dry_run=True)


async def register(admin: Admin, url: str, force: bool = False) -> RegisteredDeployment:
    """Without force Restate leaves a URL that it knows as it is, so one that is behind newer ones is then forced."""
    found = _what_was(await admin.register(url, force=force and await _known(admin, url)))
    if await _routed_elsewhere(admin, found):
        log.info("deployment_forced", extra={"url": url, "why": "newer deployments had its services"})
        found = _what_was(await admin.register(url, force=True))
    await require_routed(admin, found)
    return found


async def require_routed(admin: Admin, expected: RegisteredDeployment) -> None:
    """Whoever registers last wins; two registries that both insist would take turns for ever."""
    if elsewhere := await _routed_elsewhere(admin, expected):
        told = ", ".join(f"{service} to {deployment_id}" for service, deployment_id in sorted(elsewhere.items()))
        raise NotRegistered(f"Restate routes {told}, not to {expected.deployment_id}")


async def _known(admin: Admin, url: str) -> bool:
    return any(deployment.uri and URL(deployment.uri) == URL(url) for deployment in await admin.deployments())


async def _routed_elsewhere(admin: Admin, expected: RegisteredDeployment) -> dict[str, str]:
    routes = {service.name: service.deployment_id for service in await admin.services()}
    found = {service: routes.get(service, "nowhere") for service in expected.services}
    return {service: route for service, route in found.items() if route != expected.deployment_id}


def _what_was(found: Registered) -> RegisteredDeployment:
    return RegisteredDeployment(deployment_id=found.id, services=sorted(service.name for service in found.services))


def _why(error: OSError) -> str:
    """The system's own words, which asyncio replaces by others, but not for a failed name lookup."""
    code = error.errno or 0
    return os.strerror(code) if code > 0 else str(error.strerror)
