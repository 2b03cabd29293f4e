"""Replies that are no answer yet: the model is asked again in other words, and nothing half-said is done."""

from typing import Any

import pytest

from tests.parts.board import Board, calls, text

USAGE = {"prompt_tokens": 10, "completion_tokens": 5}


def reply(finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": ""} | message, "finish_reason": finish}
    return {"body": {"choices": [choice], "usage": USAGE}}


def call(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}


EMPTY = reply()
UNREADABLE = {"status": 400, "body": {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}}


@pytest.mark.parametrize("first", [EMPTY, reply(content="<think>hm</think>"), reply("length", content=""), UNREADABLE])
async def test_what_says_nothing_is_asked_for_once_more_in_other_words(board: Board, first: dict[str, Any]) -> None:
    message = await board.script(first, text("done"))
    answer = await board.answer(message)
    assert (answer["outcome"], answer["text"], answer["usage"]["turns"]) == ("answered", "done", 2)
    nudge = (await board.conversation(message))["messages"][-1]
    assert nudge["role"] == "user"
    assert nudge["content"] != message


async def test_every_empty_reply_is_counted_and_there_are_three_at_most(board: Board) -> None:
    message = await board.script(EMPTY)
    answer = await board.answer(message)
    assert answer["outcome"] == "model_unavailable"
    assert answer["usage"] == {"turns": 3, "calls": 0, "prompt_tokens": 30, "completion_tokens": 15}


async def test_a_reply_that_thought_to_its_limit_is_paid_twice_at_most(board: Board) -> None:
    message = await board.script(reply("length"))
    assert (await board.answer(message))["outcome"] == "model_unavailable"
    assert len(await board.ledger(message)) == 2


async def test_the_text_beside_the_last_calls_is_the_answer_when_nothing_follows(board: Board) -> None:
    message = await board.script(reply("tool_calls", content="I have looked.", tool_calls=[call("echo")]), EMPTY)
    answer = await board.answer(message)
    assert (answer["outcome"], answer["text"]) == ("answered", "I have looked.")


async def test_a_call_that_was_cut_is_not_made(board: Board) -> None:
    half = reply("length", content=None, tool_calls=[call("run_job", '{"text": "a"}')])
    message = await board.script(half, text("done"))
    answer = await board.answer(message)
    assert (answer["text"], answer["calls"], answer["tickets"]) == ("done", [], [])


async def test_an_effect_that_stands_twice_in_one_message_is_made_once(board: Board) -> None:
    message = await board.script(calls(("run_job", {"text": "a"}), ("run_job", {"text": "a"})), text("done"))
    assert [made["tool"] for made in (await board.answer(message))["calls"]] == ["run_job"]


async def test_the_last_turn_of_a_run_may_not_call_and_so_it_answers(board: Board) -> None:
    look = [calls(("echo", {"text": str(number)})) for number in range(4)]
    insists = reply("tool_calls", content="as far as I know", tool_calls=[call("echo", '{"text": "again"}')])
    message = await board.script(*look, insists)
    answer = await board.answer(message)
    assert (answer["outcome"], answer["text"], answer["usage"]["turns"]) == ("answered", "as far as I know", 5)
    assert len(answer["calls"]) == 4


async def test_what_an_endpoint_adds_goes_back_to_it_after_a_crash_too(board: Board) -> None:
    signed = call("echo", '{"text": "a"}') | {"extra_content": {"google": {"thought_signature": "sig"}}}
    first = reply("tool_calls", content=None, reasoning_content="hm", tool_calls=[signed])
    message = await board.script(first, text("done"))
    assert (await board.answer(message))["text"] == "done"
    said = (await board.conversation(message))["messages"][2]
    assert (said["reasoning_content"], said["tool_calls"]) == ("hm", [signed])


async def test_a_content_filter_is_a_polite_end_that_alarms_nobody(board: Board) -> None:
    before = len(board.router.log.read_text())
    message = await board.script({"status": 400, "body": {"error": {"message": "no", "code": "content_filter"}}})
    answer = await board.answer(message)
    assert (answer["outcome"], len(await board.ledger(message))) == ("answered", 1)
    assert "sorry" in answer["text"]
    assert "model_" not in board.router.log.read_text()[before:]
