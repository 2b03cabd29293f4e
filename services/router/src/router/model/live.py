"""A reply that is read while it is written: what of its text may be shown already."""

import codecs
import json
import re
from collections.abc import Callable, Collection
from typing import Any, cast

from router.model.thinking import final_channel, thinks_unmarked, without_thinking
from router.model.written import read_written
from router.transcript import ASK_AGAIN

OnText = Callable[[str], None]
"""Told what of a reply may be shown so far, whole each time: a shorter text takes the former back. It never raises."""

_MARKS = (
    *("<think", "</think", "<thought", "<reasoning", "<reflection", "<seed:think", "[think]", "[/think]", "◁think▷"),
    *("<s>", "</s>", "<end_of_turn>", "<start_of_turn>", "<|", "<tool_call", "<function", "<tool_use", "<toolcall"),
    *("[tool_calls]", "functools[", "[inst]", "[/inst]", "[available_tools]", "[tool_results]"),
    *("<tools", "</tools", "<tool_res", "</tool_res", "<function_res", "</function_res"),
    *(asked.lower() for asked in ASK_AGAIN.values()),
)
"""How what is not for a reader begins, in small letters."""

_BEGUN = re.compile(
    r"<\||<(?:tool_call|function_call|tool_use|toolcall|think\w*|thought|reasoning|reflection|seed:think)\b"
    r"|<function=|\[TOOL_CALLS\]|\bfunctools\s*\[|</?(?:tools\b|tool_res|function_res)"
    r"|\[(?:AVAILABLE_TOOLS|TOOL_RESULTS)\]",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_VALUE = re.compile(r"(?:\A|\n)\s*(?P<value>[\[{](?=[\s\[{\"'\d\]}]|\Z))")
_PYTHON = re.compile(r"\A[\s\[]*(?P<word>[\w.-]*)(?P<call>\()?")
_DECODER = json.JSONDecoder()


class Live:
    """Follows a stream, and tells whenever more of its text may be shown.

    It judges nothing: what a reply means is read from the whole of it, by `read_reply`. `thinks_first`: the endpoint is
    known to begin with thinking that it does not mark.
    """

    def __init__(self, on_text: OnText, names: Collection[str], *, thinks_first: bool = False) -> None:
        self._on_text = on_text
        self._names = names
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._raw = ""
        self._shown = ""
        self._thinks_first = thinks_first

    @property
    def thought_unmarked(self) -> bool:
        """Whether thinking stood in the text whose beginning was not marked."""
        return thinks_unmarked(self._raw)

    def add(self, part: bytes) -> None:
        *lines, self._line = (self._line + self._decoder.decode(part)).split("\n")
        before = len(self._raw)
        for line in lines:
            self._raw += _text_of(line)
        if len(self._raw) > before and not (self._thinks_first and not self.thought_unmarked):
            self.show(showable(self._raw, self._names))

    def show(self, text: str) -> None:
        if text != self._shown:
            self._shown = text
            self._on_text(text)


def _text_of(line: str) -> str:
    """What an event adds to the text of the first choice; nothing if it is no such event."""
    if not line.startswith("data:"):
        return ""
    try:
        found: Any = json.loads(line.removeprefix("data:"))
        choice = cast(dict[str, Any], found["choices"][0])
        message = cast(dict[str, Any], choice.get("delta") or choice.get("message") or {})
        said = message.get("content")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""
    return said if isinstance(said, str) and not choice.get("index") else ""


def showable(raw: str, names: Collection[str]) -> str:
    """What a reply that begins so says to its reader, up to the first character that may belong to something else."""
    text = without_thinking(raw)
    if "<|channel|>" in text:
        return _certain(final_channel(text), names) if "final<|message|>" in text else ""
    return final_channel(read_written(_certain(text, names), names).text).strip()


def _certain(text: str, names: Collection[str]) -> str:
    """The text up to where a call, a mark of thinking or a channel begins, or may begin."""
    word = _PYTHON.match(text)
    if word and _may_be_call(word, names):
        return ""
    places = [len(text) - _part_of_mark(text)]
    if begun := _BEGUN.search(text):
        places.append(begun.start())
    fences = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    places.append(fences.find("```") if "```" in fences else len(fences.rstrip("`")))
    places += [value.start("value") for value in _VALUE.finditer(fences) if _goes_on(fences[value.start("value") :])]
    return text[: min(places)]


def _may_be_call(word: re.Match[str], names: Collection[str]) -> bool:
    """Whether the text may be a call in Python: the name of a tool, perhaps not whole yet, then a parenthesis."""
    name = word["word"].removeprefix("functions.")
    if word["call"]:
        return name in names
    return word.end() == len(word.string) and any(each.startswith(name) for each in names if name)


def _part_of_mark(text: str) -> int:
    """How many of the last characters may be the beginning of a mark."""
    tail = text[-max(map(len, _MARKS)) :].lower()
    lengths = range(len(tail), 0, -1)
    return next((length for length in lengths if any(mark.startswith(tail[-length:]) for mark in _MARKS)), 0)


def _goes_on(text: str) -> bool:
    """Whether the JSON value with which a text begins may be all of the rest."""
    try:
        return not text[_DECODER.raw_decode(text)[1] :].strip()
    except (ValueError, RecursionError):
        return True
