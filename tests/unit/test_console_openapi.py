"""The document of the desk's API against its answers: whatever a client makes of it is answered as it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from schemathesis import GenerationMode

from console.api import examples
from tests.parts.documents import found_wrong, without_examples
from tests.parts.fake_rooms import OF_A_CONSOLE
from tests.parts.restate import request
from tests.parts.service import Service

KEY = f"sbd_{'0' * 12}_{'k' * 43}"
KNOWN = {
    "key_id": "1",
    "name": "bot",
    "scopes": ["read", "act", "approve", "audit"],
    "roles": ["agent", "approver", "admin"],
    "expires_at": "2126-01-02T03:04:05+00:00",
}
HISTORY = {name: examples.CONVERSATION[name] for name in ("user_id", "held", "entries", "next")}
ROOMS: dict[str, Any] = {
    "ConversationDesk/list": examples.CONVERSATIONS,
    "TicketDesk/counts": {},
    "AccountDesk/show": examples.ACCOUNT,
    "Approvals/list": examples.APPROVALS,
    "Approvals/show": examples.APPROVAL_SHOWN,
    "Approvals/decide": examples.RULING,
    "TicketDesk/list": examples.TICKETS,
    "TicketDesk/show": examples.TICKET_SHOWN,
}
OF_A_CONVERSATION = {"show": HISTORY, "steps": examples.RUN, "say": examples.SAID}


class Api(NamedTuple):
    console: Service
    document: dict[str, Any]


async def behind(asked: web.Request) -> web.Response:
    if asked.path == "/desk/keys":
        return web.json_response(KNOWN)
    if asked.path.endswith("/audit"):
        return web.json_response({"lines": examples.AUDIT["lines"]})
    target = asked.path.removeprefix("/restate/call/")
    if target.startswith("Conversation/"):
        return web.json_response(OF_A_CONVERSATION.get(target.rpartition("/")[2], examples.HELD))
    return web.json_response(ROOMS.get(target, examples.TICKET))


@pytest.fixture(scope="module")
async def api(service: Callable[..., Awaitable[Service]]) -> AsyncIterator[Api]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behind)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        many = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000"}
        rooms = {"RESTATE_INGRESS_URL": url, "CONVERSATIONS_URL": url, "REGISTRY_URL": url}
        console = await service("console", **rooms, **OF_A_CONSOLE, **many)
        yield Api(console, (await request("GET", f"{console.address}/openapi.json")).json())


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_whatever_a_tool_asks_is_answered_as_the_document_says(api: Api, mode: GenerationMode) -> None:
    wrong = await asyncio.to_thread(found_wrong, api.console.address, KEY, api.document, mode)
    assert wrong == []


async def test_every_operation_of_the_desk_has_examples_that_fit_it(api: Api) -> None:
    assert without_examples(api.document) == []


async def test_the_document_is_a_page_for_people_too(api: Api) -> None:
    page = await request("GET", f"{api.console.address}/docs")
    assert "/api/v1/approvals/{id}/approve" in page.text
    assert (await request("GET", f"{api.console.address}/docs/style.css")).status_code == 200
