"""Which parts of a JSON schema apply to a value, and to what of it: for whoever bounds, closes or checks schemas."""

from collections.abc import Iterator
from typing import Any, cast

Schema = dict[str, Any]

DEFINITIONS = ("$defs", "definitions")

_HERE_ONE = ("not", "if", "then", "else")
_HERE_LIST = ("anyOf", "oneOf", "allOf")
_HERE_MAP = ("dependentSchemas", "dependencies")
_BELOW_ONE = (
    *("items", "additionalItems", "unevaluatedItems", "contains"),
    *("additionalProperties", "unevaluatedProperties", "propertyNames"),
)
_BELOW_LIST = ("prefixItems", "items")
_BELOW_MAP = ("properties", "patternProperties")


def as_schema(value: Any) -> Schema:
    """The value if it is an object, else an empty schema: what is no object holds no further schemas."""
    return cast(Schema, value) if isinstance(value, dict) else {}


def target(document: Schema, ref: Any) -> Any:
    """What a reference within the document points at; None if that is nothing."""
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return None
    found: Any = document
    for step in ref[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            items = cast(list[Any], found)
            found = items[int(name)] if name.isdecimal() and int(name) < len(items) else None
        else:
            found = as_schema(found).get(name)
    return found


def applied_here(document: Schema, node: Schema) -> Iterator[Schema]:
    """The parts that apply to the same value as the node does, what it refers to among them."""
    if "$ref" in node:
        yield as_schema(target(document, node["$ref"]))
    yield from _parts(node, _HERE_ONE, _HERE_LIST, _HERE_MAP)


def applied_below(node: Schema) -> Iterator[Schema]:
    """The parts that apply to members and elements of the value."""
    yield from _parts(node, _BELOW_ONE, _BELOW_LIST, _BELOW_MAP)


def _parts(node: Schema, one: tuple[str, ...], many: tuple[str, ...], named: tuple[str, ...]) -> Iterator[Schema]:
    for key, value in node.items():
        if key in one and isinstance(value, dict):
            yield cast(Schema, value)
        elif key in many and isinstance(value, list):
            yield from (as_schema(part) for part in cast(list[Any], value))
        elif key in named and isinstance(value, dict):
            yield from (as_schema(part) for part in cast(Schema, value).values())
