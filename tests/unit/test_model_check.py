"""The check at start: one request, and what it shows is said with the setting that mends it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from contracts import Catalogue, Tool
from router.catalogue import Offers
from router.check import checking, is_wanted
from router.model import Model, is_own
from router.model.check import judged
from router.prompt import read_prompt
from router.settings import PROMPT, RouterSettings
from tests.parts.fake_endpoint import Body, FakeEndpoint, Told, fake_endpoint, refuses, says
from tests.parts.signed import PRIVATE

TOOLS = [Tool(name=f"tool_{n}", description="Says what there is to say of it. " * 9, parameters={}) for n in range(8)]


def settings(url: str, **more: Any) -> RouterSettings:
    told = {"openai_base_url": url, "openai_model": "m", "openai_api_key": "key-of-mine", "trust_user_id": True}
    return RouterSettings.model_validate(told | {"call_key": PRIVATE} | more)


def reads(tokens: int) -> Told:
    told = says("H", finish="length")
    told.body["usage"] = {"prompt_tokens": tokens, "completion_tokens": 1}
    return told


async def found(
    answer: Callable[[Body], Told], caplog: pytest.LogCaptureFixture, endpoints: int = 1, **more: Any
) -> tuple[list[dict[str, Any]], FakeEndpoint]:
    """The lines about what was found, and the endpoint with what it was asked."""
    caplog.set_level("INFO")
    async with fake_endpoint(answer) as fake:
        told = settings(fake.url, **more)
        model, offers = Model(told), Offers()
        async with checking(model, offers, read_prompt(PROMPT), told), asyncio.timeout(30):
            offers.replace(Catalogue(tools=TOOLS, switched_off=[]))
            while len(lines := said("model_checked", caplog)) < endpoints:
                await asyncio.sleep(0.01)
        await model.close()
    return lines, fake


def said(event: str, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == event]


async def test_it_asks_once_with_prompt_and_catalogue_for_one_token(caplog: pytest.LogCaptureFixture) -> None:
    (line,), fake = await found(lambda _: reads(1500), caplog)
    (asked,) = fake.requests
    assert [tool["function"]["name"] for tool in asked["tools"]] == [tool.name for tool in TOOLS]
    assert asked["messages"][0] == {"role": "system", "content": read_prompt(PROMPT).text}
    assert asked["max_tokens"] == 1
    assert (line["found"], line["prompt_tokens"], line["levelname"], line["left"]) == ("fit", 1500, "INFO", 0)


FOUND: dict[str, tuple[Callable[[Body], Told], dict[str, Any], str, str]] = {
    "tools are dropped": (lambda _: reads(229), {}, "tools_dropped", "OPENAI_MODEL"),
    "nothing is counted": (lambda _: Told(says().body | {"usage": None}), {}, "fit", ""),
    "the context is too small": (
        lambda _: refuses(400, "request (4267 tokens) exceeds the available context size (2048 tokens)"),
        {},
        "context_too_small",
        "MAX_OFFERED",
    ),
    "the key is refused": (lambda _: refuses(401, "no"), {}, "refused", "OPENAI_API_KEY"),
    "there is no such model": (lambda _: refuses(404, "no"), {}, "refused", "OPENAI_MODEL or OPENAI_BASE_URL"),
    "tools are refused": (lambda _: refuses(400, "m does not support tools"), {}, "refused", "OPENAI_MODEL"),
    "nothing comes": (
        lambda _: Told(events=[], stays=True),
        {"openai_stream": True, "openai_timeout": 0.3, "openai_connect_timeout": 0.2},
        "no_answer",
        "OPENAI_TIMEOUT",
    ),
    "a filter": (lambda _: refuses(400, "no", code="content_filter"), {}, "fit", ""),
}


@pytest.mark.parametrize(("answer", "more", "what", "mend"), FOUND.values(), ids=FOUND.keys())
async def test_what_is_found_is_said_with_the_setting_that_mends_it(
    answer: Callable[[Body], Told], more: dict[str, Any], what: str, mend: str, caplog: pytest.LogCaptureFixture
) -> None:
    (line,), fake = await found(answer, caplog, **more)
    assert (line["found"], len(fake.requests)) == (what, 1)
    assert mend in line["mend"]
    for canary in ("of-mine", read_prompt(PROMPT).text[:20], "Says what"):
        assert canary not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize(
    ("tokens", "seconds", "what"),
    [(1500, 1, "fit"), (1500, 11, "slow"), (229, 11, "tools_dropped"), (0, 1, "fit"), (0, 11, "slow")],
)
def test_what_was_read_counts_before_how_long_it_took(tokens: int, seconds: float, what: str) -> None:
    assert judged(tokens, 700, seconds) == what


async def test_a_server_that_loads_its_model_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    left = [refuses(503, "Loading model"), reads(1500)]
    (line,), fake = await found(lambda _: left.pop(0), caplog)
    assert (line["found"], len(fake.requests)) == ("fit", 2)
    assert [each["reason"] for each in said("model_check_waits", caplog)] == ["", "status_503"]


@pytest.mark.parametrize(
    ("message", "requests"),
    [
        ("Invalid 'max_tokens': integer below minimum value. Expected a value >= 16.", 2),
        ("Could not finish the message because max_tokens or model output limit was reached.", 2),
    ],
)
async def test_an_endpoint_that_gives_no_reply_so_short_is_fit_and_nothing_is_learnt_of_it(
    message: str, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: Body) -> Told:
        return refuses(400, message, param="max_tokens") if request["max_tokens"] < 16 else reads(1500)

    (line,), fake = await found(answer, caplog)
    assert (line["found"], len(fake.requests)) == ("fit", requests)
    assert not said("model_request_fitted", caplog)


async def test_each_endpoint_is_checked_in_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    async with fake_endpoint(lambda _: refuses(401, "no")) as other:
        more = {"openai_fallbacks": [{"base_url": other.url, "model": "other"}]}
        lines, _ = await found(lambda _: reads(1500), caplog, 2, **more)
    assert [(line["found"], line["left"]) for line in lines] == [("fit", 1), ("refused", 0)]


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost:11434/v1", True),
        ("http://10.1.2.3/v1", True),
        ("http://vllm:8000/v1", True),
        ("http://models.ai.svc.cluster.local:8000/v1", True),
        ("https://api.openai.com/v1", False),
        ("https://models.example.com/v1", False),
        ("http://8.8.8.8/v1", False),
    ],
)
def test_what_costs_nothing_is_known_by_its_address(url: str, own: bool) -> None:
    assert is_own(url) is own


@pytest.mark.parametrize(
    ("setting", "url", "asked"),
    [
        (None, "http://127.0.0.1:1/v1", True),
        (None, "https://api.openai.com/v1", False),
        (True, "https://api.openai.com/v1", True),
        (False, "http://127.0.0.1:1/v1", False),
    ],
)
def test_a_setting_decides_whether_it_is_asked(setting: bool | None, url: str, asked: bool) -> None:
    assert is_wanted(url, settings(url, openai_check_at_start=setting)) is asked
