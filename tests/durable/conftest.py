"""The board that the router's tests share, and a Restate for those that want one of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from standalone.ports import free_port
from tests.conftest import ALWAYS_REPLAY, start
from tests.parts.board import Board, start_board
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service


@pytest.fixture(scope="session")
async def board(restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    return await start_board(
        restate,
        service,
        {"STUCK_POLL_SECONDS": "1"},
        CALLER_KEYS="a-secret-of-32-bytes-for-the-tests",
        MAX_TURNS="5",
        MAX_CALLS="6",
        MAX_ERRORS="4",
        OPENAI_ATTEMPTS="3",
    )


@pytest.fixture(scope="module")
async def own_restate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RestateServer]:
    """For a file that registers rooms with settings of its own, or has them go away."""
    server = RestateServer(tmp_path_factory.mktemp("restate"), always_replay=ALWAYS_REPLAY)
    await start(server)
    yield server
    await server.kill()


@pytest.fixture(scope="module")
async def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """For a file whose tests kill it."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), free_port(), "test-password")
    await server.start()
    yield server
    await server.stop("immediate")
