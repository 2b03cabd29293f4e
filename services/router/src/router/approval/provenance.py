"""Provenance: whether where an effect goes was said by the customer, or found by a tool whose results are trusted.

Nothing that a model writes counts, nor what it put into a call and got back from it: a model that obeys whatever it
reads can bring no destination of its own in here.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from contracts import Tool
from router.approval.words import Text
from router.transcript import CUT
from router.turn import Plan, Result, Turn
from runtime.schemas import as_schema

_LAST_WORD = re.compile(r"[^\s\"]*$")


@dataclass(frozen=True)
class Grounds:
    """What a destination may stand in: the customer's own words, and what the run has found so far."""

    said: Sequence[str] = ()
    turns: Sequence[Turn] = ()
    results: Sequence[Sequence[Result]] = field(default_factory=list[list[Result]])

    def know(self, value: str) -> bool:
        return any(text.holds(value) for text in self._said) or self._was_found(value)

    def _was_found(self, value: str) -> bool:
        """By a trusted tool, before the model wrote it itself."""
        for written, found in self._calls:
            if any(text.holds(value) for text in written):
                return False
            if any(text.holds(value) for text in found):
                return True
        return False

    @cached_property
    def _said(self) -> list[Text]:
        return [Text(text) for text in self.said]

    @cached_property
    def _calls(self) -> list[tuple[list[Text], list[Text]]]:
        """Turn by turn: what the model wrote into its calls, and what trusted tools then answered."""
        return [
            (
                [Text(text) for plan in turn.plans for text in _texts_of(_read(plan.arguments))],
                [Text(text) for plan, result in zip(turn.plans, results, strict=True) for text in _found(plan, result)],
            )
            for turn, results in zip(self.turns, self.results, strict=False)
        ]


def unknown_destinations(plan: Plan, tool: Tool, grounds: Grounds) -> list[str]:
    """The properties of this call that say where it goes, with a value that nobody but the model has brought up."""
    arguments = as_schema(json.loads(plan.body))
    named = frozenset(_property_names(tool.parameters))
    return [
        name
        for name in tool.destinations
        if name not in tool.bind and not all(_is_known(leaf, grounds) for leaf in _leaves(arguments.get(name), named))
    ]


def _is_known(leaf: str | float | bool, grounds: Grounds) -> bool:
    if isinstance(leaf, bool):
        return False
    value = leaf if isinstance(leaf, str) else _number(leaf)
    return not value.strip() or grounds.know(value) or _are_known(_addresses(value), grounds)


def _are_known(addresses: list[str], grounds: Grounds) -> bool:
    return bool(addresses) and all(grounds.know(address) for address in addresses)


def _addresses(value: str) -> list[str]:
    """The addresses of a list that is written as one text."""
    parts = [part.strip() for part in value.replace(";", ",").split(",")]
    return parts if all("@" in part and len(part.split()) == 1 for part in parts) else []


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _leaves(value: Any, named: frozenset[str]) -> Iterator[str | float | bool]:
    """All that stands in a value. The names in an object are the model's own where the schema does not give them."""
    if isinstance(value, dict):
        for name, part in cast(dict[str, Any], value).items():
            if name not in named:
                yield name
            yield from _leaves(part, named)
    elif isinstance(value, list):
        for part in cast(list[Any], value):
            yield from _leaves(part, named)
    elif value is not None:
        yield value


def _property_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        node = cast(dict[str, Any], schema)
        yield from as_schema(node.get("properties"))
        for part in node.values():
            yield from _property_names(part)
    elif isinstance(schema, list):
        for part in cast(list[Any], schema):
            yield from _property_names(part)


def _found(plan: Plan, result: Result) -> Iterator[str]:
    if plan.trusted and result.status == "ok":
        yield from map(_whole, _texts_of(as_schema(_read(result.content)).get("untrusted_data")))


def _whole(text: str) -> str:
    """Without the last word of what was cut, which may be half of one."""
    before, mark, _ = text.rpartition(CUT)
    return _LAST_WORD.sub("", before) if mark else text


def _texts_of(value: Any) -> Iterator[str]:
    """Each by itself: a value that is put together from two of them stands in none."""
    return (str(leaf) if isinstance(leaf, str) else _number(leaf) for leaf in _leaves(value, frozenset()))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
