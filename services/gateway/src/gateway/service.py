"""Runs the gateway."""

import aiohttp
from fastapi import FastAPI

from gateway.app import build
from gateway.callers import DemoDoor, Doors
from gateway.events import Leaving
from gateway.issuers import IssuerDoor
from gateway.limits import Common, Limits
from gateway.machines import KeyDoor
from gateway.names import Names
from gateway.parts import Parts
from gateway.reading import Conversations
from gateway.restate import Restate
from gateway.settings import GatewaySettings
from gateway.signing import Signer
from gateway.valkey import connected
from runtime.api.rates import Rate
from runtime.serving import at_the_end, serve_web
from runtime.serving import run as run_service
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.telemetry.metrics import serve_metrics

log = get_logger(__name__)


def main() -> None:
    configure_logs("gateway")
    run_service(_serve(GatewaySettings.read()))


async def _serve(settings: GatewaySettings) -> None:
    configure_logs("gateway", settings.log_level)
    serve_metrics(settings, "gateway")
    if settings.demo_customers:
        log.warning("demo_customers_are_on", extra={"advice": "anybody may be one of them: for demos alone"})
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()) as outside,
        connected(settings, rate_of(settings)) as common,
    ):
        leaving = Leaving()
        at_the_end(leaving.now.set)
        await serve_web(settings, compose(settings, http, leaving, outside, common))


def compose(
    settings: GatewaySettings,
    http: aiohttp.ClientSession,
    leaving: Leaving,
    outside: aiohttp.ClientSession | None = None,
    common: Common | None = None,
) -> FastAPI:
    """The app of these settings; `outside` is how identity providers are reached, by a proxy where there is one, and
    `common` where all replicas count together."""
    issuers, signer = IssuerDoor(settings.issuers, outside or http), Signer(settings)
    rooms = Conversations(http, settings.conversations_url)
    machines = [KeyDoor(rooms, signer, settings.user_headers, settings.api_key_seconds)] if settings.api_keys else []
    parts = Parts(
        settings=settings,
        doors=Doors([DemoDoor(settings.demo_customers), *machines, issuers]),
        issuers=issuers,
        signer=signer,
        names=Names(settings.names_secret),
        restate=Restate(http, settings.restate_ingress_url, settings.restate_ingress_token.get_secret_value()),
        rooms=rooms,
        leaving=leaving,
        limits=Limits(rate_of(settings), settings.waiting_per_caller, settings.streams_per_caller, common),
    )
    return build(parts)


def rate_of(settings: GatewaySettings) -> Rate:
    return Rate(settings.requests_per_minute, settings.burst)
