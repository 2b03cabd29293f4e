"""A local read that hangs, beside remote calls with the same time left: each is told as what it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.parts.board import Board, calls, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

RUN_SECONDS = 4


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch) -> AsyncIterator[Board]:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    status_page = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = status_page.sockets[0].getsockname()[1]
    yield await start_board(
        own_restate, service, STATUS_URL=f"http://127.0.0.1:{port}/summary.json", MAX_SECONDS=str(RUN_SECONDS)
    )
    status_page.close()


async def test_a_slow_local_read_is_never_told_as_a_task(board: Board) -> None:
    message = await board.script(calls(("check_service_status", {}), ("long_effect", {"seconds": 30})), text("done"))
    answer = await board.answer(message, seconds=20)
    statuses = {call["tool"]: call["status"] for call in answer["calls"]}
    assert statuses == {"check_service_status": "error", "long_effect": "unknown"}
