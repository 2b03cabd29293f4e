"""A router that has never heard of the registry: it says so in its own time, and pays for nothing."""

import time
from collections.abc import Awaitable, Callable

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

RUN_SECONDS = 3


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch) -> Board:
    nowhere = f"http://127.0.0.1:{free_port()}/tools"
    return await start_board(own_restate, service, CATALOGUE_URL=nowhere, MAX_SECONDS=str(RUN_SECONDS))


async def test_a_run_without_a_catalogue_ends_in_its_time_and_asks_no_model(board: Board) -> None:
    message = await board.script(text("never said"))
    started = time.monotonic()
    answer = await board.answer(message, seconds=RUN_SECONDS + 10)
    assert answer["outcome"] == "tools_unavailable"
    assert "try again" in answer["text"]
    assert time.monotonic() - started >= RUN_SECONDS
    assert await board.ledger(message) == []
