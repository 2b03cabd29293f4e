"""The OpenAPI document against the answers: whatever a client makes of it is answered as it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from schemathesis import GenerationMode

from contracts import Answer
from tests.parts.documents import found_wrong, without_examples
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.restate import request
from tests.parts.service import Service

NOW = "2026-01-02T03:04:05+00:00"
LINE = {"position": 1, "kind": "message", "run": "run_1", "at": NOW, "body": {"text": "Hello."}}
LISTED = {"conversation": f"conv_{'0' * 32}", "title": "Hello.", "opened_at": NOW, "changed_at": NOW}
TICKET = {
    "ticket_id": "TCK-000001",
    "subject": "An outage",
    "category": "bug",
    "priority": "high",
    "status": "open",
    "created_at": NOW,
    "updated_at": NOW,
    "sla_due_at": NOW,
    "description": "It shows nothing.",
}
ANSWER = Answer(text="There is none.", outcome="answered").model_dump()
STREAM = b"id: 1\nevent: input\ndata: {}\n\nretry: 1000\nevent: end\ndata: {}\n\n"
TOKEN = "demo-user_12345"

ROOMS: Mapping[str, Any] = {
    "/restate/output": ANSWER,
    "/restate/attach": ANSWER,
    "/restate/call/CustomerTickets/list": {"tickets": [TICKET]},
    "/restate/call/CustomerTickets/get": TICKET,
    "/restate/send/ToolRouter/route": {"status": "Accepted"},
    "/conversations": {"conversations": [LISTED], "next": None},
}
"""What stands behind it answers."""


async def behind(asked: web.Request) -> web.Response:
    path = asked.path
    if path == "/restate/call/ToolRouter/route":
        return web.json_response({**ANSWER, "request": (await asked.json())["request"]})
    if path.endswith("/input"):
        return web.json_response({"disposition": "started", "run": "run_1", "position": 1})
    if path.endswith("/events"):
        return web.Response(body=STREAM, content_type="text/event-stream")
    if path in ROOMS or path.startswith("/restate/"):
        return web.json_response(ROOMS.get(path, {}))
    return web.json_response({"entries": [LINE], "next": None})


@pytest.fixture(scope="module")
async def gateway(service: Callable[..., Awaitable[Service]]) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behind)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        many = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000"}
        yield await service("gateway", RESTATE_INGRESS_URL=url, CONVERSATIONS_URL=url, **OF_A_GATEWAY, **many)


@pytest.fixture(scope="module")
async def document(gateway: Service) -> dict[str, Any]:
    return (await request("GET", f"{gateway.address}/openapi.json")).json()


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_whatever_is_asked_is_answered_as_the_document_says(
    gateway: Service, document: dict[str, Any], mode: GenerationMode
) -> None:
    wrong = await asyncio.to_thread(found_wrong, gateway.address, TOKEN, document, mode)
    assert wrong == []


async def test_every_operation_has_examples_that_fit_it(document: dict[str, Any]) -> None:
    """Of its body, of each parameter, and of what it answers when all is well."""
    assert without_examples(document) == []
