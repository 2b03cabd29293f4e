"""Runs the console."""

import asyncio

import aiohttp
from starlette.applications import Starlette

from console.app import build
from console.logins import Logins
from console.oidc import Oidc
from console.parts import Parts
from console.rendering import Pages
from console.restate import Restate
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.tokens import Signer
from runtime.serving import run as run_service
from runtime.serving import serve_web
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
        looking = asyncio.create_task(oidc.look()) if oidc else None
        await serve_web(settings, compose(settings, http, oidc))
        if looking:
            looking.cancel()


def compose(settings: ConsoleSettings, http: aiohttp.ClientSession, oidc: Oidc | None) -> Starlette:
    """The app of these settings; `oidc` is by whom staff sign in, None in a demo."""
    idle, longest = settings.session_minutes * 60, settings.session_hours * 3600
    secret, secure = settings.session_secret, settings.secure_cookies
    door = f"{settings.oidc_client_id} {settings.oidc_issuer}" if oidc else ""
    return build(
        Parts(
            settings=settings,
            sessions=Sessions(secret, idle, longest, secure=secure, door=door),
            signer=Signer(settings),
            restate=Restate(http, settings.restate_ingress_url, settings.restate_ingress_token.get_secret_value()),
            pages=Pages(),
            logins=Logins(secret, secure=secure),
            oidc=oidc,
        )
    )
