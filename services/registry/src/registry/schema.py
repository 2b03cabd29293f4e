"""Closes a tool's JSON schema, so that the model can send what was meant and nothing else.

The schema comes from whoever wrote the tool. What cannot be closed with certainty is refused.
"""

import json
from typing import Any, cast

import jsonschema_rs

MAX_DEPTH = 32

Schema = dict[str, Any]

_ONE = ("items", "additionalProperties", "then", "else")
_LIST = ("prefixItems", "items", "anyOf", "oneOf", "allOf")
_MAP = ("properties", "patternProperties", "$defs", "definitions")
_DEFINITIONS = ("$defs", "definitions")

_SAME_OBJECT = ("$ref", "anyOf", "oneOf", "allOf", "if", "then", "else", "dependentSchemas")
"""Beside `properties` these describe the same object in a second place: closing one part forbids the other."""

_TURNS_ROUND = ("not", "if", "contains")
"""Inside these, closing a definition would open the whole."""


class UnusableSchema(Exception):
    """The schema cannot be offered; the message says why."""


def closed(schema: object, bound: set[str]) -> Schema:
    """The schema without its bound properties, titles and ids, and closed at every object level."""
    top = _top_level(schema)
    for name in sorted(bound - top["properties"].keys()):
        raise UnusableSchema(f"the bound property {name!r} is not in the input schema")
    offered = _without(_closed({**top, "additionalProperties": False}, 0), bound)
    _compile(offered)
    return offered


def required_strings(schema: Schema) -> set[str]:
    """The properties that are always present and always strings."""
    always = set(schema.get("required", []))
    properties = schema["properties"].items()
    return {name for name, value in properties if name in always and _target(schema, value).get("type") == "string"}


def _top_level(schema: object) -> Schema:
    if not isinstance(schema, dict):
        raise UnusableSchema("the handler publishes no JSON schema for its input")
    document = cast(Schema, schema)
    if "properties" not in document:  # a recursive model publishes its top level as a reference
        kept = {key: document[key] for key in (*_DEFINITIONS, "$schema") if key in document}
        document = {**_target(document, document), **kept}
    if document.get("type") != "object":
        raise UnusableSchema("the input must be one JSON object")
    top: Schema = {"properties": {}, "required": [], **document}
    if not isinstance(top["properties"], dict) or not _are_names(top["required"]):
        raise UnusableSchema("`properties` must be an object and `required` a list of names")
    return top


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in cast(list[Any], value))


def _target(document: Schema, schema: Any) -> Schema:
    """The schema itself, or the definition that it refers to."""
    node = _as_dict(schema)
    for section in _DEFINITIONS:
        prefix, ref = f"#/{section}/", node.get("$ref")
        if isinstance(ref, str) and ref.startswith(prefix):
            return _as_dict(_as_dict(document.get(section)).get(ref.removeprefix(prefix)))
    return node


def _as_dict(value: Any) -> Schema:
    return cast(Schema, value) if isinstance(value, dict) else {}


def _without(top: Schema, bound: set[str]) -> Schema:
    offered = {key: value for key, value in top.items() if key not in ("required", "examples")}
    offered["properties"] = {name: value for name, value in top["properties"].items() if name not in bound}
    if required := [name for name in top["required"] if name not in bound]:
        offered["required"] = required
    if not bound and "examples" in top:
        offered["examples"] = top["examples"]
    return offered


def _closed(schema: Any, depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise UnusableSchema("a part of it is no JSON schema")
    node = {key: value for key, value in cast(Schema, schema).items() if not _is_noise(key, value)}
    _refuse_what_cannot_be_closed(node, depth)
    result = {key: _closed_part(key, value, depth + 1) for key, value in node.items()}
    return {"additionalProperties": False, **result} if _is_object(node) else result


def _closed_part(key: str, value: Any, depth: int) -> Any:
    if key in _MAP and isinstance(value, dict):
        return {name: _closed(part, depth) for name, part in cast(Schema, value).items()}
    if key in _LIST and isinstance(value, list):
        return [_closed(part, depth) for part in cast(list[Any], value)]
    return _closed(value, depth) if key in _ONE else value


def _refuse_what_cannot_be_closed(node: Schema, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UnusableSchema(f"it is nested deeper than {MAX_DEPTH} levels")
    if not str(node.get("$ref", "#/")).startswith("#/"):
        raise UnusableSchema("a `$ref` leaves the document")
    for keyword in ("$id", "$dynamicRef", "$recursiveRef"):
        if keyword in node and depth:
            raise UnusableSchema(f"`{keyword}` is not supported")
    for keyword in _SAME_OBJECT:
        if keyword in node and _is_object(node):
            raise UnusableSchema(f"`{keyword}` beside the properties of an object cannot be closed")
    if "allOf" in node and len(_as_list(node["allOf"])) != 1:
        raise UnusableSchema("`allOf` with several parts cannot be closed")
    if any("$ref" in json.dumps(node.get(keyword)) for keyword in _TURNS_ROUND):
        raise UnusableSchema("a `$ref` inside `not`, `if` or `contains` cannot be closed")


def _as_list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _is_object(node: Schema) -> bool:
    kind = node.get("type")
    return "properties" in node or kind == "object" or (isinstance(kind, list) and "object" in kind)


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)


def _compile(schema: Schema) -> None:
    try:
        jsonschema_rs.validator_for(schema, offline=True)
    except ValueError as error:
        first_line = str(error).partition("\n")[0]
        raise UnusableSchema(f"it does not compile: {first_line[:200]}") from error
