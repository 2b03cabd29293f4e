"""Replies of a model: every shape is either a clean `Reply` or worth another try."""

import json
from typing import Any

import pytest
from restate.exceptions import RetryableError

from router.model.reply import MAX_REPLY_BYTES, read_reply


def body(message: Any, finish: Any = "stop", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}]} | more).encode()


def call(**function: Any) -> dict[str, Any]:
    return {"content": None, "tool_calls": [{"id": None, "function": function}]}


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"<html>",
        b'{"choices": [',
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"error": {"message": "no"}}',
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        body({"content": None}),
        body({"content": ""}),
        body({"content": ["a"]}),
        body({"content": None, "tool_calls": []}),
        body({"content": None, "tool_calls": [{}]}),
        body({"content": None}, finish="made_up"),
        body({"content": "x" * MAX_REPLY_BYTES}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_asked_for_again(reply: bytes) -> None:
    with pytest.raises(RetryableError):
        read_reply(reply)


def test_a_refusal_is_a_polite_end() -> None:
    assert read_reply(body({"content": None, "refusal": "I must not."})).text == "I must not."
    filtered = read_reply(body({"content": None}, finish="content_filter"))
    assert "cannot help" in filtered.text
    assert filtered.calls == []


def test_a_message_that_was_cut_says_so() -> None:
    assert read_reply(body({"content": "half"}, finish="length")).cut


def test_an_unknown_finish_reason_with_content_is_a_stop() -> None:
    assert read_reply(body({"content": "done"}, finish="made_up")).text == "done"


def test_calls_count_even_when_the_model_says_stop() -> None:
    assert read_reply(body(call(name="say", arguments="{}"))).calls[0].name == "say"


def test_a_call_without_a_name_is_left_for_the_plan_to_refuse() -> None:
    assert read_reply(body(call(name=None, arguments="{}"))).calls[0].name == ""


def test_arguments_that_are_no_string_are_a_problem_to_tell() -> None:
    assert "string" in (read_reply(body(call(name="say", arguments={"a": 1}))).calls[0].problem or "")


def test_nul_and_lone_surrogates_are_scrubbed() -> None:
    assert read_reply(body({"content": "a\0b\ud800c"})).text == "ab?c"


def test_tokens_are_estimated_where_the_server_does_not_count() -> None:
    assert read_reply(body({"content": "x" * 400})).completion_tokens > 100
    counted = read_reply(body({"content": "x"}, usage={"prompt_tokens": 7, "completion_tokens": 2}))
    assert (counted.prompt_tokens, counted.completion_tokens) == (7, 2)
