"""How far a watcher has come: what the id of a frame says, and what follows on it."""

import json
import re
import zlib
from typing import Any, NamedTuple, Self

REPLACES_TEXT = frozenset({"turn", "answer", "run_stopped", "run_ended"})
"""Kinds of events in whose place the live text of their run stood: it is over with them."""

_ID = re.compile(r"(\d{1,18})(?:-(\d{1,9})-(\d{1,18})-(\d{1,9})-([0-9a-f]{8})-([A-Za-z0-9_]{1,64}))?")


class Line(NamedTuple):
    """One event of the log; `body` is JSON."""

    position: int
    kind: str
    run: str
    epoch: int
    at: str
    body: str


class Text(NamedTuple):
    """What a run is just writing."""

    run: str
    turn: int
    attempt: int
    text: str


class Shown(NamedTuple):
    """Which text a watcher has: so many characters of that attempt, and a checksum of them."""

    run: str
    turn: int
    attempt: int
    length: int
    checksum: str

    @classmethod
    def of(cls, text: Text) -> Self:
        return cls(text.run, text.turn, text.attempt, len(text.text), _checksum(text.text))

    def kept_by(self, text: Text) -> int:
        """How many characters a watcher that has this can keep when it is shown `text`: all of them, or none."""
        same = (self.run, self.turn, self.attempt) == (text.run, text.turn, text.attempt)
        return self.length if same and _checksum(text.text[: self.length]) == self.checksum else 0


class Place(NamedTuple):
    """The position of the latest event that a watcher has, and the live text after it, if any."""

    position: int = 0
    shown: Shown | None = None

    def __str__(self) -> str:
        if self.shown is None:
            return str(self.position)
        run, turn, attempt, length, checksum = self.shown
        return f"{self.position}-{turn}-{attempt}-{length}-{checksum}-{run}"

    @classmethod
    def read(cls, told: str) -> Self:
        """The place of a frame's id. Raises: ValueError."""
        found = _ID.fullmatch(told)
        if found is None:
            raise ValueError("no id of a frame")
        position, turn, attempt, length, checksum, run = found.groups()
        shown = Shown(run, int(turn), int(attempt), int(length), checksum) if run else None
        return cls(int(position), shown)

    def after(self, line: Line) -> "Place":
        over = self.shown is not None and line.kind in REPLACES_TEXT and line.run == self.shown.run
        return Place(line.position, None if over else self.shown)

    def showing(self, text: Text) -> "Place":
        return Place(self.position, Shown.of(text))


def frames_of(place: Place, lines: list[Line], text: Text | None) -> tuple[bytes, Place]:
    """What a watcher at `place` is sent, and where it is then. `text` is of the moment after the last of the lines."""
    frames: list[bytes] = []
    for line in lines:
        if line.position != place.position + 1:
            frames.append(_frame("gap", None, {"after": place.position, "before": line.position}))
        place = place.after(line)
        frames.append(_line(line, place))
    if text is not None:
        kept = place.shown.kept_by(text) if place.shown else 0
        before, place = place, place.showing(text)
        if before != place:
            told = {"run": text.run, "turn": text.turn, "attempt": text.attempt, "keep": kept, "text": text.text[kept:]}
            frames.append(_frame("text", place, told))
    return b"".join(frames), place


def end_frame(reason: str, retry_ms: int) -> bytes:
    return f"retry: {retry_ms}\n".encode() + _frame("end", None, {"reason": reason})


def _line(line: Line, place: Place) -> bytes:
    told = {"position": line.position, "run": line.run, "epoch": line.epoch, "at": line.at}
    return _frame(line.kind, place, told | {"body": json.loads(line.body)})


def _frame(event: str, place: Place | None, data: dict[str, Any]) -> bytes:
    named = "" if place is None else f"id: {place}\n"
    return f"{named}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
