"""Replies of a model: every shape is either a clean `Reply` or worth another try."""

import json
from typing import Any

import pytest
from restate.exceptions import RetryableError

from router.model.reply import MAX_REPLY_BYTES, read_reply
from router.transcript import ASK_AGAIN


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


@pytest.mark.parametrize("more", [{}, {"message": None}, {"content_filter_results": {"hate": {"filtered": True}}}])
def test_a_filtered_reply_without_a_message_is_a_polite_end(more: dict[str, Any]) -> None:
    reply = {"choices": [{"index": 0, "finish_reason": "content_filter"} | more], "usage": {"completion_tokens": 19}}
    read = read_reply(json.dumps(reply).encode())
    assert "cannot help" in read.text
    assert read.completion_tokens == 19


def test_an_unknown_finish_reason_with_content_is_a_stop() -> None:
    assert read_reply(body({"content": "done"}, finish="made_up")).text == "done"


def test_calls_count_even_when_the_model_says_stop() -> None:
    assert read_reply(body(call(name="say", arguments="{}"))).calls[0].name == "say"


def test_a_call_without_a_name_is_left_for_the_plan_to_refuse() -> None:
    assert read_reply(body(call(name=None, arguments="{}"))).calls[0].name == ""


def test_nul_and_lone_surrogates_are_scrubbed() -> None:
    assert read_reply(body({"content": "a\0b\ud800c"})).text == "ab?c"


def test_tokens_are_estimated_where_the_server_does_not_count() -> None:
    assert read_reply(body({"content": "x" * 400})).completion_tokens > 100
    counted = read_reply(body({"content": "x"}, usage={"prompt_tokens": 7, "completion_tokens": 2}))
    assert (counted.prompt_tokens, counted.completion_tokens) == (7, 2)


def say(name: str = "look_up", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}} | more


def stream(*events: Any, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


# --- a paid reply that is usable is used ---------------------------------------------------------------------------

WHOLE = body({"content": "done"})
USABLE = {
    "a byte order mark": b"\xef\xbb\xbf" + WHOLE,
    "white space before it": b"  \n \r\n" + WHOLE,
    "comments before it": b": KEEPALIVE\n\n: KEEPALIVE\n" + WHOLE,
    "a part": body({"content": [{"type": "text", "text": "done"}]}),
    "several parts": body({"content": [{"type": "text", "text": "do"}, {"type": "text", "text": "ne"}]}),
    "a part of thinking": body({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "done"}]}),
    "parts that are strings": body({"content": ["do", "ne"]}),
    "no role, no finish": b'{"choices": [{"message": {"content": "done"}}]}',
    "a finish of its own": body({"content": "done"}, finish="end_turn"),
    "a stream": stream(delta(role="assistant", content="do"), delta(content="ne"), delta("stop")),
    "a stream without an end mark": stream(delta(content="done"), delta("stop"), done=False),
    "a stream with comments": b": hello\n\n" + stream(delta(content="done"), delta("stop")),
    "a stream of the whole message": stream({"choices": [{"index": 0, "message": {"content": "done"}}]}),
    "usage without numbers": body({"content": "done"}, usage={"prompt_tokens": None, "completion_tokens": None}),
    "usage of another kind": body({"content": "done"}, usage="many"),
    "text in the second choice": b'{"choices": [{"message": {"content": ""}}, {"message": {"content": "done"}}]}',
}


@pytest.mark.parametrize("reply", USABLE.values(), ids=USABLE.keys())
def test_a_paid_reply_that_is_usable_is_used(reply: bytes) -> None:
    read = read_reply(reply)
    assert (read.text, read.again, read.calls) == ("done", "", [])


CALLED = {
    "as it should be": body({"content": None, "tool_calls": [say()]}),
    "an object as arguments": body({"content": None, "tool_calls": [say(arguments={})]}),
    "the legacy field": body({"content": None, "function_call": {"name": "look_up", "arguments": "{}"}}),
    "one call, no list": body({"content": None, "tool_calls": say()}),
    "name and arguments beside each other": body(
        {"content": None, "tool_calls": [{"name": "look_up", "arguments": {}}]}
    ),
    "in another choice": json.dumps(
        {"choices": [{"message": {"content": "I look."}}, {"message": {"content": None, "tool_calls": [say()]}}]}
    ).encode(),
    "made-up parallel": body(
        {
            "content": None,
            "tool_calls": [
                say(
                    "multi_tool_use.parallel",
                    '{"tool_uses": [{"recipient_name": "functions.look_up", "parameters": {}}]}',
                )
            ],
        }
    ),
    "a stream": stream(
        delta(tool_calls=[{"index": 0, "id": "x", "function": {"name": "look_up", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "}"}}]),
        delta("tool_calls"),
    ),
    "a stream without indexes": stream(
        delta(tool_calls=[{"id": "x", "function": {"name": "look_up", "arguments": "{"}}]),
        delta(tool_calls=[{"function": {"arguments": "}"}}]),
        delta("tool_calls"),
    ),
}


@pytest.mark.parametrize("reply", CALLED.values(), ids=CALLED.keys())
def test_a_call_is_read_wherever_it_stands(reply: bytes) -> None:
    assert [(call.name, call.arguments) for call in read_reply(reply).calls] == [("look_up", "{}")]


def test_calls_of_a_stream_are_told_apart_by_index_and_by_id() -> None:
    parts = [{"index": 0, "id": "a", "function": {"name": "one", "arguments": "{}"}}]
    more = [{"index": 1, "id": "b", "function": {"name": "two", "arguments": "{}"}}]
    assert [call.id for call in read_reply(stream(delta(tool_calls=parts + more), delta("stop"))).calls] == ["a", "b"]
    unnumbered = [{key: value for key, value in part.items() if key != "index"} for part in parts + more]
    assert [call.id for call in read_reply(stream(delta(tool_calls=unnumbered), delta("stop"))).calls] == ["a", "b"]


def test_what_an_endpoint_adds_is_kept_within_bounds() -> None:
    signed = say(extra_content={"google": {"thought_signature": "sig"}})
    reply = read_reply(body({"content": None, "tool_calls": [signed], "reasoning_content": "hm", "huge": "x" * 99_999}))
    assert reply.calls[0].foreign == {"extra_content": {"google": {"thought_signature": "sig"}}}
    assert reply.foreign == {"reasoning_content": "hm"}


# --- thinking, channel markers and calls written as text never reach a customer ------------------------------------

THOUGHT = {
    "a block": "<think>secret</think>done",
    "a block of another name": "<thinking>\nsecret\n</thinking>\n\ndone",
    "only its end": "secret\n</think>\ndone",
    "two blocks": "<think>secret</think>do<think>secret</think>ne",
    "brackets": "[THINK]secret[/THINK]done",
    "channels": "<|channel|>analysis<|message|>secret<|end|><|start|>x<|channel|>final<|message|>done<|return|>",
    "an end mark": "done<|im_end|>",
    "thinking not ended": "done<think>secret",
    "a template's tools": '<tools>\n{"name": "look_up"}\n</tools>\ndone',
    "a template's tag": "<tools>\ndone",
    "a result made up": "done\n<tool_response>\nsecret\n</tool_response>",
    "brackets of a template": "[AVAILABLE_TOOLS]secret[/AVAILABLE_TOOLS]done",
    "the beginning of a turn": "<start_of_turn>done",
    "our own words, repeated": f"{ASK_AGAIN['cut']}\n\ndone",
}


@pytest.mark.parametrize("text", THOUGHT.values(), ids=THOUGHT.keys())
def test_thinking_and_markers_are_left_out(text: str) -> None:
    assert read_reply(body({"content": text})).text == "done"


ONLY_THOUGHT = ("<think>secret</think>", "<think>secret", "secret</think>", "<|channel|>analysis<|message|>secret")


@pytest.mark.parametrize("text", ONLY_THOUGHT)
def test_thinking_alone_is_an_empty_reply(text: str) -> None:
    read = read_reply(body({"content": text}))
    assert (read.text, read.again) == ("", "empty")


WRITTEN = {
    "JSON": '{"name": "look_up", "arguments": {"query": "x"}}',
    "JSON with other words": '{"tool": "look_up", "tool_input": {"query": "x"}}',
    "a list": '[{"name": "look_up", "parameters": {"query": "x"}}]',
    "as on the wire": '{"tool_calls": [{"function": {"name": "look_up", "arguments": "{\\"query\\": \\"x\\"}"}}]}',
    "fenced": '```json\n{"name": "look_up", "arguments": {"query": "x"}}\n```',
    "after words": 'I will look.\n{"name": "look_up", "arguments": {"query": "x"}}',
    "a tag": '<tool_call>\n{"name": "look_up", "arguments": {"query": "x"}}\n</tool_call>',
    "a tag not closed": '<tool_call>{"name": "look_up", "arguments": {"query": "x"}}',
    "a function": '<function=look_up>{"query": "x"}</function>',
    "parameters": "<tool_call><function=look_up><parameter=query>\nx\n</parameter></function></tool_call>",
    "keys and values": "<tool_call>look_up\n<arg_key>query</arg_key>\n<arg_value>x</arg_value></tool_call>",
    "a mark before a list": '[TOOL_CALLS][{"name": "look_up", "arguments": {"query": "x"}}]',
    "a mark before a name": '[TOOL_CALLS]look_up[ARGS]{"query": "x"}',
    "a python tag": '<|python_tag|>{"name": "look_up", "parameters": {"query": "x"}}',
    "python": '[look_up(query="x")]',
    "a channel": '<|channel|>commentary to=functions.look_up <|constrain|>json<|message|>{"query": "x"}<|call|>',
    "after thinking": '<think>hm</think><tool_call>{"name": "look_up", "arguments": {"query": "x"}}</tool_call>',
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_call_written_as_text_is_read_as_a_call(text: str) -> None:
    read = read_reply(body({"content": text}), {"look_up"})
    assert [(call.name, json.loads(call.arguments)) for call in read.calls] == [("look_up", {"query": "x"})]
    assert read.text in ("", "I will look.")


@pytest.mark.parametrize("text", ["<tool_call>look_up please</tool_call>", "<function=look_up>{broken</function>"])
def test_a_call_that_cannot_be_read_is_asked_for_again(text: str) -> None:
    read = read_reply(body({"content": text}), {"look_up"})
    assert (read.text, read.calls, read.again) == ("", [], "bad_call")


ANSWERS = (
    'Send {"name": "Ann", "arguments": []} to the API.',
    '```json\n{"name": "your_app", "parameters": {}}\n```',
    "Use look_up(query) in your code.",
    "a < b and [x] (y) {z}",
    "<b>bold</b>",
)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_only_looks_like_a_call_stays_as_it_is(text: str) -> None:
    read = read_reply(body({"content": text}), {"look_up"})
    assert (read.text, read.calls) == (text, [])


# --- half a reply is no reply --------------------------------------------------------------------------------------


@pytest.mark.parametrize("finish", ["error", "network_error", "insufficient_system_resource", "abort"])
def test_a_reply_that_broke_off_is_asked_for_again(finish: str) -> None:
    for message in ({"content": "half"}, {"content": None, "tool_calls": [say()]}):
        with pytest.raises(RetryableError):
            read_reply(body(message, finish=finish))


def test_a_stream_that_broke_off_is_asked_for_again() -> None:
    with pytest.raises(RetryableError):
        read_reply(stream(delta(content="half"), done=False))


@pytest.mark.parametrize(
    ("message", "again", "text"),
    [
        ({"content": "half"}, "cut", "half"),
        ({"content": ""}, "spent", ""),
        ({"content": "<think>long"}, "spent", ""),
        ({"content": None, "tool_calls": [say()]}, "half_call", ""),
        ({"content": '<tool_call>{"name": "look_up", "arg'}, "half_call", ""),
    ],
)
def test_a_reply_at_its_length_limit_makes_no_call(message: dict[str, Any], again: str, text: str) -> None:
    read = read_reply(body(message, finish="length"))
    assert (read.again, read.text, read.calls) == (again, text, [])


@pytest.mark.parametrize(
    "message", [{"content": None}, {"content": ""}, {"content": " \n"}, {"content": []}, {"tool_calls": []}]
)
def test_an_empty_reply_is_paid_and_asked_for_in_other_words(message: dict[str, Any]) -> None:
    read = read_reply(body(message, usage={"prompt_tokens": 7, "completion_tokens": 2}))
    assert (read.again, read.prompt_tokens, read.completion_tokens) == ("empty", 7, 2)
