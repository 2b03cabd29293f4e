"""The agent's loop: routing, the tool contract, budgets, tasks."""

import json
import re
import time
import uuid
from typing import Any

import jwt
import pytest

from tests.parts.board import Board, calls, text, until
from tests.parts.example_tools import HOSTILE_RESULTS
from tests.parts.restate import request

KEY = "a-secret-of-32-bytes-for-the-tests"


def statuses(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(call["tool"], call["status"]) for call in answer["calls"]]


async def test_a_question_is_answered_from_a_tool(board: Board) -> None:
    message = await board.script(calls(("echo", {"text": "hello"})), text("It said hello."))
    answer = await board.answer(message)
    assert answer["text"] == "It said hello."
    assert answer["outcome"] == "answered"
    assert statuses(answer) == [("echo", "ok")]
    assert answer["usage"]["turns"] == 2
    assert (await board.told(message))[0]["untrusted_data"]["said"] == "hello"


async def test_calls_of_one_turn_run_at_the_same_time(board: Board) -> None:
    waits = [("slow_effect", {"seconds": 0.8 + number / 100}) for number in range(4)]
    answer = await board.answer(await board.script(calls(*waits), text("done")))
    assert statuses(answer) == [("slow_effect", "ok")] * 4
    assert sum(call["ms"] for call in answer["calls"]) > 2 * max(call["ms"] for call in answer["calls"])


async def words_on_a_page(board: Board, first: str, second: str) -> list[list[str]]:
    """What stands on a page when a slow word and a quick one were written by these tools in one turn: as a read of that
    turn saw it, and in the end."""
    page = uuid.uuid4().hex
    slow = (first, {"page": page, "word": "slow", "seconds": 0.7})
    quick = (second, {"page": page, "word": "quick"})
    look = ("read_page", {"text": page})
    message = await board.script(calls(slow, quick, look), calls(look), text("done"))
    assert {call["status"] for call in (await board.answer(message, seconds=20))["calls"]} == {"ok"}
    return [told["untrusted_data"]["said"] for told in await board.told(message) if "[" in json.dumps(told)]


async def test_an_effect_waits_for_those_before_it_and_a_read_for_what_is_before_it(board: Board) -> None:
    assert await words_on_a_page(board, "write_down", "write_down") == [["slow", "quick"], ["slow", "quick"]]


async def test_a_concurrent_effect_waits_for_nothing(board: Board) -> None:
    in_the_turn, in_the_end = await words_on_a_page(board, "write_down_anyhow", "write_down_anyhow")
    assert "slow" not in in_the_turn
    assert in_the_end == ["quick", "slow"]


async def test_the_same_idempotency_key_gives_the_same_answer_for_no_more_model_calls(board: Board) -> None:
    message = await board.script(text("once"))
    answers = [await board.answer(message, idempotency_key=message) for _ in range(3)]
    assert answers == [answers[0]] * 3
    assert len(await board.ledger(message)) == 1


async def test_a_bound_argument_is_the_callers_whatever_the_model_sends(board: Board) -> None:
    message = await board.script(
        calls(("who", {"text": "a"}), ("who", {"text": "b", "user_id": "user_evil"})), text("done")
    )
    answer = await board.answer(message, "user_good")
    assert statuses(answer) == [("who", "ok"), ("who", "error")]
    good, evil = await board.told(message)
    assert good["untrusted_data"]["user_id"] == "user_good"
    assert "user_id" in evil["error"]


async def test_keys_come_from_the_argument_the_caller_or_the_run(board: Board) -> None:
    message = await board.script(
        calls(("count", {"name": "blue"}), ("count_mine", {"text": "x"}), ("run_job", {"text": "y"})), text("done")
    )
    await board.answer(message, "user_key")
    argument, caller, run = [entry["untrusted_data"]["key"] for entry in await board.told(message)]
    assert argument == "blue"
    assert caller == "user_key"
    assert re.fullmatch(r"[0-9a-f]{32}", run)


async def test_tickets_are_the_top_level_ticket_ids_and_nothing_else(board: Board) -> None:
    message = await board.script(
        calls(("run_job", {"text": "a"}), ("echo", {"text": "TCK-9"}), ("large", {"size": 5000})), text("done")
    )
    assert (await board.answer(message))["tickets"] == ["TCK-1", "TCK-2"]


@pytest.mark.parametrize("said", ["TCK-3 is closed; call +1 900", "ask@example.com", "", "TCK-3\n"])
async def test_a_ticket_of_another_tool_or_form_is_none_of_this_run(board: Board, said: str) -> None:
    message = await board.script(calls(("claim_ticket", {"text": "a"}), ("odd_ticket", {"text": said})), text("done"))
    answer = await board.answer(message)
    assert statuses(answer) == [("claim_ticket", "ok"), ("odd_ticket", "ok")]
    assert answer["tickets"] == []


@pytest.mark.parametrize("kind", HOSTILE_RESULTS)
async def test_a_result_that_nobody_can_use_is_an_error_of_its_call_and_made_once(board: Board, kind: str) -> None:
    message = await board.script(calls(("hostile_result", {"text": kind})), text("done"))
    answer = await board.answer(message, seconds=10)
    assert (answer["outcome"], answer["tickets"]) == ("answered", [])
    assert [call["status"] for call in answer["calls"]] == ["error"]
    (told,) = await board.told(message)
    assert told["error"].startswith("the call was made, and its result cannot be used")
    assert "canary" not in json.dumps(told)


async def test_a_long_result_is_cut_with_a_marker(board: Board) -> None:
    message = await board.script(calls(("large", {"size": 5000})), text("done"))
    await board.answer(message)
    (seen,) = await board.told(message)
    assert len(seen["untrusted_data"]) < 1200
    assert "[cut: the result was" in seen["untrusted_data"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (("echo", {"words": 1}), "text"),
        (("echo", "{not json"), "not a JSON object"),
        (("echo", '"a string"'), "not a JSON object"),
        (("no_such_tool", {}), "there is no tool of that name"),
        (("refuse", {"text": "a"}), "that text is taken"),
        (("break_down", {"text": "a"}), "the tool failed"),
        (("check_task", {"task_id": "task_0123456789abcdef"}), "no such task"),
        (("check_task", {"task_id": "../etc"}), "task_id"),
    ],
)
async def test_what_goes_wrong_with_a_call_is_told_to_the_model(board: Board, wanted: Any, told: str) -> None:
    message = await board.script(calls(wanted), text("I know now."))
    answer = await board.answer(message)
    assert statuses(answer) == [(wanted[0], "error")]
    assert answer["outcome"] == "answered"
    (seen,) = await board.told(message)
    assert told in (seen.get("error") or seen["untrusted_data"])
    assert "secret" not in json.dumps(seen)


async def test_a_long_refusal_is_cut_with_a_marker(board: Board) -> None:
    message = await board.script(calls(("refuse_at_length", {"size": 900_000})), text("done"))
    assert statuses(await board.answer(message)) == [("refuse_at_length", "error")]
    (seen,) = await board.told(message)
    assert "error" not in seen
    assert len(seen["untrusted_data"]) < 2100
    assert seen["untrusted_data"].endswith("[cut]")


async def test_a_slow_read_is_cancelled_and_may_be_asked_again(board: Board) -> None:
    message = await board.script(calls(("slow_read", {"seconds": 50})), text("too slow"))
    answer = await board.answer(message)
    assert statuses(answer) == [("slow_read", "error")]

    async def cancelled() -> bool:
        return not [row for row in await board.restate.open_invocations() if "slow_read" in row["target"]]

    await until(cancelled)


async def test_a_read_that_fails_on_and_on_ends_with_its_call(board: Board) -> None:
    """It fails before its first step, so that its cancellation alone does not reach it."""
    message = await board.script(calls(("failing_read", {"text": "a"})), text("sorry"))
    assert statuses(await board.answer(message)) == [("failing_read", "error")]

    async def ended() -> bool:
        return not [row for row in await board.restate.open_invocations() if "failing_read" in row["target"]]

    await until(ended)


async def test_a_slow_effect_lives_on_as_a_task_that_a_later_question_finds(board: Board) -> None:
    answer = await board.answer(message := await board.script(calls(("slow_effect", {"seconds": 3})), text("unknown")))
    assert statuses(answer) == [("slow_effect", "unknown")]
    task = (await board.told(message))[0]["task_id"]
    assert await state_of(board, task, "user_12345") == "running"
    await until(lambda: is_done(board, task))
    await assert_unknown_to(board, task, "user_other")


TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "an effect that outlived its run": ("slow_effect", {"seconds": 2}),
    "a call that was started": ("start_export", {"seconds": 1}),
    "one that failed": ("slow_refusal", {"seconds": 2}),
}


@pytest.mark.parametrize(("tool", "arguments"), TASKS.values(), ids=TASKS)
async def test_how_a_task_ended_is_known_after_restate_has_forgotten_it(
    board: Board, tool: str, arguments: dict[str, Any]
) -> None:
    user = f"user_{uuid.uuid4().hex}"
    await board.answer(message := await board.script(calls((tool, arguments)), text("later")), user)
    task = (await board.told(message))[0]["task_id"]
    kept = f"select key from state where service_name = 'RouterTasks' and key = 'ending {task}'"
    await until(lambda: board.restate.query(kept))
    before = await look_at(board, task, user)
    finished = "select id from sys_invocation where status = 'completed' and target_service_name <> 'RouterTasks'"
    for row in await board.restate.query(finished):
        purged = await request("PATCH", f"{board.restate.admin_url}/invocations/{row['id']}/purge")
        assert purged.status_code in (200, 202, 404), purged.text
    assert await look_at(board, task, user) == before
    assert before["untrusted_data"]["state"] == ("failed" if tool == "slow_refusal" else "done")


async def test_a_sent_call_goes_on_while_the_model_answers(board: Board) -> None:
    answer = await board.answer(message := await board.script(calls(("start_export", {"seconds": 2})), text("started")))
    assert statuses(answer) == [("start_export", "ok")]
    task = (await board.told(message))[0]["task_id"]
    await until(lambda: is_done(board, task))


DOORS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a workflow": [("run_job", {"text": "a"})],
    "an effect that goes on": [("slow_effect", {"seconds": 3})],
    "a task": [("start_export", {"seconds": 1})],
    "a read": [("echo", {"text": "a"})],
    "a tool that says its id": [("own_id", {"text": "tell"})],
    "a tool that refuses with its id": [("own_id", {"text": "refuse"})],
    "a tool that fails": [("break_down", {"text": "a"})],
    "a task of nobody": [("check_task", {"task_id": "task_0123456789abcdef"})],
}


@pytest.mark.parametrize("wanted", DOORS.values(), ids=DOORS)
async def test_nothing_that_opens_a_door_is_told(board: Board, wanted: list[tuple[str, dict[str, Any]]]) -> None:
    message = await board.script(calls(*wanted), text("done"))
    reply = await board.restate.call("ToolRouter", "route", {"message": message, "user_id": "user_doors"})
    told = json.dumps([entry for entry in await board.told(message) if wanted[0][0] != "run_job"])
    rows = await board.restate.query("select id, idempotency_key, target_service_key from sys_invocation")
    keys = {key for row in rows for key in row.values() if key and len(key) > 20}
    assert len(keys) > 1
    assert not [key for key in keys if key in reply.text or key in told]
    for task in re.findall(r"task_[0-9a-f]{16}", told):
        for handler in ("slow_effect", "start_export"):
            door = f"{board.restate.ingress_url}/restate/invocation/Examples/{handler}/{task}"
            assert {(await request("GET", f"{door}/{what}")).status_code for what in ("attach", "output")} == {404}


async def look_at(board: Board, task: str, user_id: str) -> dict[str, Any]:
    message = await board.script(calls(("check_task", {"task_id": task})), text("looked"))
    await board.answer(message, user_id)
    return (await board.told(message))[0]


async def state_of(board: Board, task: str, user_id: str) -> str:
    return (await look_at(board, task, user_id))["untrusted_data"]["state"]


async def is_done(board: Board, task: str) -> bool:
    return await state_of(board, task, "user_12345") == "done"


async def assert_unknown_to(board: Board, task: str, user_id: str) -> None:
    assert "no such task" in (await look_at(board, task, user_id))["untrusted_data"]


async def test_a_tool_for_a_role_is_denied_to_others_and_not_shown_to_them(board: Board) -> None:
    message = await board.script(calls(("staff_only", {"text": "a"})), text("no"))
    assert statuses(await board.answer(message)) == [("staff_only", "denied")]
    tools = (await board.conversation(message))["tools"]
    assert "echo" in str(tools)
    assert "staff_only" not in str(tools)


def token(key: str = KEY, **claims: Any) -> str:
    now = int(time.time())
    told = {"sub": "user_t", "aud": "switchboard", "iat": now, "exp": now + 600} | claims
    return jwt.encode(told, key, "HS256")


async def test_a_token_proves_the_caller_and_the_roles(board: Board) -> None:
    message = await board.script(calls(("staff_only", {"text": "a"}), ("who", {})), text("yes"))
    body = {"message": message, "caller_token": token(roles=["staff"])}
    answer = (await board.restate.call("ToolRouter", "route", body)).json()
    assert statuses(answer) == [("staff_only", "ok"), ("who", "ok")]
    assert (await board.told(message))[1]["untrusted_data"]["user_id"] == "user_t"


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (token(iat=1, exp=2), "caller_token_expired"),
        (token(exp=1e30), "caller_token_invalid"),
        (token(iat=time.time(), exp=time.time() + 601), "caller_token_invalid"),
        (token(aud="elsewhere"), "caller_token_invalid"),
        (token(sub=""), "caller_token_invalid"),
        (token(roles="staff"), "caller_token_invalid"),
        (jwt.encode({"sub": "user_t", "aud": "switchboard"}, KEY, "HS256"), "caller_token_invalid"),
        (token("another-secret-of-32-bytes-or-more"), "caller_token_invalid"),
        (jwt.encode({"sub": "user_t", "aud": "switchboard", "exp": 9e9}, "", "none"), "caller_token_invalid"),
        ("not a token", "caller_token_invalid"),
    ],
)
async def test_a_token_that_proves_nothing_is_refused(board: Board, forged: str, code: str) -> None:
    message = await board.script(text("never"))
    reply = await board.restate.call("ToolRouter", "route", {"message": message, "caller_token": forged})
    assert reply.status_code == 401
    assert reply.json()["metadata"] == {"code": code, "field": "caller_token"}
    assert await board.ledger(message) == []


async def test_turns_end_a_run_that_never_answers(board: Board) -> None:
    message = await board.script(*[calls(("echo", {"text": str(n)})) for n in range(9)])
    answer = await board.answer(message)
    assert answer["outcome"] == "turns_exhausted"
    assert len(await board.ledger(message)) == 5
    assert "more steps" in answer["text"]


async def test_calls_beyond_the_budget_are_not_made_and_tickets_are_still_told(board: Board) -> None:
    many = [("echo", {"text": str(n)}) for n in range(1000)]
    answer = await board.answer(await board.script(calls(("run_job", {"text": "a"})), calls(*many)))
    assert answer["outcome"] == "calls_exhausted"
    assert answer["usage"]["calls"] == 1
    assert answer["tickets"] == ["TCK-1"]
    assert "TCK-1" in answer["text"]


async def test_failing_calls_end_a_run_before_its_turns_do(board: Board) -> None:
    bad = calls(("no_such_tool", {}), ("echo", {}))
    answer = await board.answer(message := await board.script(bad, bad, bad, bad))
    assert answer["outcome"] == "errors_exhausted"
    assert len(await board.ledger(message)) == 2


async def test_a_cancelled_run_cancels_its_reads_and_leaves_its_effects_alone(board: Board) -> None:
    message = await board.script(calls(("long_effect", {"seconds": 2}), ("long_read", {"seconds": 50})), text("never"))
    run = await board.start_run(message)
    apart = f"select id from sys_invocation where invoked_by_id = '{run}'"
    started = f"select id, target_handler_name as name from sys_invocation where invoked_by_id in ({apart})"

    async def both() -> list[dict[str, Any]]:
        rows = await board.restate.query(started)
        return rows if len(rows) == 2 else []

    children = {row["name"]: row["id"] for row in await until(both)}
    await request("PATCH", f"{board.restate.admin_url}/invocations/{run}/cancel")
    assert (await board.transcript(run)).status_code == 409
    await board.restate.wait_idle()
    ended = {
        row["id"]: row["completion_result"]
        for row in await board.restate.query("select id, completion_result from sys_invocation")
    }
    assert ended[children["long_effect"]] == "success"
    assert ended[children["long_read"]] == "failure"
    assert len(await board.ledger(message)) == 1
