"""A Restate whose admin API and ingress want a token, as Restate Cloud's do."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.restate import Restate
from registry.admin import Admin, AdminError


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer the-token":
            return web.json_response({"message": "who are you?"}, status=401)
        return web.json_response({"deployments": []})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()


async def test_the_registry_shows_its_token_to_the_admin_api(url: str) -> None:
    async with Admin(url, "the-token") as admin:
        assert await admin.deployments() == []
    async with Admin(url) as admin:
        with pytest.raises(AdminError, match="who are you") as refused:
            await admin.deployments()
    assert refused.value.status == 401


async def test_the_gateway_shows_its_token_to_the_ingress(url: str) -> None:
    async with aiohttp.ClientSession() as http:
        assert await Restate(http, url, "the-token").is_there()
        assert not await Restate(http, url).is_there()
