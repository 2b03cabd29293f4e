"""How much work it is to check arguments against a schema, counted before it is done.

The library that checks them holds Python's lock while it does, so a check that takes minutes would stop every other
question. A schema whose branches lead back to itself multiplies them at each level of the arguments.
"""

from typing import Any, cast

from runtime.schemas import Schema, applied_below, applied_here, as_schema

MAX_WORK = 200_000
"""Steps of a check that answers yes or no: it stops early, and repeats little."""

MAX_EXPLAINED = 2_000
"""Steps of a check that says what is wrong: it tries each branch."""

MAX_COPIED = 5_000_000
"""Steps of such a check times the characters of the arguments, since it copies what it finds."""

MAX_PAIRS = 50_000
"""Pairs of a part of the schema and a part of the arguments that are looked at to count the steps."""

UNIQUE = 10
"""Steps for an element that has to differ from all others."""

REPEATED = 50
"""Steps for a character and each counted repetition, such as `{1,60}`, of a pattern that has several: nested, they are
slow."""


def work(schema: Schema, value: Any, most: int) -> int:
    """The steps, each part of the schema counted as often as it is applied; `most` + 1 when there are more."""
    try:
        return min(_Count(schema, most).of(schema, value), most + 1)
    except (_TooMuch, RecursionError):
        return most + 1


class _TooMuch(Exception):
    pass


class _Count:
    def __init__(self, document: Schema, most: int) -> None:
        self._document = document
        self._most = most
        self._known: dict[tuple[int, int], int] = {}

    def of(self, node: Schema, value: Any) -> int:
        pair = id(node), id(value)
        if pair in self._known:
            return self._known[pair]
        if isinstance(value, dict | list) and len(cast(list[Any], value)) > MAX_PAIRS:
            raise _TooMuch
        steps = _own(node, value) + sum(self.of(part, value) for part in applied_here(self._document, node))
        steps += sum(self.of(part, item) for part, item in _below(node, value))
        if steps > self._most or len(self._known) > MAX_PAIRS:
            raise _TooMuch
        self._known[pair] = steps
        return steps


def _below(node: Schema, value: Any) -> list[tuple[Schema, Any]]:
    """The parts that apply to members and elements of the value, each with what it applies to."""
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        named = as_schema(node.get("properties"))
        pairs = [(as_schema(named[name]), item) for name, item in members.items() if name in named]
        others = applied_below({key: part for key, part in node.items() if key != "properties"})
        return pairs + [(part, item) for part in others for item in members.values()]
    if isinstance(value, list):
        return [(part, item) for part in applied_below(node) for item in cast(list[Any], value)]
    return []


def _own(node: Schema, value: Any) -> int:
    """The steps that a part takes by itself."""
    lists = sum(len(cast(list[Any], node[key])) for key in ("enum", "required") if isinstance(node.get(key), list))
    if isinstance(value, list) and node.get("uniqueItems") is True:
        return 1 + lists + UNIQUE * len(cast(list[Any], value))
    if isinstance(value, str) and isinstance(node.get("pattern"), str):
        return 1 + lists + _matching(node["pattern"], value)
    if isinstance(value, dict):
        names = cast(dict[str, Any], value)
        patterns = as_schema(node.get("patternProperties"))
        return 1 + lists + sum(_matching(pattern, name) for pattern in patterns for name in names)
    return 1 + lists


def _matching(pattern: str, text: str) -> int:
    repetitions = pattern.count("{")
    return len(text) * (1 if repetitions < 2 else REPEATED * repetitions) // 10
