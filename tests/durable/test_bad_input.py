"""Bad input at the agent's handler: a clear 4xx at once, nothing echoed, nothing retried, nothing left running."""

import json
from typing import Any

import pytest

from tests.parts.board import Board, text

CANARY = "canary-5f1c"


def question(**fields: Any) -> bytes:
    return json.dumps({"message": "hello", "user_id": "user_12345"} | fields).encode()


BAD: dict[str, tuple[bytes, int, str]] = {
    "not_json": (b"{" + CANARY.encode(), 400, "invalid_json"),
    "truncated": (b'{"message": "' + CANARY.encode(), 400, "invalid_json"),
    "bom": (b"\xef\xbb\xbf" + question(), 400, "invalid_json"),
    "gzip": (b"\x1f\x8b\x08\x00abc", 400, "invalid_json"),
    "bad_utf8": (b'{"message": "\xff\xfe"}', 400, "invalid_json"),
    "lone_surrogate": (b'{"message": "\\ud800 ' + CANARY.encode() + b'", "user_id": "u"}', 400, "invalid_json"),
    "nul": (b'{"message": "a\\u0000 ' + CANARY.encode() + b'", "user_id": "u"}', 422, "invalid_text"),
    "null": (b"null", 422, "invalid_request"),
    "array": (b'["canary-5f1c"]', 422, "invalid_request"),
    "scalar": (b'"canary-5f1c"', 422, "invalid_request"),
    "nan": (b'{"message": NaN, "user_id": "u"}', 422, "invalid_request"),
    "deep": (b"[" * 20_000, 400, "invalid_json"),
    "nested_450_deep": (question(x=json.loads("[" * 450 + '"canary-5f1c"' + "]" * 450)), 400, "too_deep"),
    "nested_33_deep_with_an_escape": (
        b'{"message": "\\u0041hi", "user_id": "u", "x": ' + b"[" * 32 + b"]" * 32 + b"}",
        400,
        "too_deep",
    ),
    "long_integer": (b'{"message": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
    "duplicate_key": (b'{"message": "a", "message": "canary-5f1c", "user_id": "u"}', 400, "duplicate_key"),
    "no_message": (b'{"user_id": "u"}', 422, "invalid_request"),
    "empty_message": (question(message=""), 422, "invalid_request"),
    "blank_message": (question(message="  \n "), 422, "invalid_request"),
    "wrong_type": (question(message={"text": CANARY}), 422, "invalid_request"),
    "long_message": (question(message=CANARY * 1000), 422, "invalid_request"),
    "large_message": (question(message=CANARY * 95_000), 413, "too_large"),
    "unknown_field": (question(**{CANARY: 1}), 422, "invalid_request"),
    "user_id_with_quotes": (question(user_id="'; drop table canary-5f1c --"), 422, "invalid_request"),
    "user_id_of_another_type": (question(user_id=12345), 422, "invalid_request"),
    "nobody": (b'{"message": "hello"}', 401, "caller_unknown"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_question_gets_a_clear_4xx_at_once(board: Board, name: str) -> None:
    body, status, code = BAD[name]
    reply = await board.restate.call(
        "ToolRouter", "route", body, headers={"Content-Type": "application/json"}, seconds=5
    )
    assert reply.status_code == status, reply.text
    assert reply.json()["metadata"]["code"] == code
    assert CANARY not in reply.text
    assert "Traceback" not in reply.text
    assert "/" not in reply.json()["message"].replace("application/json", "")
    (row,) = await board.restate.query(
        f"select status, retry_count from sys_invocation where id = '{reply.headers['x-restate-id']}'"
    )
    assert row["status"] == "completed"
    assert row.get("retry_count", 0) <= 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_body_at_all_is_refused_and_not_retried(board: Board, method: str) -> None:
    from tests.parts.restate import request

    url = f"{board.restate.ingress_url}/restate/call/ToolRouter/route"
    reply = await request(method, url, seconds=20)
    assert reply.status_code == 400
    await board.restate.wait_idle()


async def test_the_older_path_answers_alike(board: Board) -> None:
    from tests.parts.restate import request

    message = await board.script(text("yes"))
    reply = await request(
        "POST", f"{board.restate.ingress_url}/ToolRouter/route", {"message": message, "user_id": "user_12345"}
    )
    assert reply.json()["text"] == "yes"


@pytest.mark.parametrize(("target", "handler"), [("RouterTasks/u", "check"), ("Examples", "echo")])
async def test_only_the_agent_is_reachable_from_outside(board: Board, target: str, handler: str) -> None:
    reply = await board.restate.call(target, handler, {"text": "a"})
    assert reply.status_code == 400
    assert "not public" in reply.text


async def test_the_schema_brings_an_example_that_answers(board: Board) -> None:
    from tests.parts.restate import request

    handler = (await request("GET", f"{board.restate.admin_url}/services/ToolRouter/handlers/route")).json()
    (example,) = handler["input_json_schema"]["examples"]
    assert example["user_id"] == "user_12345"
    assert (await board.restate.call("ToolRouter", "route", example)).json()["outcome"] == "answered"


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_body_of_31_mb_is_refused_before_anything_of_it_is_kept(board: Board) -> None:
    query = "select id from sys_invocation where target_service_name = 'ToolRouter'"
    before = len(await board.restate.query(query))
    reply = await board.restate.call("ToolRouter", "route", question(message="x" * 31_000_000))
    assert reply.status_code == 413
    assert len(await board.restate.query(query)) == before
