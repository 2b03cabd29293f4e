"""What Restate says of an invocation by itself, when no room has said what is wrong, is told as what it means."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.restate import Restate
from runtime.api.problems import Problem

OF_AN_INVOCATION = {"x-restate-error-source": "invocation"}
STACK = "Traceback (most recent call last)"


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        (404, {"message": "service 'ToolRouter' not found"}, (503, "unavailable")),
        (409, {"message": "cancelled"}, (409, "cancelled")),
        (409, {"message": "killed"}, (503, "unavailable")),
        (429, {"message": "too many requests"}, (429, "too_many")),
        (500, {"message": "boom", "stacktrace": STACK}, (502, "given_up")),
        (500, {}, (502, "given_up")),
    ],
)
async def test_restates_own_word_gets_a_status_that_says_who_must_act(
    status: int, told: Mapping[str, Any], expected: tuple[int, str]
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"code": status, **told}, status=status, headers=OF_AN_INVOCATION)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        restate = Restate(http, str(server.make_url("")))
        with pytest.raises(Problem) as refused:
            await restate.ask("q", {"message": "hello"}, 10)
    problem = refused.value
    assert (problem.kind.status, problem.code) == expected
    assert STACK not in problem.body("req_1").decode()
    assert (problem.headers.get("Retry-After") == "1") == (expected[0] in (429, 503))
