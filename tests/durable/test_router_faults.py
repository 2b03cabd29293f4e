"""What must not happen to a run: an endless model call, a cancellation that is not obeyed, settings that change it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from router.prompt import read_prompt
from router.settings import PROMPT
from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

DEADLINE_SECONDS = 1.0
ATTEMPTS = 3
CHANGED = ("MAX_TURNS", "PROMPT_FILE", "CUSTOMER_CHECK")
"""What a test changes for itself alone."""


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch) -> Board:
    return await start_board(own_restate, service, OPENAI_TIMEOUT=str(DEADLINE_SECONDS), OPENAI_ATTEMPTS=str(ATTEMPTS))


@pytest.mark.parametrize("fault", ["drip", "hang"])
async def test_a_model_call_ends_at_its_deadline_however_much_trickles_in(board: Board, fault: str) -> None:
    message = await board.script(text("far too slow to be read"))
    await board.fault(fault, message, times=9)
    assert (await board.answer(message, seconds=30))["outcome"] == "model_unavailable"
    assert len(await board.ledger(message)) == ATTEMPTS


async def test_a_cancelled_run_ends_as_cancelled_and_asks_the_model_nothing_more(board: Board) -> None:
    message = await board.script(calls(("echo", {"text": "a"})), text("slow") | {"latency_seconds": 0.8}, text("never"))
    run = await board.start_run(message)
    await asked(board, message, times=2)
    await request("PATCH", f"{board.restate.admin_url}/invocations/{run}/cancel")
    reply = await answer_of(board, run)
    assert reply.status_code == 409, reply.text
    assert reply.json()["message"] == "cancelled"
    await board.restate.wait_idle()
    assert len(await board.ledger(message)) == 2


async def test_a_run_keeps_the_budgets_that_it_began_with(board: Board) -> None:
    message = await board.script(
        calls(("echo", {"text": "a"})), calls(("echo", {"text": "b"})) | {"latency_seconds": 0.8}, text("done")
    )
    run = await board.start_run(message)
    await asked(board, message, times=2)
    await restart_router(board, MAX_TURNS="1")
    answer = (await answer_of(board, run)).json()
    assert (answer["outcome"], answer["usage"]["turns"]) == ("answered", 3)
    assert (await board.answer(await board.script(calls(("echo", {})))))["outcome"] == "turns_exhausted"
    await restart_router(board)


async def test_each_call_is_told_the_prompt_that_made_the_model_ask_and_a_change_is_said_once(
    board: Board, tmp_path: Path
) -> None:
    former, other = read_prompt(PROMPT).digest, tmp_path / "prompt.md"
    other.write_text("\nAnswer in rhymes.\n")
    message = await board.script(
        calls(("who", {"text": "a"})),
        calls(("who", {"text": "b"})) | {"latency_seconds": 0.8},
        calls(("who", {"text": "c"})),
        text("done"),
    )
    run = await board.start_run(message)
    await asked(board, message, times=2)
    await restart_router(board, PROMPT_FILE=str(other))
    assert (await answer_of(board, run)).json()["outcome"] == "answered"
    new = read_prompt(other).digest
    assert [told["untrusted_data"]["prompt"] for told in await board.told(message)] == [former, new, new]
    assert (await board.conversation(message))["messages"][0]["content"] == "Answer in rhymes."
    lines = [json.loads(line) for line in board.router.log.read_text().splitlines() if "prompt_changed" in line]
    assert [(line["run"], line["turn"], line["former"], line["prompt"]) for line in lines] == [(run, 2, former, new)]
    await restart_router(board)


async def test_a_lookup_of_the_caller_that_nobody_waits_for_any_more_is_cancelled(board: Board) -> None:
    await restart_router(board, CUSTOMER_CHECK="Examples/slow_to_know")
    assert (await board.answer(await board.script(text("done"))))["outcome"] == "answered"
    await board.restate.wait_idle(5)
    await restart_router(board)


async def test_a_run_keeps_the_key_of_a_call_when_the_router_dies(board: Board) -> None:
    """A key that is not journaled with the plan would start a second job under another key."""
    message = await board.script(calls(("run_job", {"text": "a"})), text("done") | {"latency_seconds": 0.8})
    run = await board.start_run(message)
    await asked(board, message, times=2)
    await restart_router(board)
    assert (await answer_of(board, run)).json()["tickets"] == ["TCK-1"]
    await board.restate.wait_idle()
    jobs = await board.restate.query(
        "select id from sys_invocation where target_service_name = 'Jobs' and status = 'completed' "
        f"and invoked_by_id in (select id from sys_invocation where invoked_by_id = '{run}')"
    )
    assert len(jobs) == 1


async def answer_of(board: Board, run: str) -> HttpReply:
    return await request("GET", f"{board.restate.ingress_url}/restate/attach/{run}", seconds=20)


async def asked(board: Board, message: str, times: int) -> None:
    async def enough() -> bool:
        return len(await board.ledger(message)) >= times

    await until(enough)


async def restart_router(board: Board, **changes: Any) -> None:
    """Kill it and start it again at the same address, with other settings."""
    old = board.router
    await old.kill()
    settings = {name: value for name, value in old.program.env.items() if name not in ("PORT", *CHANGED)}
    board.router = await board.launch("router", port=old.port, **settings | changes)
    await asyncio.sleep(0.5)  # one poll of the catalogue
