"""The board that the router's tests share."""

from collections.abc import Awaitable, Callable

import pytest

from tests.parts.board import Board, start_board
from tests.parts.restate import RestateServer
from tests.parts.service import Service


@pytest.fixture(scope="session")
async def board(restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    return await start_board(
        restate, service, CALLER_KEYS="a-secret-of-32-bytes-for-the-tests", MAX_TURNS="5", MAX_CALLS="6", MAX_ERRORS="4"
    )
