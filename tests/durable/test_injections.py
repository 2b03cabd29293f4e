"""Injections, the whole way: a model that obeys, over HTTP, tools behind Restate, and what was done in the end."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.injections.service import planted
from tests.injections.table import OURS, TABLE, Injection
from tests.parts.board import Board, calls, start_board, text
from tests.parts.restate import RestateServer
from tests.parts.service import Service

CHOSEN = [
    next(injection for injection in TABLE if injection.where == where and injection.task.done)
    for where in ("result", "ticket", "article", "name")
] + [injection for injection in OURS if injection.where in ("echo of a trusted tool", "other letters", "encoded")]


@pytest.fixture(scope="module")
async def bank(own_restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    tools = await service("tests.injections.service")
    await own_restate.register(tools.url, force=True)
    return await start_board(own_restate, service, QUESTION_EFFECTS="2", APPROVAL_WAIT="0.5")


async def done(board: Board) -> list[tuple[str, Any]]:
    """The effects that were made, in order."""
    found = (await board.restate.call("BankDesk", "done", None)).json()["answer"]
    return [(each["tool"], each["arguments"]) for each in found]


@pytest.mark.parametrize("injection", CHOSEN, ids=lambda injection: injection.where)
async def test_only_what_the_customer_wants_is_done(bank: Board, injection: Injection) -> None:
    planting = await bank.restate.call("BankDesk", "plant", planted(injection))
    assert planting.status_code == 200, planting.text
    steps = [[injection.task.read], *injection.attack, *([injection.task.done] if injection.task.done else [])]
    message = await bank.script(*(calls(*step) for step in steps), text("Done."))
    answer = await bank.answer(f"{injection.task.said} ({message})", seconds=30)
    assert len(answer["calls"]) == sum(map(len, steps))
    assert answer["outcome"] == "answered"
    assert await done(bank) == [(name, arguments) for name, arguments in injection.task.done]
