"""A tool that vanished between catalogue and call: its call fails alone, and the run goes on in its time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

RUN_SECONDS = 60
TOOLS = ("vanishing_read", "vanishing_effect", "vanishing_start", "vanishing_workflow")
GONE = "this tool is not there any more; the call was not made"


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch) -> Board:
    """A board whose router still knows the tools of a deployment that is gone."""
    board = await start_board(own_restate, service, MAX_SECONDS=str(RUN_SECONDS))
    tools = await service("tests.parts.vanishing_tools")
    reply = await request("POST", f"{own_restate.admin_url}/deployments", {"uri": tools.url})
    await until(lambda: knows(board, "vanishing_workflow"))
    message = await board.script(*(calls((tool, {})) for tool in TOOLS[:2]), text("done"))
    assert [call["status"] for call in (await board.answer(message))["calls"]] == ["ok", "ok"]
    await board.registry.stop()
    gone = await request("DELETE", f"{own_restate.admin_url}/deployments/{reply.json()['id']}?force=true")
    assert gone.status_code in (200, 202), gone.text
    return board


async def knows(board: Board, tool: str) -> bool:
    """Whether the router offers it to the model."""
    message = await board.script(text("done"))
    await board.answer(message)
    offered: list[dict[str, Any]] = (await board.conversation(message))["tools"]
    return tool in [each["function"]["name"] for each in offered]


@pytest.mark.parametrize("tool", TOOLS)
async def test_a_call_of_a_vanished_tool_fails_alone(board: Board, tool: str) -> None:
    message = await board.script(calls((tool, {}), ("echo", {"text": "a"})), text("done"))
    answer = await board.answer(message, seconds=2 * RUN_SECONDS)
    assert (answer["outcome"], answer["text"]) == ("answered", "done")
    vanished, other = await board.told(message)
    assert other["status"] == "ok"
    if tool == "vanishing_start":
        assert vanished["status"] == "started"
    else:
        assert GONE in str(vanished)
    await board.restate.wait_idle()


async def test_check_task_says_that_a_started_call_was_not_made(board: Board) -> None:
    message = await board.script(calls(("vanishing_start", {})), text("done"))
    await board.answer(message)
    (started,) = await board.told(message)
    await board.restate.wait_idle()
    asked = await board.script(calls(("check_task", {"task_id": started["task_id"]})), text("done"))
    await board.answer(asked)
    (told,) = await board.told(asked)
    assert GONE in str(told)
