"""A local read that hangs, beside remote calls with the same time left: each is told as what it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.parts.board import Board, calls, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

RUN_SECONDS = 4


STATUS_URL = "http://status.example/summary.json"


@pytest.fixture(scope="module")
def asked() -> list[bytes]:
    """The first line of each request that came to the proxy."""
    return []


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch, asked: list[bytes]) -> AsyncIterator[Board]:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.read()
        writer.close()

    proxy = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    settings = {"STATUS_URL": STATUS_URL, "HTTP_PROXY": f"http://127.0.0.1:{port}", "MAX_SECONDS": str(RUN_SECONDS)}
    yield await start_board(own_restate, service, **settings)
    proxy.close()


async def test_a_slow_local_read_is_never_told_as_a_task(board: Board, asked: list[bytes]) -> None:
    message = await board.script(calls(("check_service_status", {}), ("long_effect", {"seconds": 30})), text("done"))
    answer = await board.answer(message, seconds=20)
    statuses = {call["tool"]: call["status"] for call in answer["calls"]}
    assert statuses == {"check_service_status": "error", "long_effect": "unknown"}
    assert asked == [f"GET {STATUS_URL} HTTP/1.1\r\n".encode()], "what is outside is reached by the proxy, nothing else"
