"""More tools than a turn offers: the model finds the others by itself."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.parts.board import Board, calls, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

LOCAL = {"check_service_status", "check_task", "find_tools", "search_help_articles"}


@pytest.fixture(scope="module")
async def crowded(own_restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    return await start_board(own_restate, service, MAX_OFFERED="8")


async def offered(board: Board, message: str) -> set[str]:
    tools: list[dict[str, Any]] = (await board.conversation(message))["tools"]
    return {tool["function"]["name"] for tool in tools}


async def test_a_tool_that_was_found_is_offered_and_called_in_the_next_turn(crowded: Board) -> None:
    find, count = ("find_tools", {"query": "count a name"}), ("count", {"name": "crowded"})
    message = await crowded.script(calls(count), calls(find), calls(count), text("done"))
    answer = await crowded.answer(message)
    assert [(call["tool"], call["status"]) for call in answer["calls"]] == [
        ("count", "error"),  # nothing in the question speaks of it, so it was not on offer
        ("find_tools", "ok"),
        ("count", "ok"),
    ]
    names = await offered(crowded, message)
    assert LOCAL | {"count"} <= names
    assert len(names) == 8
    found = (await crowded.told(message))[1]["untrusted_data"]["tools"]
    assert {"name": "count", "description": "Counts how often a name was counted."} in found
    assert "staff_only" not in names | {entry["name"] for entry in found}
