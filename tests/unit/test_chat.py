"""What `make chat` shows: steps in plain words, text that can be taken back, and nothing that a terminal obeys."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from standalone.chat import Screen, latest
from standalone.terminal import console, say
from standalone.watching import Frame, frames


class Seen:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.texts: list[str] = []

    def line(self, text: str, style: str = "") -> None:
        self.lines.append(text)

    def writing(self, text: str) -> None:
        self.texts.append(text)


def event(kind: str, run: str = "run_a", **body: Any) -> Frame:
    return Frame(kind, {"run": run, "body": body})


def written(keep: int, text: str, attempt: int = 1) -> Frame:
    return Frame("text", {"run": "run_a", "turn": 1, "attempt": attempt, "keep": keep, "text": text})


PLAIN = [
    (event("input", text="Hello"), []),
    (event("run_started"), []),
    (event("turn", turn=1, text="Let me look.", tools=["echo"], last=False), ["Let me look."]),
    (event("turn", turn=2, text="", tools=[], last=True), []),
    (event("tool_started", tool="query_user_database"), ["  · query user database ..."]),
    (event("tool_finished", tool="echo", status="ok"), ["  · echo: done"]),
    (event("tool_finished", tool="echo", status="ok", ticket_id="TCK-1"), ["  · echo: done, ticket TCK-1"]),
    (event("tool_finished", tool="echo", status="unknown"), ["  · echo: not done yet; it goes on"]),
    (event("tool_finished", tool="echo", status="new word"), ["  · echo: ended"]),
    (event("approval_asked", tool="refund_invoice"), ["  · refund invoice: waiting for a person's approval"]),
    (event("approval_decided", tool="refund_invoice", status="denied"), ["  · refund invoice: denied"]),
    (event("answer", text="It works."), ["It works."]),
    (event("run_stopped"), ["stopped"]),
    (event("run_ended", outcome="answered"), []),
    (event("run_ended", outcome="model_unavailable"), ["(model unavailable)"]),
    (event("something_new"), []),
    (Frame("gap", {"after": 1, "before": 3}), ["(older steps are no longer kept)"]),
    (Frame("end", {"reason": "restart"}), []),
]


@pytest.mark.parametrize(("frame", "lines"), PLAIN)
async def test_steps_are_told_in_plain_words(frame: Frame, lines: list[str]) -> None:
    seen = Seen()
    Screen(seen).take(frame)
    assert seen.lines == lines


async def test_text_of_a_broken_attempt_is_taken_back() -> None:
    seen = Seen()
    screen = Screen(seen)
    for frame in (written(0, "The ans"), written(7, "wer"), written(0, "", 2), written(0, "It", 2), event("answer")):
        screen.take(frame)
    assert seen.texts == ["The ans", "The answer", "", "It", ""]


async def test_the_text_of_the_last_turn_stays_until_the_answer_stands_there() -> None:
    seen = Seen()
    screen = Screen(seen)
    for frame in (written(0, "It"), event("turn", last=True), event("answer", text="It.")):
        screen.take(frame)
    assert (seen.texts, seen.lines) == (["It", ""], ["It."])


async def test_a_run_is_over_when_its_end_is_told() -> None:
    screen = Screen(Seen())
    waiting = asyncio.create_task(screen.until_ended("run_b"))
    screen.take(event("run_ended", "run_a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    screen.take(event("run_ended", "run_b"))
    await asyncio.wait_for(waiting, 30)
    await screen.until_ended("run_a")


def test_no_terminal_obeys_what_is_said() -> None:
    with console.capture() as shown:
        say("a\x1b[2Jb\x9b31m\rc\u202ed\ne")
    assert shown.get() == "a\ufffd[2Jb\ufffd31m\ufffdc\ufffdd\ne\n"


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("short", "short"), ("one\ntwo\nthree", "two\nthree"), ("0123456789" * 3, "89" + "")]
)
def test_of_a_long_text_the_end_is_shown(text: str, shown: str) -> None:
    assert latest(text, 14, 2)[-len(shown) or None :] == shown
    assert len(latest(text, 14, 2).split("\n")) <= 2


@pytest.fixture
async def broken_stream() -> AsyncIterator[str]:
    """Breaks off within a frame, once, and goes on after the id that it is told."""
    asked: list[str] = []

    async def stream(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID", ""))
        response = web.StreamResponse()
        await response.prepare(request)
        first = b'id: 1\nevent: input\ndata: {"n": "\xc3\xa4"}\n\n:\n\nid: 2\nevent: answer\ndata: {"n'
        rest = b'retry: 5\n\nid: 2\nevent: answer\ndata: {"n": 2}\n\n'
        for byte in first if asked[-1] == "" else rest:
            await response.write(bytes([byte]))
        if asked[-1] == "1":
            await asyncio.sleep(60)
        return response

    application = web.Application()
    application.router.add_get("/events", stream)
    async with TestServer(application) as server:
        yield str(server.make_url("/events"))


async def test_a_stream_that_breaks_off_goes_on_after_the_last_whole_frame(broken_stream: str) -> None:
    seen: list[Frame] = []
    async with aiohttp.ClientSession() as http:
        async for frame in frames(http, broken_stream, {"X-User-Id": "user_1"}):
            seen.append(frame)
            if len(seen) == 2:
                break
    assert seen == [Frame("input", {"n": "ä"}), Frame("answer", {"n": 2})]
