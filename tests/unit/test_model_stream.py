"""A reply that comes as a stream: the same as the whole one, and nothing is shown of it that is not for a reader."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from demo_model.wire.replies import DONE, chunks
from router.model import Asked, Model, ModelBusy, Reply
from router.model.live import Live, showable
from router.model.reply import read_reply
from router.settings import RouterSettings
from router.transcript import Chat
from tests.parts.fake_endpoint import Body, FakeEndpoint, Told, fake_endpoint, refuses, says
from tests.parts.signed import PRIVATE
from tests.unit.test_model_reply import ANSWERS, ONLY_THOUGHT, THOUGHT, WRITTEN, say

CHAT: Chat = [{"role": "user", "content": "Is there an outage?"}]
NAMES = {"look_up"}
SHOWN_BEFORE_ITS_END = {"only its end"}
"""Thinking whose beginning nothing marks is known as such at its end."""


def model(*urls: str, **more: Any) -> Model:
    first, *others = urls
    told: dict[str, Any] = {
        "openai_base_url": first,
        "openai_model": "m1",
        "openai_fallbacks": [{"base_url": url, "model": "m2"} for url in others],
        "trust_user_id": True,
        "call_key": PRIVATE,
    }
    return Model(RouterSettings.model_validate(told | more))


class Reader:
    """Who watches a reply while it is written."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def asked(self) -> Asked:
        return Asked(lambda _: CHAT, [], NAMES, on_text=self.shown.append)


async def answered(
    answer: Callable[[Body], Told], *, seconds: float = 30, **more: Any
) -> tuple[Reply, Reader, FakeEndpoint]:
    reader = Reader()
    async with fake_endpoint(answer) as fake:
        client = model(fake.url, **more)
        reply = await client.answer(reader.asked(), seconds)
        await client.close()
    return reply, reader, fake


# --- the same as the whole reply -----------------------------------------------------------------------------------

MESSAGES: dict[str, dict[str, Any]] = {
    **{f"thinking: {name}": {"content": text} for name, text in THOUGHT.items()},
    **{f"thinking alone: {text}": {"content": text} for text in ONLY_THOUGHT},
    **{f"a written call: {name}": {"content": text} for name, text in WRITTEN.items()},
    **{f"an answer: {text[:20]}": {"content": text} for text in ANSWERS},
    "nothing": {"content": None},
    "white space": {"content": "\n\n"},
    "a refusal": {"content": None, "refusal": "I must not."},
    "a call": {"content": None, "tool_calls": [say(arguments='{"query": "a long text about many things"}')]},
    "two calls": {"content": "I look.", "tool_calls": [say(), say("other", id="y")]},
    "a call without id and arguments": {"content": None, "tool_calls": [say(arguments=None, id=None)]},
    "an object as arguments": {"content": None, "tool_calls": [say(arguments={"query": "x"})]},
    "the legacy field": {"content": None, "function_call": {"name": "look_up", "arguments": "{}"}},
    "fields of its own": {
        "content": None,
        "reasoning_content": "thinking " * 20,
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
        "tool_calls": [say(extra_content={"google": {"thought_signature": "sig=="}})],
    },
    "what ends lines elsewhere": {"content": "a\u2028b\x85c\x0bd\r\ne\x00f \ud83d שלום 😀"},
}


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", None, "content_filter"])
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_stream_means_the_same_as_the_whole_reply(message: dict[str, Any], finish: str | None) -> None:
    whole = completion(message, finish or "stop")
    streamed = b"".join(chunks(whole, with_usage=True))
    assert read_reply(streamed, NAMES) == read_reply(json.dumps(whole).encode(), NAMES)
    unescaped = streamed.decode().encode().replace(rb"\u2028", "\u2028".encode()).replace(rb"\u0085", "\x85".encode())
    assert read_reply(unescaped, NAMES) == read_reply(streamed, NAMES)


def completion(message: dict[str, Any], finish: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}, "model": "fake"}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
async def test_what_is_shown_last_is_what_the_reply_says(message: dict[str, Any]) -> None:
    whole = completion(message, "stop")
    reply, reader, fake = await answered(lambda _: Told(whole))
    wanted = read_reply(json.dumps(whole).encode(), NAMES)
    assert reply == wanted.model_copy(update={"endpoint": "m1 at 127.0.0.1"})
    assert ["", *reader.shown][-1] == reply.text
    assert (fake.requests[0]["stream"], fake.requests[0]["stream_options"]) == (True, {"include_usage": True})


async def test_without_a_watcher_or_the_setting_nothing_is_streamed() -> None:
    for more, streamed in (({}, False), ({"openai_stream": True}, True)):
        async with fake_endpoint(lambda _: says()) as fake:
            client = model(fake.url, **more)
            assert (await client.answer(Asked(lambda _: CHAT, [], ()), 10)).text == "done"
            await client.close()
        assert fake.requests[0]["stream"] is streamed


# --- what may be shown ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, text in THOUGHT.items() if name not in SHOWN_BEFORE_ITS_END]
)
def test_no_beginning_of_a_reply_shows_thinking_or_a_mark(name: str, text: str) -> None:
    for length in range(len(text) + 1):
        assert "done".startswith(showable(text[:length], NAMES)), (name, text[:length])


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN.keys())
def test_no_beginning_of_a_reply_shows_a_call_that_is_written_as_text(text: str) -> None:
    for length in range(len(text) + 1):
        assert "I will look.".startswith(showable(text[:length], NAMES)), text[:length]


@pytest.mark.parametrize("text", [*ANSWERS, "Ask for [the list](https://x) of\n- [ ] things, e.g. `a[0]`, or 2 < 3."])
def test_an_answer_is_shown_as_it_grows_and_whole_in_the_end(text: str) -> None:
    for length in range(len(text) + 1):
        assert text.startswith(showable(text[:length], NAMES)), text[:length]
    assert showable(text + " And so on.", NAMES).startswith(text)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_it_matters_not_where_the_network_cuts(size: int) -> None:
    text = "Grüße, 😀 \u2028 all is well: <b>no</b> outage." * 3
    streamed = b"".join(chunks(completion({"content": text}, "stop"), with_usage=True))
    shown: list[str] = []
    live = Live(shown.append, NAMES)
    for start in range(0, len(streamed), size):
        live.add(streamed[start : start + size])
    assert shown[-1] == text
    assert all(text.startswith(each) for each in shown)


async def test_an_endpoint_that_does_not_mark_its_thinking_is_known_after_its_first_reply() -> None:
    reader = Reader()
    async with fake_endpoint(lambda _: says("secret\n</think>\ndone")) as fake:
        client = model(fake.url)
        await client.answer(reader.asked(), 10)
        reader.shown.clear()
        await client.answer(reader.asked(), 10)
        await client.close()
    assert reader.shown == ["done"]


# --- faults --------------------------------------------------------------------------------------------------------

WORDS = "This is one half, and the other half is long."
HALF = list(chunks(completion({"content": WORDS}, "stop"), with_usage=True))[:2]
SILENT: dict[str, tuple[Told, float]] = {
    "no byte at all": (Told(events=[], stays=True), 90),
    "silence after a half": (Told(events=HALF, stays=True), 90),
    "too slow all in all": (Told(events=[*HALF, *[b": still here\n\n"] * 900], pause=0.1), 1),
}


@pytest.mark.parametrize(("told", "total"), SILENT.values(), ids=SILENT.keys())
async def test_a_stream_has_deadlines_and_what_was_shown_is_taken_back(told: Told, total: float) -> None:
    reader = Reader()
    async with fake_endpoint(lambda _: told) as fake:
        client = model(fake.url, openai_connect_timeout=0.3, openai_first_byte_timeout=0.4, openai_timeout=total)
        async with asyncio.timeout(30):
            with pytest.raises(ModelBusy):
                await client.answer(reader.asked(), 90)
        await client.close()
    assert reader.shown[-1:] in ([], [""])


BROKEN: dict[str, Callable[[Body], Told]] = {
    "an early end": lambda _: Told(events=HALF),
    "an error within": lambda _: Told(events=[*HALF, b'data: {"error": {"message": "no", "code": 502}}\n\n', DONE]),
    "an event that is no JSON": lambda _: Told(events=[*HALF, b"data: {oops\n\n", DONE]),
    "a finish that is none": lambda _: says("half", finish="error"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
async def test_a_stream_that_breaks_is_taken_back_and_the_next_endpoint_answers(broken: Callable[[Body], Told]) -> None:
    reader = Reader()
    async with fake_endpoint(broken) as one, fake_endpoint(lambda _: says("The other.")) as two:
        client = model(one.url, two.url)
        reply = await client.answer(reader.asked(), 10)
        await client.close()
    assert (reply.text, reader.shown[-1]) == ("The other.", "The other.")
    assert "" in reader.shown


async def test_whoever_stops_waiting_closes_the_connection_at_once() -> None:
    reader = Reader()
    async with fake_endpoint(lambda _: Told(events=HALF, stays=True)) as fake:
        client = model(fake.url)
        waiting = asyncio.create_task(client.answer(reader.asked(), 90))
        async with asyncio.timeout(30):
            while not reader.shown:
                await asyncio.sleep(0.01)
        waiting.cancel()
        async with asyncio.timeout(30):
            await fake.left.wait()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.close()


async def test_a_stream_that_has_said_its_last_word_is_not_waited_for() -> None:
    whole = [*chunks(completion({"content": "done"}, "stop"), with_usage=True)]
    async with asyncio.timeout(30):
        reply, _, _ = await answered(lambda _: Told(events=whole, stays=True), seconds=90)
    assert reply.text == "done"


@pytest.mark.parametrize(
    ("refused", "message", "streamed"),
    [
        ("stream_options", "Extra inputs are not permitted: stream_options", True),
        ("stream", "'stream' is not supported with tools by this model.", False),
    ],
)
async def test_what_an_endpoint_refuses_of_a_stream_is_left_out(refused: str, message: str, streamed: bool) -> None:
    def answer(request: Body) -> Told:
        return refuses(400, message) if request.get(refused) else says("A reply.")

    reply, reader, fake = await answered(answer)
    assert (reply.text, reader.shown[-1], len(fake.requests)) == ("A reply.", "A reply.", 2)
    assert fake.requests[1].get("stream", False) is streamed


async def test_an_endpoint_that_streams_nothing_is_read_all_the_same() -> None:
    whole = json.dumps(completion({"content": "done"}, "stop")).encode()
    reply, reader, _ = await answered(lambda _: Told(whole))
    assert (reply.text, reader.shown) == ("done", ["done"])
