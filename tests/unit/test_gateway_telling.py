"""What a client of OpenAI is told of a run: final text once, live text if it wants that, nothing of other runs."""

import json
import time
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts import Disposition
from gateway.callers import Visitor
from gateway.chat_completions import Completion, help_for, question_of, seconds_of
from gateway.chat_completions import told as pieces_of
from gateway.chats import Chat, unseen
from gateway.parts import Parts
from gateway.telling import A_PERSON_READS, TAKEN_BACK, Frame, Telling, frames_in
from runtime.api.problems import Problem

ASKED = ("input", "", {"position": 3, "type": "message"})


def frame(kind: str, run: str, body: dict[str, Any]) -> Frame:
    data = body if kind == "text" else {"body": body}
    return Frame("1", kind, {"run": run, **data})


def told(telling: Telling, *events: tuple[str, str, dict[str, Any]]) -> list[str]:
    return [piece.text for each in events for piece in telling.take(frame(*each))]


def live(run: str, keep: int, text: str) -> tuple[str, str, dict[str, Any]]:
    return ("text", run, {"keep": keep, "text": text})


def turn(text: str, *, last: bool = False) -> tuple[str, str, dict[str, Any]]:
    return ("turn", "r", {"text": text, "last": last})


def answer(text: str) -> tuple[str, str, dict[str, Any]]:
    return ("answer", "r", {"text": text, "outcome": "answered", "tickets": ["TCK-1"]})


@pytest.mark.parametrize(
    ("events", "is_live", "expected"),
    [
        ([live("r", 0, "Hel"), live("r", 3, "lo."), turn("Hello.", last=True), answer("Hello.")], False, ["Hello."]),
        ([live("r", 0, "Hel"), live("r", 3, "lo."), turn("Hello.", last=True), answer("Hello.")], True, ["Hel", "lo."]),
        ([live("r", 0, "Hel"), answer("Hello there.")], True, ["Hel", "lo there."]),
        ([live("r", 0, "Nonsense"), live("r", 0, "Good."), answer("Good.")], True, ["Nonsense", f"{TAKEN_BACK}Good."]),
        ([live("r", 0, "Oh"), turn(""), answer("Done.")], True, ["Oh", TAKEN_BACK, "Done."]),
        ([turn("Let me look."), answer("Done.")], False, ["Let me look.", "\n\nDone."]),
        (
            [live("r", 0, "Look"), turn("Look."), live("r", 0, "Do"), answer("Done.")],
            True,
            ["Look", ".", "\n\nDo", "ne."],
        ),
        ([turn("A person will come."), answer("A person will come.")], False, ["A person will come."]),
        ([("answer", "other", {"text": "Not yours."}), answer("Yours.")], False, ["Yours."]),
        ([("person", "p", {"text": "Anna here."}), answer("Yours.")], False, ["Anna here.", "\n\nYours."]),
        ([("note", "r", {"text": "It was done."})], False, ["It was done."]),
        ([("person", "p", {"text": "Yes."}), answer("Yes.")], False, ["Yes.", "\n\nYes."]),
        ([answer("Yes."), *[("person", "p", {"text": "Yes."})] * 2], False, ["Yes.", "\n\nYes.", "\n\nYes."]),
    ],
)
def test_what_is_told(events: list[tuple[str, str, dict[str, Any]]], is_live: bool, expected: list[str]) -> None:
    telling = Telling(3, "r", live=is_live)
    assert told(telling, ASKED, *events) == expected
    assert not telling.is_over
    told(telling, ("run_ended", "r", {}))
    assert telling.is_over


def test_nothing_before_the_message_itself_is_told() -> None:
    telling = Telling(3, "r")
    before = [("input", "", {"position": 1}), answer("Of before."), ("person", "p", {"text": "Of before."})]
    assert told(telling, *before, ASKED, answer("Now.")) == ["Now."]
    assert (telling.outcome, telling.tickets) == ("answered", ["TCK-1"])


async def all_told(before: list[str], *events: tuple[str, str, dict[str, Any]]) -> list[str | None]:
    async def frames() -> AsyncGenerator[Frame | None]:
        for each in (ASKED, *events, ("run_ended", "r", {})):
            yield frame(*each)

    said = Disposition(disposition="started", run="r", position=3, event=1)
    pieces = pieces_of(frames(), Telling(3, "r"), said, before)
    return [None if piece is None else piece.text async for piece in pieces]


@pytest.mark.parametrize("before", [["It was done."], ["It was done.", "It was done."]])
async def test_an_answer_in_words_that_were_told_before_it_is_told(before: list[str]) -> None:
    told_ = [each for each in await all_told(before, answer("It was done.")) if each]
    assert told_ == ["It was done.", *["\n\nIt was done."] * len(before)]


async def test_the_line_is_kept_open_while_text_is_written_that_is_not_told() -> None:
    written = [live("r", 0, "Hel"), live("r", 3, "lo."), answer("Hello.")]
    assert await all_told([], *written) == [None, None, None, "Hello.", None]


@pytest.mark.parametrize(
    ("text", "shown", "is_told"),
    [
        ("Yes.", ["Yes. I see."], True),
        ("No.", ["Your ticket is Ticket No. 5"], True),
        ("No.", ["Hello.\n\nNo.\n\nMore."], False),
        ("One  line.\n\nAnother.", ["First.\nOne line.\nAnother."], False),
        ("One line.\n\nAnother.", ["One line.", "Not that.", "Another."], True),
    ],
)
async def test_what_a_client_has_shown_is_known_by_whole_lines(text: str, shown: list[str], is_told: bool) -> None:
    async def read(*_: object) -> dict[str, Any]:
        line = {"position": 2, "kind": "person", "at": "", "run": "", "body": {"text": text}}
        return {"entries": [line]}

    here = cast(Parts, SimpleNamespace(rooms=SimpleNamespace(read=read), token=lambda *_: ""))
    said = Disposition(disposition="started", position=3)
    assert await unseen(here, Visitor("u"), Chat("conv_1", "i"), said, shown) == [text] * is_told


@pytest.mark.parametrize(("shown", "is_told"), [("One. Edited.", False), ("Ticket One.", True), ("One.", False)])
async def test_an_answer_behind_which_its_reader_wrote_more_is_known(shown: str, is_told: bool) -> None:
    async def read(*_: object) -> dict[str, Any]:
        return {"entries": [{"position": 2, "kind": "answer", "at": "", "run": "", "body": {"text": "One."}}]}

    here = cast(Parts, SimpleNamespace(rooms=SimpleNamespace(read=read), token=lambda *_: ""))
    said = Disposition(disposition="started", position=3)
    assert await unseen(here, Visitor("u"), Chat("conv_1", "i"), said, [shown]) == ["One."] * is_told


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("last", "is_read"),
    [("What now?", True), ([{"type": "text", "text": "What now?"}], True), ([PICTURE], False)],
)
def test_a_picture_of_before_is_passed_over(last: Any, is_read: bool) -> None:
    shown = {"role": "user", "content": [{"type": "text", "text": "Look."}, PICTURE]}
    messages = [shown, {"role": "user", "content": last}]
    asked = Completion.model_validate({"model": "switchboard", "messages": messages})
    if is_read:
        assert question_of(asked) == {"message": "What now?", "earlier": [{"role": "user", "text": "Look."}]}
    else:
        with pytest.raises(Problem, match="invalid_request"):
            question_of(asked)


@pytest.mark.parametrize(("left", "expected"), [(None, 180), (1000, 180), (30, 30), (-5, 0)])
def test_a_stream_ends_with_the_token_of_its_caller(left: float | None, expected: float) -> None:
    until = None if left is None else time.time() + left
    assert seconds_of(Visitor("u", until=until)) == pytest.approx(expected, abs=5)


def test_the_run_that_comes_after_a_stopped_one_is_followed() -> None:
    telling = Telling(3, "", "former")
    stopped = [("run_stopped", "former", {}), ("answer", "former", {"text": "Late."}), ("run_ended", "former", {})]
    assert told(telling, ASKED, *stopped) == []
    assert not telling.is_over
    assert told(telling, ("run_started", "r", {}), answer("Now."), ("run_ended", "r", {})) == ["Now."]
    assert telling.is_over


def test_a_person_who_takes_over_before_a_run_begins_ends_it() -> None:
    telling = Telling(3, "", "former")
    assert told(telling, ASKED, ("owner", "p", {"speaker": "person"})) == [A_PERSON_READS]
    assert telling.is_over


def test_a_stop_is_over_at_once() -> None:
    telling = Telling(3, "", "r")
    told(telling, ("input", "r", {"position": 3, "type": "stop"}))
    assert (telling.is_over, telling.was_stopped) == (True, True)


def test_an_answer_that_is_no_longer_kept_is_not_waited_for() -> None:
    with pytest.raises(Problem):
        told(Telling(3, "r"), ("gap", "", {}))


def test_steps_are_reasoning_only_where_they_are_wanted() -> None:
    steps = [
        ("tool_started", "r", {"tool": "get_ticket"}),
        ("tool_finished", "r", {"tool": "get_ticket", "status": "ok"}),
    ]
    assert told(Telling(3, "r"), ASKED, *steps) == []
    telling = Telling(3, "r", steps=True)
    pieces = [piece for each in (ASKED, *steps) for piece in telling.take(frame(*each))]
    assert [piece.kind for piece in pieces] == ["reasoning_content"] * 2
    assert "".join(piece.text for piece in pieces) == "get ticket ...\nget ticket: ok\n"


def test_frames_are_read_from_what_was_sent() -> None:
    data = {"run": "r", "body": {"text": "a: b\u2028c"}}
    sent = f"retry: 1000\n\n:\n\nid: 7\nevent: answer\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
    assert list(frames_in(sent)) == [Frame("7", "answer", data)]


@pytest.mark.parametrize(
    ("message", "is_help"),
    [
        ("Provide a concise, 5-word-or-less title for the conversation, using title case conventions.", True),
        ("Analyze this conversation and provide:\n1. The detected language\n2. A concise title of 5 words", True),
        ("Create a concise title for this conversation:\n\nUser: hello", True),
        ("Write the title for this chat", True),
        ("Please create a ticket: the title of my page is wrong", False),
        ("Please create a ticket: the title of my last conversation is wrong", False),
        ("Please create a ticket about the title for this conversation", False),
        ("Create a ticket. It should say that the title of this chat is wrong", False),
        ("Provide me with the invoice of our last conversation", False),
        ("My conversation with you has no title. Why?", False),
    ],
)
def test_titles_are_told_from_questions(message: str, is_help: bool) -> None:
    assert bool(help_for(message)) is is_help
