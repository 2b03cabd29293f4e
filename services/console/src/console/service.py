"""Runs the console."""

import asyncio

import aiohttp

from console.api.keys import KeyDoor
from console.app import build
from console.following import Following
from console.logins import Logins
from console.macros import read_macros
from console.oidc import Oidc
from console.parts import Parts
from console.rendering import Pages
from console.restate import Registry, Restate
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.tokens import Signer
from console.upstream import BY, Upstream, follow_tickets
from runtime.serving import at_the_end, serve_web
from runtime.serving import run as run_service
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.telemetry.metrics import serve_metrics

log = get_logger(__name__)


def main() -> None:
    configure_logs("console")
    run_service(_serve(ConsoleSettings.read()))


async def _serve(settings: ConsoleSettings) -> None:
    configure_logs("console", settings.log_level)
    serve_metrics(settings, "console")
    if settings.demo_staff:
        log.warning("demo_staff_is_on", extra={"advice": "anybody may be one of them: for demos alone"})
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()) as outside,
    ):
        oidc = Oidc(settings, outside) if settings.oidc_issuer else None
        parts = compose(settings, http, oidc)
        upstream = Upstream(http, settings.conversations_url, parts.signer, parts.following)
        loops = [upstream.follow(), follow_tickets(parts.desk(BY), parts.following)]
        loops += [oidc.look()] if oidc else []
        tasks = [asyncio.create_task(each) for each in loops]
        at_the_end(parts.following.leave)
        await serve_web(settings, build(parts))
        for each in tasks:
            each.cancel()


def compose(settings: ConsoleSettings, http: aiohttp.ClientSession, oidc: Oidc | None) -> Parts:
    """What the pages of these settings work with; `oidc` is by whom staff sign in, None in a demo."""
    idle, longest = settings.session_minutes * 60, settings.session_hours * 3600
    secret, secure = settings.session_secret, settings.secure_cookies
    door = f"{settings.oidc_client_id} {settings.oidc_issuer}" if oidc else ""
    signer = Signer(settings)
    return Parts(
        settings=settings,
        sessions=Sessions(secret, idle, longest, secure=secure, door=door),
        signer=signer,
        restate=Restate(http, settings.restate_ingress_url, settings.restate_ingress_token.get_secret_value()),
        registry=Registry(http, settings.registry_url),
        pages=Pages(),
        logins=Logins(secret, secure=secure),
        following=Following(),
        macros=read_macros(settings.macros_file),
        oidc=oidc,
        keys=KeyDoor(http, settings, signer) if settings.api_keys else None,
    )
