"""What a client of OpenAI is told of a run: the events of a conversation as pieces of text. It can take nothing back.

The text of a turn is told when the turn is journaled. A client that asks for it live is told it as it is written, and,
should an attempt break off, that what it has read is void.
"""

import json
from collections.abc import Generator
from typing import Any, Literal, NamedTuple

from runtime.api.problems import Problem

TAKEN_BACK = "\n\n*(What I have just written is void.)*\n\n"
STOPPED = "This was stopped."
A_PERSON_READS = "A member of our staff has this conversation and reads it. Write again to see their answer."


class Frame(NamedTuple):
    """One server-sent event of a conversation."""

    id: str
    kind: str
    data: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        return self.data.get("body") or {}


class Piece(NamedTuple):
    """What follows on what was told before."""

    kind: Literal["content", "reasoning_content"]
    text: str


def frames_in(sent: bytes) -> Generator[Frame]:
    """Those of whole frames that say something."""
    for each in sent.split(b"\n\n"):
        fields: dict[str, str] = {}
        for line in each.decode().split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if "event" in fields and "data" in fields:
            yield Frame(fields.get("id", ""), fields["event"], json.loads(fields["data"]))


class Telling:
    """Follows the run that answers an input: from the input's own event on, which stands at `position` in the
    transcript. `run` is that run if it is known, else the next one to begin but `former`.

    `is_over` says that no more comes; `outcome` and `tickets` are those of the answer.
    """

    def __init__(self, position: int, run: str, former: str = "", *, live: bool = False, steps: bool = False) -> None:
        self._position, self._run, self._former = position, run, former
        self._live, self._steps = live, steps
        self._has_begun = False
        self._paragraphs, self._before = 0, 0
        """How many were told, and how many of them before the input."""
        self._said: list[str] = []
        """What the run itself said."""
        self._written = ""
        """What was told live of a text that is not settled."""
        self.is_over, self.was_stopped = False, False
        self.outcome, self.tickets = "", list[str]()

    @property
    def has_told(self) -> bool:
        """Whether there was anything to tell since the input."""
        return self._paragraphs > self._before

    def take(self, frame: Frame) -> list[Piece]:
        """What is to be told because of this event."""
        kind, body, run = frame.kind, frame.body, frame.data.get("run")
        if not self._has_begun:
            self._begin(kind, body)
            return []
        if kind == "run_started" and not self._run and run != self._former:
            self._run = str(run)
        if kind == "owner" and not self._run and body.get("speaker") != "agent":
            self.is_over = True
            return self.say(A_PERSON_READS)
        if kind == "person":
            return self.say(str(body.get("text", "")))
        if not self._run or run != self._run:
            return []
        match kind:
            case "text" if self._live:
                return self._write(self._written[: frame.data["keep"]] + frame.data["text"])
            case "turn" if not body.get("last"):
                return self._say_once(str(body.get("text") or ""))
            case "answer":
                self.outcome, self.tickets = str(body.get("outcome", "")), list(body.get("tickets", []))
                return self._say_once(str(body.get("text", "")))
            case "note":
                return self._say_once(str(body.get("text", "")))
            case "tool_started" if self._steps:
                return [Piece("reasoning_content", f"{_plain(body)} ...\n")]
            case "tool_finished" if self._steps:
                return [Piece("reasoning_content", f"{_plain(body)}: {body.get('status', '')}\n")]
            case "run_stopped":
                self.was_stopped = True
            case "run_ended":
                self.is_over = True
            case _:
                pass
        return []

    def _begin(self, kind: str, body: dict[str, Any]) -> None:
        """Raises: `Problem` when the input is no longer in the log, and so is its answer."""
        if kind == "gap":
            raise Problem("failed")
        self._has_begun = kind == "input" and body.get("position") == self._position
        self._before = self._paragraphs
        if self._has_begun and body.get("type") == "stop":
            self.is_over = self.was_stopped = True

    def say(self, text: str) -> list[Piece]:
        """A paragraph that is final; it takes the place of what was told live."""
        written, self._written = self._written, ""
        if not text.strip():
            return [Piece("content", TAKEN_BACK)] if written else []
        self._paragraphs += 1
        if written:
            return _going_on(written, text)
        return [Piece("content", text if self._paragraphs == 1 else f"\n\n{text}")]

    def _say_once(self, text: str) -> list[Piece]:
        """The words of the run: its last turn is often its answer."""
        if not self._written and text in self._said:
            return []
        self._said.append(text)
        return self.say(text)

    def _write(self, text: str) -> list[Piece]:
        before, self._written = self._written, text
        if not before and text and self._paragraphs:
            return [Piece("content", f"\n\n{text}")]
        return _going_on(before, text)


def _going_on(before: str, text: str) -> list[Piece]:
    if not text.startswith(before):
        return [Piece("content", TAKEN_BACK + text)]
    return [Piece("content", text[len(before) :])] if len(text) > len(before) else []


def _plain(body: dict[str, Any]) -> str:
    return str(body.get("tool", "")).replace("_", " ")
