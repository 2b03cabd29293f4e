"""What a run is given of the past: the end of the transcript, within bounds, as the model shall read it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from contracts import Effect, Entry, EntryKind, UndoStatus

MAX_CHARACTERS = 48_000
"""Of the entries that a run is given. What is older is in the summary, long before there are so many: they are left out
only where no model could summarise them."""
MAX_ENTRIES = 200
MAX_ENTRY_CHARACTERS = 12_000
"""Of one of them; no message of a customer is that long."""


_UNDONE: dict[UndoStatus, str] = {
    "undoing": "is being undone",
    "undone": "was undone",
    "not_undone": "could not be undone",
}


class Line(NamedTuple):
    """A line of the transcript, with what became of the run that it belongs to."""

    kind: EntryKind
    body: dict[str, Any]
    run: str
    outcome: str
    superseded: bool
    epoch: int = 0


def seen_by_model(lines: Iterable[Line]) -> list[Entry]:
    """The latest lines, oldest first. What a run did is told as far as no answer of its own tells it."""
    told = list(lines)
    answered = {line.run for line in told if line.kind == "answer" and not line.superseded}
    entries = [
        Entry(kind=line.kind, text=_cut(text), epoch=line.epoch)
        for line in told
        if (text := _text(line)) and _is_seen(line, answered=line.run in answered)
    ]
    return _latest(entries)


def _is_seen(line: Line, *, answered: bool) -> bool:
    if line.kind == "effect":
        return not answered
    return line.kind in ("person", "owner", "approval", "undone") or not line.superseded


def _text(line: Line) -> str:
    if line.kind == "effect":
        return told(Effect.model_validate(line.body))
    if line.kind == "owner":
        return _who_speaks(line.body)
    if line.kind == "approval":
        return str(line.body.get("told", ""))  # that it was asked and decided, the run knows itself
    if line.kind == "undone":
        return f"{line.body['tool']} {_UNDONE[line.body['status']]}"
    return str(line.body.get("text", ""))


def _who_speaks(body: dict[str, Any]) -> str:
    if body["speaker"] == "agent":
        return (
            f"a person gave the conversation back to you after {body['seconds'] // 60} min and {body['said']} messages"
        )
    return "a person speaks from here on" if body["person"] else "you handed over to a person"


def told(effect: Effect) -> str:
    """One line: which tool, how it ended, and the ids that it left."""
    ids = [each for each in (effect.ticket_id, effect.task_id) if each]
    return " ".join([f"{effect.tool}: {effect.status}", *ids])


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ENTRY_CHARACTERS else f"{text[:MAX_ENTRY_CHARACTERS]}… [cut]"


def _latest(entries: list[Entry]) -> list[Entry]:
    kept: list[Entry] = []
    left = MAX_CHARACTERS
    for entry in reversed(entries[-MAX_ENTRIES:]):
        left -= len(entry.text)
        if left < 0:
            break
        kept.insert(0, entry)
    return kept
