"""What a watcher is sent, and how far it is by the id of a frame. Whatever it missed, it ends with what there is."""

import json
from typing import Any

import pytest

from conversations.watch.place import Line, Place, Shown, Text, frames_of
from tests.parts.watcher import Screen, read_frames


def line(position: int, kind: str = "input", run: str = "run_a") -> Line:
    return Line(position, kind, run, 1, "2026-11-29T00:00:00+00:00", json.dumps({"text": f"täxt {position}\n"}))


def text(words: str, attempt: int = 1, turn: int = 1, run: str = "run_a") -> Text:
    return Text(run, turn, attempt, words)


def sent(place: Place, lines: list[Line], live: Text | None = None) -> list[dict[str, Any]]:
    return read_frames(frames_of(place, lines, live)[0])


@pytest.mark.parametrize(
    "place",
    [Place(), Place(7), Place(12, Shown.of(text("Hällo", 1764419612000000))), Place(1, Shown.of(text("")))],
)
def test_the_id_of_a_frame_reads_back_as_the_place_after_it(place: Place) -> None:
    assert Place.read(str(place)) == place


@pytest.mark.parametrize("told", ["x", "-1", "1-2", "1-1-1-1-zzzzzzzz-run", "1" * 30, "1\n", "1-1-1-1-00000000-run/x"])
def test_what_is_no_id_of_a_frame_is_refused(told: str) -> None:
    with pytest.raises(ValueError):
        Place.read(told)


NOW = text("Hello you")
SHOWN = [
    ("nothing", None, 0, "Hello you"),
    ("the beginning", Shown.of(text("Hello")), 5, " you"),
    ("all of it", Shown.of(NOW), None, None),
    ("text of a former attempt", Shown.of(text("Hello", attempt=0)), 0, "Hello you"),
    ("text of a former turn", Shown.of(text("Hello", turn=2)), 0, "Hello you"),
    ("text of a former run", Shown.of(text("Hello", run="run_b")), 0, "Hello you"),
    ("more than there is", Shown.of(text("Hello you two")), 0, "Hello you"),
    ("other words of the same attempt", Shown.of(text("Hi the")), 0, "Hello you"),
]


@pytest.mark.parametrize(("shown", "keep", "more"), [case[1:] for case in SHOWN], ids=[case[0] for case in SHOWN])
def test_a_watcher_keeps_of_its_text_what_is_still_true(
    shown: Shown | None, keep: int | None, more: str | None
) -> None:
    frames = sent(Place(3, shown), [], NOW)

    told = [(each["data"]["keep"], each["data"]["text"]) for each in frames]
    assert told == ([] if keep is None else [(keep, more)])


@pytest.mark.parametrize("kind", ["turn", "answer", "run_stopped", "run_ended"])
def test_live_text_is_over_with_the_event_that_takes_its_place(kind: str) -> None:
    before = Place(3, Shown.of(NOW))
    assert frames_of(before, [line(4, kind)], None)[1] == Place(4)
    assert frames_of(before, [line(4, kind, "run_b")], None)[1] == Place(4, before.shown)
    assert frames_of(before, [line(4, "tool_finished")], None)[1] == Place(4, before.shown)


def test_events_that_are_no_more_kept_are_told_as_a_gap() -> None:
    frames = sent(Place(3), [line(6), line(7)])
    assert [(each["event"], each["id"]) for each in frames] == [("gap", ""), ("input", "6"), ("input", "7")]
    assert frames[0]["data"] == {"after": 3, "before": 6}


def test_a_cut_after_any_byte_loses_nothing_and_repeats_nothing() -> None:
    """It comes again with the last id that it read whole."""
    lines = [line(1), line(2, "run_started"), line(3, "turn"), line(4, "answer"), line(5, "run_ended")]
    place, whole = Place(), b""
    for there, live in [(lines[:2], text("Wa")), ([], text("Wäit")), ([], text("Hm", 2)), (lines[2:], None)]:
        frames, place = frames_of(place, there, live)
        whole += frames

    for cut in range(len(whole) + 1):
        screen = Screen()
        screen.feed(whole[:cut])
        place = Place.read(screen.last_id) if screen.last_id else Place()
        screen.connect()
        screen.feed(frames_of(place, lines[place.position :], None)[0])
        screen.check()
        assert [each["position"] for each in screen.events] == [1, 2, 3, 4, 5], cut
        assert screen.live == ""
