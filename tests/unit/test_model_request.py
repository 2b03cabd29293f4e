"""What an endpoint is asked: fitted to what it takes, and remembered."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from contracts import Tool
from router.model import Asked, Model, ModelFault
from router.offer import Offer
from router.settings import RouterSettings
from router.transcript import Chat
from tests.parts.fake_endpoint import Body, FakeEndpoint, Told, fake_endpoint, refuses, says
from tests.parts.signed import PRIVATE

PARAMETERS = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to say.", "pattern": "^[a-z]+$", "maxLength": 500},
        "mood": {"anyOf": [{"$ref": "#/$defs/Mood"}, {"type": "null"}], "default": None},
    },
    "$defs": {"Mood": {"type": "string", "enum": ["glad", "sad"]}},
    "additionalProperties": False,
}
TOOL = Offer(Tool(name="say", description="Says something.", parameters=PARAMETERS))
CHAT: Chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Is there an outage?"}]


def settings(url: str, **more: Any) -> RouterSettings:
    told = {"openai_base_url": url, "openai_model": "m", "openai_api_key": "key-of-mine", "trust_user_id": True}
    return RouterSettings.model_validate(told | {"call_key": PRIVATE} | more)


def asked(chat: Chat = CHAT, *, tools: bool = True, may_call: bool = True) -> Asked:
    return Asked(lambda _: chat, [TOOL.for_model] if tools else [], {"say"}, may_call=may_call)


@asynccontextmanager
async def model_at(answer: Callable[[Body], Told], **more: Any) -> AsyncGenerator[tuple[Model, FakeEndpoint]]:
    async with fake_endpoint(answer) as fake:
        model = Model(settings(fake.url, **more))
        try:
            yield model, fake
        finally:
            await model.close()


# --- what is sent without and with settings ------------------------------------------------------------------------


async def test_nothing_is_sent_that_is_not_set() -> None:
    async with model_at(lambda _: says()) as (model, fake):
        await model.answer(asked(), 5)
    assert fake.requests[0].keys() == {"model", "messages", "stream", "max_tokens", "tools", "tool_choice"}
    assert (fake.requests[0]["stream"], fake.requests[0]["tool_choice"]) == (False, "auto")


@pytest.mark.parametrize(
    ("setting", "value", "sent"),
    [
        ("openai_temperature", 0.7, {"temperature": 0.7}),
        ("openai_max_output_tokens", 50, {"max_tokens": 50}),
        ("openai_reasoning_effort", "low", {"reasoning_effort": "low"}),
        ("openai_parallel_tool_calls", False, {"parallel_tool_calls": False}),
        ("openai_extra_body", {"top_k": 3, "stream": False}, {"top_k": 3, "stream": False}),
    ],
)
async def test_what_is_set_is_sent(setting: str, value: Any, sent: Body) -> None:
    async with model_at(lambda _: says(), **{setting: value}) as (model, fake):
        await model.answer(asked(), 5)
    assert sent.items() <= fake.requests[0].items()


async def test_query_and_headers_go_with_each_request() -> None:
    more = {"openai_extra_query": {"api-version": "1"}, "openai_extra_headers": {"x-team": "support"}}
    async with model_at(lambda _: says(), **more) as (model, fake):
        await model.answer(asked(), 5)
    assert fake.paths == ["/v1/chat/completions?api-version=1"]
    assert fake.headers[0]["x-team"] == "support"
    assert fake.headers[0]["Authorization"] == "Bearer key-of-mine"


async def test_a_preset_brings_limit_query_and_the_place_of_the_key() -> None:
    async with model_at(lambda _: says(), openai_preset="azure") as (model, fake):
        await model.answer(asked(), 5)
    assert "max_completion_tokens" in fake.requests[0]
    assert fake.paths[0].endswith("?api-version=2024-10-21")
    assert (fake.headers[0]["api-key"], "Authorization" in fake.headers[0]) == ("key-of-mine", False)


async def test_without_tools_nothing_is_said_about_them() -> None:
    async with model_at(lambda _: says(), openai_parallel_tool_calls=True) as (model, fake):
        await model.answer(asked(tools=False), 5)
    assert not fake.requests[0].keys() & {"tools", "tool_choice", "parallel_tool_calls"}


async def test_a_turn_that_must_answer_may_not_call() -> None:
    async with model_at(lambda _: says()) as (model, fake):
        await model.answer(asked(may_call=False), 5)
    assert fake.requests[0]["tool_choice"] == "none"


# --- what a refusal teaches ----------------------------------------------------------------------------------------


def refuse(parameter: str, message: str, **error: Any) -> Callable[[Body], Told]:
    return lambda request: refuses(400, message, **error) if parameter in json.dumps(request) else says()


REFUSED_PARTS: list[tuple[str, dict[str, Any], Callable[[Body], Told]]] = [
    (
        "temperature by its field",
        {"openai_temperature": 0.2},
        refuse('"temperature"', "Unsupported value.", param="temperature", code="unsupported_value"),
    ),
    (
        "temperature by its message",
        {"openai_temperature": 0.2},
        refuse('"temperature"', "'temperature' does not support 0.2 with this model."),
    ),
    ("the word for the limit", {}, refuse('"max_tokens"', "Use 'max_completion_tokens' instead of 'max_tokens'.")),
    ("the other word", {"openai_preset": "groq"}, refuse('"max_completion_tokens"', "property max_completion_tokens?")),
    (
        "parallel_tool_calls",
        {"openai_parallel_tool_calls": True},
        refuse('"parallel_tool_calls"', "Unrecognized request argument supplied: parallel_tool_calls"),
    ),
    ("tool_choice", {}, refuse('"tool_choice"', '"auto" tool choice requires --enable-auto-tool-choice: tool_choice')),
    ("a pattern", {}, refuse('"pattern"', "JSON schema conversion failed: lookahead")),
    ("references", {}, refuse('"$ref"', 'Invalid JSON payload. Unknown name "$ref" at tools[0].function_declarations')),
    ("a bound", {}, refuse('"maxLength"', "Failed to initialize samplers: failed to parse grammar")),
    ("an extra field of ours", {"openai_extra_body": {"top_k": 3}}, refuse('"top_k"', "unexpected: 'top_k'")),
]


@pytest.mark.parametrize(("more", "answer"), [row[1:] for row in REFUSED_PARTS], ids=[row[0] for row in REFUSED_PARTS])
async def test_what_is_refused_is_left_out_at_once_and_from_then_on(
    more: dict[str, Any], answer: Callable[[Body], Told]
) -> None:
    async with model_at(answer, **more) as (model, fake):
        assert (await model.answer(asked(), 5)).text == "done"
        first = len(fake.requests)
        assert first <= 3
        await model.answer(asked(), 5)
    assert len(fake.requests) == first + 1


async def test_a_value_that_the_endpoint_asks_for_is_set() -> None:
    def answer(request: Body) -> Told:
        if request.get("reasoning_effort") != "none":
            return refuses(400, "Function tools need more. Set reasoning_effort to 'none'.", param="reasoning_effort")
        return says()

    async with model_at(answer) as (model, fake):
        assert (await model.answer(asked(), 5)).text == "done"
    assert len(fake.requests) == 2


async def test_a_refusal_that_nothing_mends_is_asked_once() -> None:
    async with model_at(lambda _: refuses(400, "You are holding it wrong.")) as (model, fake):
        with pytest.raises(ModelFault) as fault:
            await model.answer(asked(), 5)
    assert fault.value.outcome == "model_misconfigured"
    assert len(fake.requests) == 1


async def test_no_log_line_of_a_refusal_repeats_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    chat: Chat = [*CHAT, {"role": "tool", "tool_call_id": "x", "content": '{"plan": "Platinum-4711"}'}]

    def answer(request: Body) -> Told:
        sent = " ".join(str(message["content"]) for message in request["messages"])
        return refuses(400, f"Bad input: {sent} with key-of-mine-and-more", code="bad", param="messages[1]")

    async with model_at(answer) as (model, _):
        with pytest.raises(ModelFault):
            await model.answer(asked(chat), 5)
    line = next(vars(record) for record in caplog.records if record.message == "model_refused")
    assert (line["status"], line["code"], line["param"]) == (400, "bad", "messages[1]")
    assert line["said"].startswith("Bad input: ")
    for canary in ("outage", "kind", "Platinum", "4711", "of-mine"):
        assert canary not in str(line)


async def test_fields_that_are_not_taken_back_are_left_out() -> None:
    chat: Chat = [*CHAT, {"role": "assistant", "content": "Hm.", "reasoning_content": "thinking"}]
    answer = refuse("reasoning_content", "Extra inputs are not permitted: reasoning_content")
    async with model_at(answer) as (model, fake):
        assert (await model.answer(asked(chat), 5)).text == "done"
    assert fake.requests[1]["messages"][-1] == {"role": "assistant", "content": "Hm."}


# --- settings that cannot contradict each other --------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        {"openai_timeout": 130},
        {"openai_timeout": 20, "openai_first_byte_timeout": 30},
        {"openai_timeout": 5, "openai_connect_timeout": 6},
        {"openai_first_byte_timeout": 5, "openai_connect_timeout": 6},
    ],
)
def test_times_that_contradict_each_other_are_refused_by_name(told: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="is longer than"):
        settings("http://x/v1", max_seconds=120, **told)


@pytest.mark.parametrize(
    ("told", "times"),
    [
        ({}, (10, 90, 90)),
        ({"max_seconds": 4}, (4, 4, 4)),
        ({"openai_timeout": 30}, (10, 30, 30)),
        ({"openai_first_byte_timeout": 20, "max_seconds": 15}, (10, 15, 15)),
    ],
)
def test_times_that_are_not_set_follow_from_those_that_are(told: dict[str, float], times: tuple[float, ...]) -> None:
    assert settings("http://x/v1", **told).model_timeouts == times
