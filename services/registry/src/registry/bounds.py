"""How large a tool's schema may be. Whoever reads, sends or checks it pays for its size, each time."""

import json
from typing import Any, cast

from runtime.bounded import is_too_deep
from runtime.schemas import DEFINITIONS, Schema, applied_below, applied_here, as_schema

MAX_BYTES = 32 * 1024
MAX_NODES = 500
MAX_DEPTH = 32
MAX_PATHS = 10_000
"""Parts that a check may come by, each counted as often as references and branches lead to it."""


class UnusableSchema(Exception):
    """The schema cannot be offered; the message says why, and what to change."""


def check_bounds(schema: Schema) -> None:
    """Raises `UnusableSchema`; never recurses deeper than the bounds."""
    if is_too_deep(schema, 2 * MAX_DEPTH):  # a level of the schema is two of JSON: `properties`, and what it holds
        raise UnusableSchema(f"it is nested deeper than {MAX_DEPTH} levels")
    size = len(json.dumps(schema).encode())
    if size > MAX_BYTES:
        raise UnusableSchema(f"it has {size} bytes, and may have {MAX_BYTES}: shorten descriptions, enums and examples")
    nodes = _count(schema)
    if nodes > MAX_NODES:
        raise UnusableSchema(f"it has {nodes} parts, and may have {MAX_NODES}: split the tool")
    _Paths(schema).of(schema, 0, ())


def _count(value: Any) -> int:
    """How many objects there are in it, at any level."""
    count, level = 0, [value]
    while level:
        count += sum(isinstance(each, dict) for each in level)
        level = [item for each in level for item in _items(each)]
    return count


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast(Schema, value).values())
    return cast(list[Any], value) if isinstance(value, list) else []


def _definitions(node: Schema) -> list[Schema]:
    """Those that nobody refers to are closed too."""
    return [as_schema(part) for section in DEFINITIONS for part in as_schema(node.get(section)).values()]


class _Paths:
    """How many parts there would be if each reference were written out, a recursive one once."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: Schema, depth: int, same_value: tuple[int, ...]) -> int:
        """`same_value` are the nodes above that apply to the same value."""
        if id(node) in same_value:
            raise UnusableSchema("a definition refers to itself without a property or an element between")
        if depth > 2 * MAX_DEPTH:
            raise UnusableSchema(f"it is nested deeper than {MAX_DEPTH} levels through its references")
        if id(node) in self._open:
            return 1
        if id(node) not in self._known:
            self._open.add(id(node))
            here = (*same_value, id(node))
            paths = 1 + sum(self.of(part, depth + 1, here) for part in applied_here(self._document, node))
            paths += sum(self.of(part, depth + 1, ()) for part in (*applied_below(node), *_definitions(node)))
            self._open.discard(id(node))
            if paths > MAX_PATHS:
                raise UnusableSchema(f"its references and branches lead to more than {MAX_PATHS} parts: use fewer")
            self._known[id(node)] = paths
        return self._known[id(node)]
