"""A model whose every reply is a stream (`OPENAI_STREAM`): kills and faults within one; half a reply is never used."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.restate import RestateServer
from tests.parts.service import Service

ANSWER = " ".join(f"Line {number}." for number in range(20))
SLOWLY = {"chunk_seconds": 0.1}
WITHIN_SECONDS = 0.2
"""A reply that was asked for this long ago has begun, and not ended."""

TURNS = {"reads": 0, "an effect": 1, "the answer": 2}
FAULTS = ("half_body", "early_end", "error_within", "stall")


@pytest.fixture(scope="module")
async def streamed(own_restate: RestateServer, service: Callable[..., Awaitable[Service]]) -> Board:
    return await start_board(own_restate, service, OPENAI_STREAM="true", OPENAI_FIRST_BYTE_TIMEOUT="1")


async def script(board: Board) -> str:
    """Reads, then an effect, then an answer."""
    looks = calls(("echo", {"text": "a"}), ("echo", {"text": "b"}))
    return await board.script(looks | SLOWLY, calls(("run_job", {"text": "x"})) | SLOWLY, text(ANSWER) | SLOWLY)


async def jobs(board: Board) -> int:
    """How many effects were ever made."""
    return len(await board.restate.query("select id from sys_invocation where target_service_name = 'Jobs'"))


def check(answer: dict[str, Any]) -> None:
    """It is whole, and each call stands in it once."""
    assert (answer["text"], answer["outcome"]) == (ANSWER, "answered")
    told = [(call["tool"], call["status"], call["turn"]) for call in answer["calls"]]
    assert told == [("echo", "ok", 1), ("echo", "ok", 1), ("run_job", "ok", 2)]


async def paid(board: Board, message: str) -> dict[int, int]:
    """How often each turn was paid for."""
    return dict(Counter(call["turns"] for call in await board.ledger(message) if call["paid"]))


async def test_each_turn_of_a_streamed_model_is_paid_for_once(streamed: Board) -> None:
    message, before = await script(streamed), await jobs(streamed)
    check(await streamed.answer(message))
    assert await paid(streamed, message) == {0: 1, 1: 1, 2: 1}
    assert await jobs(streamed) == before + 1


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
async def test_a_router_that_is_killed_within_a_stream_pays_that_turn_again_and_no_other(
    streamed: Board, turn: int
) -> None:
    message, before = await script(streamed), await jobs(streamed)
    answering = asyncio.create_task(streamed.answer(message))

    async def asked() -> bool:
        return turn in await paid(streamed, message)

    await until(asked)
    await asyncio.sleep(WITHIN_SECONDS)
    await streamed.router.kill()
    await streamed.router.start()

    check(await answering)
    assert await paid(streamed, message) == {0: 1, 1: 1, 2: 1} | {turn: 2}
    assert await jobs(streamed) == before + 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_stream_that_breaks_off_within_a_call_makes_no_call(streamed: Board, fault: str) -> None:
    message, before = await script(streamed), await jobs(streamed)
    await streamed.fault(fault, message, turn=TURNS["an effect"])
    check(await streamed.answer(message))
    assert len(await streamed.ledger(message)) == 4
    assert await jobs(streamed) == before + 1
