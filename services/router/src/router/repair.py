"""Arguments that can mean one thing only, although they are not written as the schema wants them."""

import json
import re
from typing import Any, cast

from runtime.bounded import MAX_DEPTH, is_too_deep

Schema = dict[str, Any]

MAX_ENCODED = 3
_DECODER = json.JSONDecoder()
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Unreadable(ValueError):
    """What was written is no JSON object; the message says where, for the model to mend."""


def read_arguments(text: str) -> tuple[dict[str, Any], list[str]]:
    """The object that a model wrote, and what had to be mended to read it.

    Raises: `Unreadable`.
    """
    if not text.strip():
        return {}, ["blank"] if text else []
    repaired: list[str] = []
    value: Any = text
    for level in range(MAX_ENCODED):
        if not isinstance(value, str):
            break
        if level == 1:
            repaired.append("encoded_twice")
        value = _value(value, repaired)
    if value is None:
        return {}, ["null"]
    if not isinstance(value, dict) or is_too_deep(value):
        raise Unreadable(f"the arguments are not a JSON object of at most {MAX_DEPTH} levels")
    return cast(dict[str, Any], value), repaired


def _value(text: str, repaired: list[str]) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Unreadable(f"the arguments are not a JSON object of at most {MAX_DEPTH} levels") from None
    except ValueError as error:
        value = _amid_text(text)
        if value is None:
            where = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise Unreadable(f"the arguments are not a JSON object: {where}") from None
        repaired.append("text_around")
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _amid_text(text: str) -> dict[str, Any] | None:
    """The one object in a text; the same one again counts as once, another one makes it ambiguous."""
    found: dict[str, Any] | None = None
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        if found is not None and value != found:
            return None
        found, at = cast(dict[str, Any], value), text.find("{", end)
    return found


def repair(arguments: dict[str, Any], schema: Schema) -> tuple[dict[str, Any], list[str]]:
    """The arguments with each value of another type than its property wants turned into the one that it can mean."""
    repaired: list[str] = []
    return _object(arguments, schema, schema, repaired, 0), repaired


def _object(value: dict[str, Any], schema: Schema, document: Schema, repaired: list[str], depth: int) -> dict[str, Any]:
    properties = cast(Schema, schema.get("properties") or {})
    return {
        key: _repaired(item, _target(properties[key], document), document, repaired, depth + 1)
        if key in properties
        else item
        for key, item in value.items()
    }


def _repaired(value: Any, schema: Schema, document: Schema, repaired: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    wanted = _types(schema, document)
    if wanted and not _is_of(value, wanted):
        value = _converted(value, wanted, repaired)
    if isinstance(value, dict):
        return _object(cast(dict[str, Any], value), _part_for(schema, "object", document), document, repaired, depth)
    if isinstance(value, list):
        items = _target(_part_for(schema, "array", document).get("items"), document)
        return [_repaired(item, items, document, repaired, depth + 1) for item in cast(list[Any], value)]
    return value


def _converted(value: Any, wanted: set[str], repaired: list[str]) -> Any:
    """The wanted value that a string holds, or that is whole although it is written with a point."""
    if isinstance(value, str):
        for kind, read in (("number_in_string", _as_number), ("encoded_value", _as_json)):
            found = read(value, wanted)
            if found is not None:
                repaired.append(kind)
                return found
        if "null" in wanted and value.strip().lower() in ("null", "none", ""):
            repaired.append("null")
            return None
    if isinstance(value, float) and "integer" in wanted and value.is_integer():
        repaired.append("whole_number")
        return int(value)
    return value


def _as_number(value: str, wanted: set[str]) -> Any:
    if not _NUMBER.fullmatch(value.strip()) or not wanted & {"integer", "number"} or len(value) > 32:
        return None
    number = float(value)
    return (
        int(value)
        if "." not in value
        else int(number)
        if number.is_integer()
        else number
        if "number" in wanted
        else None
    )


def _as_json(value: str, wanted: set[str]) -> Any:
    if value.strip().lower() in ("true", "false") and "boolean" in wanted:
        return value.strip().lower() == "true"
    if not value.strip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if _is_of(found, wanted) else None


def _is_of(value: Any, wanted: set[str]) -> bool:
    kinds = {
        str: {"string"},
        bool: {"boolean"},
        int: {"integer", "number"},
        float: {"number"},
        list: {"array"},
        dict: {"object"},
        type(None): {"null"},
    }
    return bool(kinds.get(cast(type[Any], type(value)), set()) & wanted)


def _types(schema: Schema, document: Schema) -> set[str]:
    """The types that a value may have; empty when the schema does not say."""
    kind = schema.get("type")
    if isinstance(kind, str):
        return {kind} | ({"null"} if schema.get("nullable") is True else set())
    if isinstance(kind, list):
        return set(cast(list[str], kind))
    found: set[str] = set()
    for part in _parts(schema, document):
        types = _types(part, document) if "anyOf" not in part and "oneOf" not in part else set[str]()
        if not types:
            return set()
        found |= types
    return found


def _part_for(schema: Schema, kind: str, document: Schema) -> Schema:
    """The part that describes values of one type: the schema itself, or the only such part of its `anyOf`."""
    parts = [part for part in _parts(schema, document) if kind in _types(part, document)]
    return parts[0] if len(parts) == 1 else schema


def _parts(schema: Schema, document: Schema) -> list[Schema]:
    found = cast(list[Any], schema.get("anyOf") or schema.get("oneOf") or [])
    return [_target(part, document) for part in found]


def _target(schema: Any, document: Schema) -> Schema:
    node = cast(Schema, schema) if isinstance(schema, dict) else {}
    for _ in range(MAX_DEPTH):
        ref = node.get("$ref")
        if not isinstance(ref, str):
            break
        _, section, *rest = ref.split("/")
        found = cast(Schema, document.get(section, {})).get("/".join(rest)) if rest else None
        node = cast(Schema, found) if isinstance(found, dict) else {}
    return node
