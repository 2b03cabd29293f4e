"""Every way in which a model's endpoint can fail, end to end: the run ends truthfully, and shows no stack trace."""

import asyncio
import collections
import time

import pytest

from demo_model.double.malformed import generate
from tests.conftest import ALWAYS_REPLAY
from tests.parts.board import Board, calls, text

CASES = 200 if ALWAYS_REPLAY else 1000
AT_ONCE = 24
LEAKS = ("Traceback", "stacktrace", "/src/", "Error(")


PASSING = [
    *("rate_limited", "server_error", "html_503", "reset", "half_body", "not_json", "empty_body", "truncated_json"),
    *("bad_utf8", "null", "array", "error_object", "no_choices", "null_choices", "no_message", "content_null"),
    "missing_choices",
]


@pytest.mark.parametrize("fault", PASSING)
async def test_a_passing_fault_is_retried_once_and_answered(board: Board, fault: str) -> None:
    message = await board.script(text("all well"))
    await board.fault(fault, message)
    assert (await board.answer(message))["text"] == "all well"
    assert len(await board.ledger(message)) == 2


@pytest.mark.parametrize("fault", ["server_error", "not_json", "reset"])
async def test_a_fault_that_stays_ends_the_run_after_three_calls(board: Board, fault: str) -> None:
    message = await board.script(text("never"))
    await board.fault(fault, message, times=9)
    answer = await board.answer(message)
    assert answer["outcome"] == "model_unavailable"
    assert "try again" in answer["text"]
    assert len(await board.ledger(message)) == 3


@pytest.mark.parametrize("fault", ["bad_request", "unauthorized", "forbidden", "not_found"])
async def test_a_refusal_of_the_endpoint_is_not_retried_and_names_the_setting_to_mend(board: Board, fault: str) -> None:
    message = await board.script(text("never"))
    await board.fault(fault, message, times=9)
    answer = await board.answer(message)
    assert answer["outcome"] == "model_misconfigured"
    assert "key" not in answer["text"].lower()
    assert len(await board.ledger(message)) == 1
    assert '"mend": "OPENAI_' in board.router.tail(5)


async def test_a_quota_that_is_used_up_is_not_retried(board: Board) -> None:
    message = await board.script(text("never"))
    await board.fault("insufficient_quota", message, times=9)
    assert (await board.answer(message))["outcome"] == "model_unavailable"
    assert len(await board.ledger(message)) == 1


async def test_retry_after_is_honoured_and_a_long_one_ends_the_run(board: Board) -> None:
    message = await board.script(text("later"))
    await board.fault("rate_limited", message, retry_after=2)
    started = time.monotonic()
    assert (await board.answer(message))["text"] == "later"
    assert time.monotonic() - started >= 2
    message = await board.script(text("never"))
    await board.fault("rate_limited", message, retry_after=300)
    assert (await board.answer(message))["outcome"] == "model_unavailable"
    assert len(await board.ledger(message)) == 1


async def test_a_conversation_that_is_too_long_is_compacted_once(board: Board) -> None:
    message = await board.script(calls(("large", {"size": 950})), text("short enough"))
    await board.fault("context_length", message, turn=1)
    assert (await board.answer(message))["text"] == "short enough"
    told = (await board.conversation(message))["messages"][-1]["content"]
    assert told.endswith("[cut]")
    await board.fault("context_length", message, times=9)
    assert (await board.answer(message))["outcome"] == "tokens_exhausted"


async def test_a_message_cut_at_the_length_limit_is_continued_once(board: Board) -> None:
    message = await board.script(text("first half, "), text("second half"))
    await board.fault("length", message, turn=0)
    answer = await board.answer(message)
    assert answer["outcome"] == "answered"
    assert answer["text"].endswith("second half")
    message = await board.script(text("a"), text("b"), text("c"))
    await board.fault("length", message, times=9)
    assert (await board.answer(message))["usage"]["turns"] == 2


@pytest.mark.parametrize("fault", ["refusal", "content_filter"])
async def test_a_model_that_will_not_answer_ends_the_run_politely(board: Board, fault: str) -> None:
    message = await board.script(text("never"))
    await board.fault(fault, message)
    answer = await board.answer(message)
    assert answer["outcome"] == "answered"
    assert "sorry" in answer["text"].lower()


@pytest.mark.parametrize("fault", ["args_not_json", "args_wrong_schema", "unknown_tool", "name_null"])
async def test_a_call_that_cannot_be_made_goes_back_to_the_model(board: Board, fault: str) -> None:
    message = await board.script(calls(("echo", {"text": "a"})), text("mended"))
    await board.fault(fault, message, turn=0)
    answer = await board.answer(message)
    assert answer["text"] == "mended"
    assert {call["status"] for call in answer["calls"]} == {"error"}


@pytest.mark.parametrize("fault", ["id_null", "duplicate_ids", "tool_calls_with_stop"])
async def test_odd_ids_and_finish_reasons_do_no_harm(board: Board, fault: str) -> None:
    message = await board.script(calls(("echo", {"text": "a"}), ("echo", {"text": "b"})), text("done"))
    await board.fault(fault, message, turn=0)
    answer = await board.answer(message)
    assert answer["text"] == "done"
    ids = [call["call_id"] for call in answer["calls"]]
    assert len(set(ids)) == len(ids)
    assert {call["status"] for call in answer["calls"]} == {"ok"}


@pytest.mark.parametrize(
    ("fault", "said"), [("lone_surrogate", "Half a pair: ?."), ("nul_character", "Nothing in between.")]
)
async def test_text_that_utf8_or_postgresql_cannot_hold_is_scrubbed(board: Board, fault: str, said: str) -> None:
    message = await board.script(text("never"))
    await board.fault(fault, message)
    assert (await board.answer(message))["text"] == said


async def test_a_thousand_malformed_replies_leave_nothing_stuck_and_show_nothing(board: Board) -> None:
    """Each case is one malformed reply in a conversation of its own, at every shape, and every seed another."""
    places = asyncio.Semaphore(AT_ONCE)
    outcomes: collections.Counter[tuple[str, str]] = collections.Counter()

    async def one(seed: int) -> None:
        async with places:
            message = await board.script(text("first"), text("then"))
            await board.fault("malformed", message, seed=seed)
            reply = await board.ask(message)
        assert reply.status_code == 200, (seed, reply.text)
        assert not any(leak in reply.text for leak in LEAKS), (seed, reply.text)
        outcomes[generate(seed)[0], reply.json()["outcome"]] += 1

    await asyncio.gather(*(one(seed) for seed in range(CASES)))
    await board.restate.wait_idle()
    assert sum(outcomes.values()) == CASES
    not_answered = {key: count for key, count in outcomes.items() if key[1] != "answered"}
    assert {outcome for _, outcome in not_answered} <= {"calls_exhausted", "errors_exhausted"}, not_answered
    assert sum(not_answered.values()) <= CASES * 0.05, not_answered
