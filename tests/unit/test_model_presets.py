"""Presets: for each a fake endpoint that refuses what its provider refuses. With the preset nothing is refused.

What they refuse follows public reports: mistral (gptel#1203, crush#279, eca#315, crush#1590), gemini (langroid#969),
deepseek (continue#10193), groq (jan#8136, gptel#774), ollama (pydantic-ai#5206), llama.cpp (lemonade#2691), and the
makers' own references.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts import Caller, Tool
from router.model import Asked, Model
from router.names import Names
from router.offer import Offer
from router.plan import make_plans
from router.presets import PRESETS, Preset, PresetName, preset_for
from router.settings import RouterSettings
from router.transcript import messages
from router.turn import Result, Turn
from runtime.call_tokens import CallSigner
from tests.parts.fake_endpoint import Body, FakeEndpoint, Told, fake_endpoint, refuses, says
from tests.parts.signed import PRIVATE

DOCS = Path(__file__).parents[2] / "docs/models.md"
PARAMETERS = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "maxLength": 4000, "pattern": "[a-z]*", "title": "Query"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
    },
    "additionalProperties": False,
}
OFFERS = {"look_up": Offer(Tool(name="look_up", description="Looks it up.", parameters=PARAMETERS, readonly=True))}
CALLER = Caller(user_id="user_1")
NAMES = Names(CallSigner(SecretStr(PRIVATE)), "inv_1", "help", CALLER)
Rules = Callable[[Body, FakeEndpoint], Iterator[Told]]


def assistants(request: Body) -> list[Body]:
    return [message for message in request["messages"] if message["role"] == "assistant"]


def calls(request: Body) -> list[Body]:
    return [call for message in assistants(request) for call in message.get("tool_calls", ())]


def foreign(request: Body) -> set[str]:
    """Fields of messages and calls that are not OpenAI's."""
    ours = {"role", "content", "tool_calls", "tool_call_id", "id", "type", "function"}
    return {name for part in [*request["messages"], *calls(request)] for name in part} - ours


def bearer(_: Body, fake: FakeEndpoint) -> Iterator[Told]:
    if fake.headers[-1].get("Authorization") != "Bearer key":
        yield refuses(401, "Incorrect API key provided")


def history(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    """What all of them check."""
    for message in request["messages"]:
        if message.get("content") is None and not message.get("tool_calls"):
            yield refuses(400, "invalid message content type: <nil>")
    for call in calls(request):
        if not isinstance(json.loads(call["function"]["arguments"]), dict):
            yield refuses(400, "invalid tool call arguments")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", call["function"]["name"]):
            yield refuses(400, "Invalid 'function.name'")


def no(*names: str) -> Rules:
    def rules(request: Body, _: FakeEndpoint) -> Iterator[Told]:
        for name in names:
            if name in request:
                yield refuses(400, f"Unsupported parameter: '{name}' is not supported with this model.", param=name)

    return rules


def no_foreign(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    for name in foreign(request):
        yield refuses(422, f"Extra inputs are not permitted: {name}")


def azure(_: Body, fake: FakeEndpoint) -> Iterator[Told]:
    if fake.headers[-1].get("api-key") != "key" or "Authorization" in fake.headers[-1]:
        yield refuses(401, "Access denied due to invalid subscription key")
    if "?api-version=20" not in fake.paths[-1]:
        yield refuses(404, "Resource not found")


def gemini(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    if any(call.get("extra_content") != SIGNED["extra_content"] for call in calls(request)):
        yield refuses(400, "Function call is missing a thought_signature in functionCall parts")


def mistral(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    if any(not re.fullmatch("[a-zA-Z0-9]{9}", call["id"]) for call in calls(request)):
        yield refuses(400, "Tool call id must be a-z, A-Z, 0-9, with a length of 9.")
    roles = [message["role"] for message in request["messages"]]
    if ("tool", "user") in pairwise(roles):
        yield refuses(400, "Unexpected role 'user' after role 'tool'")


mistral_fields = no("max_completion_tokens", "stream_options")


def deepseek(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    if any("reasoning_content" not in message for message in assistants(request)):
        yield refuses(400, "Missing `reasoning_content` field in the assistant message at message index 2")


def openrouter(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    if any("reasoning_details" not in message for message in assistants(request)):
        yield refuses(400, "Reasoning is mandatory for this endpoint: reasoning_details")


def anthropic(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    for message in request["messages"]:
        if isinstance(message.get("content"), str) and not message["content"].strip():
            yield refuses(400, "messages: text content blocks must contain non-whitespace text")


def tool_choice(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    """llama-cpp-python drops tools without it; a server is right to wait for it."""
    if request.get("tools") and request.get("tool_choice") not in ("auto", "none"):
        yield refuses(400, "tool_choice is required")


def grammar(request: Body, _: FakeEndpoint) -> Iterator[Told]:
    schemas = json.dumps(request.get("tools", []))
    if any(int(bound) >= 2000 for bound in re.findall(r'"max(?:Length|Items)": (\d+)', schemas)):
        yield refuses(400, "Failed to initialize samplers: failed to parse grammar")
    if any(not re.fullmatch(r"\^.*\$", pattern) for pattern in re.findall(r'"pattern": "([^"]*)"', schemas)):
        yield refuses(400, "JSON schema conversion failed: Pattern must start with '^' and end with '$'")


DETAILS = {"reasoning_details": [{"type": "reasoning.text", "text": "I look."}]}
SIGNED = {"extra_content": {"google": {"thought_signature": "sig=="}}}
REASONED = {"reasoning_content": "I look."}
ENDPOINTS: dict[PresetName, tuple[list[Rules], dict[str, Any], str, dict[str, Any]]] = {
    "openai": ([bearer, no("max_tokens", "temperature"), no_foreign], {}, "call_abc123", REASONED),
    "azure": ([azure, no("max_tokens", "temperature"), no_foreign], {}, "call_abc123", {}),
    "gemini": ([bearer, gemini], SIGNED, "", {}),
    "mistral": (
        [bearer, mistral, no("max_completion_tokens", "stream_options"), no_foreign],
        {},
        "D681PevKs",
        REASONED,
    ),
    "deepseek": ([bearer, deepseek, no("max_completion_tokens")], {}, "call_0_1", REASONED),
    "groq": ([bearer, no("max_tokens"), no_foreign], {}, "fc_1", {"reasoning": "I look.", **REASONED}),
    "openrouter": (
        [bearer, openrouter],
        {},
        "call_1",
        {"reasoning_details": [{"type": "reasoning.text", "text": "x"}]},
    ),
    "anthropic": ([bearer, anthropic], {}, "toolu_01", {"content": "\n\n"}),
    "ollama": ([tool_choice, no("max_completion_tokens")], {}, "call_1", REASONED),
    "vllm": ([tool_choice, no("max_completion_tokens")], {}, "chatcmpl-tool-1", REASONED),
    "llamacpp": ([tool_choice, grammar, no("max_completion_tokens")], {}, "", {}),
}
"""What each refuses; what its calls hold beside OpenAI's fields, their id, and what its messages hold."""


@pytest.mark.parametrize("arguments", ["{}", "", " \n", '"{}"', "Here: {}"])
@pytest.mark.parametrize("name", PRESETS)
async def test_with_its_preset_an_endpoint_has_nothing_to_refuse(name: PresetName, arguments: str) -> None:
    rules, call_fields, call_id, fields = ENDPOINTS[name]

    def answer(request: Body) -> Told:
        for rule in [*rules, history]:
            for refusal in rule(request, fake):
                return refusal
        if calls(request):
            return says()
        call = {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": arguments}}
        return says(None, "tool_calls", **({"tool_calls": [call | call_fields]} | fields))

    for streamed in (False, True):
        async with fake_endpoint(answer) as fake:
            model = Model(settings(name, fake.url, openai_stream=streamed))
            assert await two_turns(model) == "done"
            await model.close()
        assert len(fake.requests) == 2


def settings(name: PresetName, url: str, **more: Any) -> RouterSettings:
    told = {"openai_preset": name, "openai_base_url": url, "openai_api_key": "key", "trust_user_id": True}
    return RouterSettings.model_validate(told | {"call_key": PRIVATE} | more)


async def two_turns(model: Model) -> str:
    """A call, its result, and then the answer."""
    turns: list[Turn] = []
    results: list[list[Result]] = []

    def chat(endpoint: str) -> Any:
        return messages("Be kind.", "Is there an outage?", turns, results, endpoint)

    asked = Asked(chat, [OFFERS["look_up"].for_model], OFFERS.keys())
    reply = await model.answer(asked, 5)
    plans = make_plans([], reply.calls, OFFERS, CALLER, NAMES, 10)
    turns.append(Turn(text=reply.text, plans=plans, foreign=reply.foreign, endpoint=reply.endpoint))
    results.append([Result(call_id=plan.call_id, tool=plan.tool, status="ok", content="{}") for plan in plans])
    return (await model.answer(asked, 5)).text


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.base_url])
def test_a_preset_is_known_by_its_address(name: PresetName) -> None:
    assert preset_for(None, PRESETS[name].base_url) is PRESETS[name]
    assert settings_at_home(name).openai_base_url == PRESETS[name].base_url


def settings_at_home(name: PresetName) -> RouterSettings:
    return RouterSettings.model_validate({"openai_preset": name, "trust_user_id": True, "call_key": PRIVATE})


@pytest.mark.parametrize("name", PRESETS)
def test_the_table_in_the_docs_tells_what_a_preset_sets(name: PresetName) -> None:
    preset = PRESETS[name]
    row = next(line for line in DOCS.read_text().splitlines() if line.startswith("| `") and f"`{name}`" in line)
    told = [*preset.hosts[:1], preset.key_header, *(f"{key}={value}" for key, value in preset.query.items())]
    told += [f"`{preset.limit}`"] if preset.limit != Preset().limit else []
    told += [str(preset.port)] if preset.port else []
    told += [] if preset.stream_usage else ["no `stream_options`"]
    assert [words for words in told if words not in row] == []
    assert preset.foreign or re.search(r"no (unknown )?fields|no reasoning goes back", row)
