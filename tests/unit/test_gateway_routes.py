"""How the routes of the gateway are made."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from gateway.events import Leaving
from gateway.service import compose
from gateway.settings import GatewaySettings
from standalone.ports import free_port
from tests.parts.board import USER
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.restate import request
from tests.parts.service import Service


async def test_no_request_waits_for_a_thread() -> None:
    """The framework calls what is no coroutine in one, which costs more than most of what is done there."""
    told = {name.lower(): value for name, value in OF_A_GATEWAY.items()}
    settings = GatewaySettings.model_validate(told | {"demo_customers": json.loads(told["demo_customers"])})
    async with aiohttp.ClientSession() as http:
        app = compose(settings, http, Leaving())
    routes = {name: each for name, each in routes_of(app.routes) if isinstance(each, APIRoute)}
    assert len(routes) > 10
    assert {name for name, each in routes.items() if not all(map(is_coroutine, calls(each.dependant)))} == set()


def routes_of(found: object) -> Iterator[tuple[str, object]]:
    for each in found if isinstance(found, list) else ():
        yield str(getattr(each, "path", each)), each
        yield from routes_of(getattr(getattr(each, "original_router", each), "routes", None))


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from calls(each)


def is_coroutine(call: object) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


async def test_metrics_name_a_route_by_its_whole_pattern(service: Callable[..., Awaitable[Service]]) -> None:
    nowhere, port = f"http://127.0.0.1:{free_port()}", free_port()
    settings = OF_A_GATEWAY | {"RESTATE_INGRESS_URL": nowhere, "CONVERSATIONS_URL": nowhere, "METRICS_PORT": str(port)}
    gateway = await service("gateway", **settings)
    for path in ("/api/v1/conversations/conv_0123456789abcdef", "/v1/models", "/api/v1/nothing"):
        await request("GET", gateway.address + path)
    told = (await request("GET", f"http://127.0.0.1:{port}/metrics")).text
    asked = re.findall(r'^switchboard_gateway_requests_total\{route="([^"]*)",status="(4..)"\} 1.0$', told, re.M)
    assert set(asked) == {("/api/v1/conversations/{id}", "401"), ("/v1/models", "401"), ("none", "404")}
    assert 'switchboard_gateway_problems_total{code="caller_unknown"} 2.0' in told


@pytest.mark.parametrize("wait", [0, 0.2])
async def test_nobody_is_told_where_the_answer_will_be_to_what_was_not_taken(
    service: Callable[..., Awaitable[Service]], wait: float
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    gateway = await service("gateway", RESTATE_INGRESS_URL=nowhere, CONVERSATIONS_URL=nowhere, **OF_A_GATEWAY)
    headers = {"Authorization": f"Bearer demo-{USER}"}
    asked = {"message": "Is anybody there?", "wait": wait}
    reply = await request("POST", f"{gateway.address}/api/v1/questions", asked, headers)
    assert (reply.status_code, reply.json()["retryable"]) == (503, True)
