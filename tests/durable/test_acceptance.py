"""A question waits for a router that is away for longer than its caller token lives."""

import time
from collections.abc import Awaitable, Callable

import jwt
import pytest

from tests.parts.board import Board, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

KEY = "a-secret-of-32-bytes-for-the-tests"


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    return await start_board(own_restate, service, CALLER_KEYS=KEY)


def token_good_for(seconds: float) -> str:
    """Counted with the five seconds that clocks may be apart."""
    exp = time.time() + seconds - 5
    return jwt.encode({"sub": "user_t", "aud": "switchboard", "iat": exp - 60, "exp": exp}, KEY, "HS256")


async def test_a_question_outlasts_its_token_while_the_router_is_away(board: Board) -> None:
    message = await board.script(text("still here"))
    await board.router.kill()
    good = {"message": message, "caller_token": token_good_for(2)}
    asked = (await board.restate.call("ToolRouter", "route", good, send=True)).json()["invocationId"]
    expired = {"message": message, "caller_token": token_good_for(-1)}
    late = (await board.restate.call("ToolRouter", "route", expired, send=True)).json()["invocationId"]
    while jwt.decode(good["caller_token"], options={"verify_signature": False})["exp"] + 6 > time.time():
        await board.restate.open_invocations()
    await board.router.start()
    reply = await board.transcript(asked)
    assert (reply.status_code, reply.json()["text"]) == (200, "still here")
    refused = await board.transcript(late)
    assert (refused.status_code, refused.json()["metadata"]["code"]) == (401, "caller_token_expired")
