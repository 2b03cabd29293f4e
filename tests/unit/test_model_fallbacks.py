"""Several endpoints: the next one answers when one does not, and none hides what somebody has to mend."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from router.model import Asked, Model, ModelBusy, ModelFault
from router.model.breaker import FAILURES, OPEN_SECONDS, Breaker
from router.settings import RouterSettings
from router.transcript import Chat
from tests.parts.fake_endpoint import Body, Told, fake_endpoint, refuses, says
from tests.parts.signed import PRIVATE

CHAT: Chat = [{"role": "user", "content": "Is there an outage?"}]


def model(first: str, *others: str, **more: Any) -> Model:
    fallbacks = [{"base_url": url, "model": f"m{number}"} for number, url in enumerate(others, start=2)]
    told: dict[str, Any] = {
        "openai_base_url": first,
        "openai_model": "m1",
        "openai_fallbacks": fallbacks,
        "trust_user_id": True,
    }
    told["call_key"] = PRIVATE
    return Model(RouterSettings.model_validate(told | more))


def asked(silent: int = 0) -> Asked:
    return Asked(lambda endpoint: [*CHAT, {"role": "assistant", "content": endpoint}], [], (), silent=silent)


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_the_next_endpoint_answers_when_one_does_not(status: int) -> None:
    async with fake_endpoint(lambda _: refuses(status, "no")) as one, fake_endpoint(lambda _: says()) as two:
        client = model(one.url, two.url)
        reply = await client.answer(asked(), 10)
        await client.close()
    assert (reply.text, reply.endpoint) == ("done", "m2 at 127.0.0.1")
    assert two.requests[0]["messages"][-1]["content"] == "m2 at 127.0.0.1"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_is_never_hidden_by_another_endpoint(status: int) -> None:
    async with fake_endpoint(lambda _: refuses(status, "no")) as one, fake_endpoint(lambda _: says()) as two:
        client = model(one.url, two.url)
        with pytest.raises(ModelFault):
            await client.answer(asked(), 10)
        await client.close()
    assert two.requests == []


async def test_an_endpoint_that_is_not_there_or_hangs_is_passed_by() -> None:
    async with fake_endpoint(lambda _: says()) as two:
        client = model("http://127.0.0.1:9/v1", two.url)
        assert (await client.answer(asked(), 10)).text == "done"
        await client.close()


async def test_a_model_that_says_nothing_twice_is_followed_by_the_next() -> None:
    async with fake_endpoint(lambda _: says("")) as one, fake_endpoint(lambda _: says()) as two:
        client = model(one.url, two.url)
        assert (await client.answer(asked(silent=1), 10)).again == "empty"
        assert (await client.answer(asked(silent=2), 10)).text == "done"
        await client.close()


async def test_when_all_fail_the_shortest_pause_counts() -> None:
    def busy(seconds: str) -> Callable[[Body], Told]:
        return lambda _: refuses(429, "no", headers={"Retry-After": seconds})

    async with fake_endpoint(busy("9")) as one, fake_endpoint(busy("4")) as two:
        client = model(one.url, two.url)
        with pytest.raises(ModelBusy) as fault:
            await client.answer(asked(), 10)
        await client.close()
    assert fault.value.asked == 4


async def test_a_dead_endpoint_is_left_out_for_a_while() -> None:
    async with fake_endpoint(lambda _: refuses(503, "no")) as one, fake_endpoint(lambda _: says()) as two:
        client = model(one.url, two.url)
        for _ in range(FAILURES + 3):
            await client.answer(asked(), 10)
        await client.close()
    assert len(one.requests) == FAILURES


async def test_an_only_endpoint_is_never_left_out() -> None:
    async with fake_endpoint(lambda _: refuses(503, "no")) as one:
        client = model(one.url)
        for _ in range(FAILURES + 2):
            with pytest.raises(ModelBusy):
                await client.answer(asked(), 10)
        await client.close()
    assert len(one.requests) == FAILURES + 2


ALSO_ANSWERS = {
    "a reply": says(),
    "a content filter": refuses(400, "no", code="content_filter"),
    "a call it cannot read": refuses(400, "Failed to call a function.", code="tool_use_failed"),
    "a refused key": refuses(401, "no"),
    "a request it cannot take": refuses(400, "You are holding it wrong."),
}


@pytest.mark.parametrize("told", ALSO_ANSWERS.values(), ids=ALSO_ANSWERS.keys())
async def test_an_endpoint_is_back_whatever_it_answers(told: Told) -> None:
    async with fake_endpoint(lambda _: told) as one, fake_endpoint(lambda _: says()) as two:
        client = model(one.url, two.url)
        clock = iter([0.0] * FAILURES + [OPEN_SECONDS] * 9)
        breaker = client.endpoints[0].breaker = Breaker(lambda: next(clock))
        for _ in range(FAILURES):
            breaker.failed()
        with suppress(ModelFault):
            await client.answer(asked(), 10)
        assert [breaker.lets_through() for _ in range(3)] == [True, True, True]
        await client.close()
    assert len(one.requests) == 1


@pytest.mark.parametrize(
    ("told", "prompt", "completion"),
    [
        (says(finish="error"), (7, 7), (2, 2)),
        (Told({"error": {"message": "no", "code": 502}, "usage": {"prompt_tokens": 5}}), (5, 5), (0, 0)),
        (Told(b'{"choices": [{"message": {"content": "half of i'), (10, 100), (11, 11)),
        (refuses(503, "no"), (0, 0), (0, 0)),
    ],
)
async def test_the_tokens_of_a_reply_of_no_use_are_counted_too(
    told: Told, prompt: tuple[int, int], completion: tuple[int, int]
) -> None:
    """Its own count, else an estimate; and those of the reply that was of use: 7 and 2."""
    async with fake_endpoint(lambda _: told) as one, fake_endpoint(lambda _: says()) as two:
        client, question = model(one.url, two.url), asked()
        await client.answer(question, 10)
        await client.close()
    assert prompt[0] <= question.spent["prompt"] - 7 <= prompt[1]
    assert completion[0] <= question.spent["completion"] - 2 <= completion[1]


def test_one_call_at_a_time_tries_whether_it_is_back() -> None:
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(FAILURES):
        assert breaker.lets_through()
        breaker.failed()
    assert not breaker.lets_through()
    now = OPEN_SECONDS
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert all(breaker.lets_through() for _ in range(3))
