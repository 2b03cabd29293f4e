"""A tool's schema as it is sent to a model: without what no model needs, since every word of it is paid at each turn.

The router checks the arguments against the whole schema, so what is left out here is still enforced.
"""

import json
from typing import Any, cast

Schema = dict[str, Any]

MAX_LENGTH_SENT = 1999
"""llama.cpp makes a grammar of a schema, and none of a longer bound."""

_NOISE = {
    *("title", "examples", "example", "$schema", "$comment", "$id", "readOnly", "writeOnly", "deprecated"),
    *("uniqueItems", "minLength", "minProperties", "maxProperties", "contentEncoding", "contentMediaType"),
}
_BOUNDS = ("maxLength", "maxItems", "minItems")
_BARE = {"type", "description", "properties", "required", "items", "enum", "anyOf"}
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def slim(schema: Schema) -> Schema:
    """The schema of a tool's arguments as most endpoints take it."""
    return _without_unused(_slim(_inlined(schema, schema, ())))


def bare(schema: Schema) -> Schema:
    """The names, types, descriptions and choices alone, for an endpoint that refuses more."""
    return _bare(_inlined(slim(schema), schema, ()))


def _slim(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    found = {key: value for key, value in cast(Schema, node).items() if not _is_noise(key, value)}
    if (one := _not_null(found)) is not None:
        found = {**{key: value for key, value in found.items() if key != "anyOf"}, **one}
        if found.get("default", "") is None:
            del found["default"]
    return {key: _part(key, value, _slim) for key, value in found.items() if not _is_noise(key, value)}


def _is_noise(key: str, value: Any) -> bool:
    if key == "pattern":
        return not (isinstance(value, str) and value.startswith("^") and value.endswith("$") and "(?" not in value)
    if key in _BOUNDS:
        return not isinstance(value, int) or value > MAX_LENGTH_SENT or value <= 1
    if key == "additionalProperties":
        return value is False
    return key in _NOISE or (key == "default" and value is None)


def _not_null(node: Schema) -> Schema | None:
    """The one part of an `anyOf` with null; leaving the argument out says the same."""
    parts = cast(list[Any], node["anyOf"]) if isinstance(node.get("anyOf"), list) else []
    others = [part for part in parts if part != {"type": "null"}]
    if len(others) == 1 and len(parts) == 2 and isinstance(others[0], dict):
        return cast(Schema, others[0])
    return None


def _part(key: str, value: Any, change: Any) -> Any:
    if key in _MAPS and isinstance(value, dict):
        return {name: change(part) for name, part in cast(Schema, value).items()}
    if key in _LISTS and isinstance(value, list):
        return [change(part) for part in cast(list[Any], value)]
    return change(value) if key in _SCHEMAS else value


def _inlined(node: Any, document: Schema, within: tuple[str, ...]) -> Any:
    """Each reference replaced by what it names, unless that names itself or is named more than once."""
    if not isinstance(node, dict):
        return node
    found = cast(Schema, node)
    ref = found.get("$ref")
    if isinstance(ref, str) and ref not in within and json.dumps(document).count(json.dumps(ref)) == 1:
        target = _named(document, ref)
        if target is not None:
            beside = {key: value for key, value in found.items() if key != "$ref"}
            return _inlined({**target, **beside}, document, (*within, ref))

    def inlined(part: Any) -> Any:
        return _inlined(part, document, within)

    return {key: _part(key, value, inlined) for key, value in found.items()}


def _named(document: Schema, ref: str) -> Schema | None:
    _, section, *rest = ref.split("/")
    found = cast(Schema, document.get(section, {})).get("/".join(rest)) if rest else None
    return cast(Schema, found) if isinstance(found, dict) else None


def _without_unused(schema: Schema) -> Schema:
    """Definitions that nothing refers to any more are left out."""
    for section in ("$defs", "definitions"):
        if section in schema:
            used = json.dumps(schema)
            kept = {name: part for name, part in schema[section].items() if f'"#/{section}/{name}"' in used}
            schema = {key: value for key, value in schema.items() if key != section} | ({section: kept} if kept else {})
    return schema


def _bare(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    found = {key: value for key, value in cast(Schema, node).items() if key in _BARE}
    return {key: _part(key, value, _bare) for key, value in found.items()} or {"type": "string"}
