"""A router whose clock is 40 seconds behind Restate's: its timers are right all the same, and somebody is told."""

import json
import time
from collections.abc import Awaitable, Callable

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.restate import RestateServer
from tests.parts.scrape import scrape
from tests.parts.service import Service

BEHIND_SECONDS = 40


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Callable[..., Awaitable[Service]], port: int) -> Board:
    shifted = {"ROOM": "router", "CLOCK_SHIFT": str(-BEHIND_SECONDS), "METRICS_PORT": str(port)}
    return await start_board(own_restate, service, router="tests.parts.shifted_rooms", MAX_SECONDS="30", **shifted)


async def skew(port: int) -> float:
    return (await scrape(port, "switchboard_clock_skew_seconds"))[()]


async def test_the_skew_is_measured_told_and_warned_of(board: Board, port: int) -> None:
    await until(lambda: skew(port))
    assert abs(await skew(port) - BEHIND_SECONDS) < 1
    lines = [json.loads(line) for line in board.router.tail(1000).splitlines() if line.startswith("{")]
    assert [round(line["ahead_seconds"]) for line in lines if line["event"] == "clock_skewed"] == [BEHIND_SECONDS]


async def test_a_read_has_the_time_that_it_may_take(board: Board, port: int) -> None:
    await until(lambda: skew(port))
    message = await board.script(calls(("long_read", {"seconds": 2})), text("done"))
    answer = await board.answer(message)
    assert [(call["tool"], call["status"]) for call in answer["calls"]] == [("long_read", "ok")]


async def test_a_read_that_takes_longer_is_left_in_time(board: Board, port: int) -> None:
    await until(lambda: skew(port))
    message = await board.script(calls(("slow_read", {"seconds": 20})), text("done"))
    began = time.monotonic()
    answer = await board.answer(message)
    assert [(call["tool"], call["status"]) for call in answer["calls"]] == [("slow_read", "error")]
    assert time.monotonic() - began >= 1
