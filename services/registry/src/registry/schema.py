"""Closes a tool's JSON schema, so that the model can send what was meant and nothing else.

The schema comes from whoever wrote the tool. What cannot be closed with certainty is refused.

An object that names its properties admits no others. One that names none is free. Where several parts describe one
object (`allOf`, `anyOf` beside `properties`, ...), the parts stay open and the whole admits what any of them names.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import jsonschema_rs

from registry.bounds import MAX_DEPTH, UnusableSchema, check_bounds
from runtime.schemas import DEFINITIONS, Schema, applied_here, as_schema, target

_ONE = ("items", "additionalProperties", "then", "else")
_LIST = ("prefixItems", "items", "anyOf", "oneOf", "allOf")
_MAP = ("properties", "patternProperties", *DEFINITIONS)

_CHOICES = ("anyOf", "oneOf", "allOf")
_SAME_OBJECT = ("$ref", *_CHOICES, "if", "then", "else", "dependentSchemas")
"""These describe the same value in a second place."""

_TURNS_ROUND = ("not", "if", "contains")
"""Inside these, closing a definition would open the whole."""


def closed(schema: object, bound: set[str]) -> Schema:
    """The schema without its bound properties, titles and ids, and closed at every object level.

    Raises: `UnusableSchema`
    """
    if not isinstance(schema, dict):
        raise UnusableSchema("the handler publishes no JSON schema for its input")
    document = cast(Schema, schema)
    check_bounds(document)
    offered = _without(_Closing(_top_level(document)).whole(), bound)
    check_bounds(offered)
    _compile(offered)
    return offered


def required_strings(schema: Schema) -> set[str]:
    """The properties that are always present and always strings."""
    always = set(schema.get("required", []))
    properties = schema["properties"].items()
    return {name for name, value in properties if name in always and _target(schema, value).get("type") == "string"}


def _top_level(document: Schema) -> Schema:
    if "properties" not in document and "$ref" in document:  # so a recursive model is published
        kept = {key: document[key] for key in (*DEFINITIONS, "$schema") if key in document}
        document = {**_target(document, document), **kept}
    if "type" not in document and _Described.by(document, [document]).an_object:
        document = {"type": "object", **document}
    if document.get("type") != "object":
        raise UnusableSchema("the input must be one JSON object: say `type: object` and name its properties")
    top: Schema = {"properties": {}, "required": [], **document}
    if not isinstance(top["properties"], dict) or not _are_names(top["required"]):
        raise UnusableSchema("`properties` must be an object and `required` a list of names")
    if top["properties"] or ("additionalProperties" not in document and "properties" in document):
        top["additionalProperties"] = False
    return {key: value for key, value in top.items() if key != "nullable"}


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in cast(list[Any], value))


def _target(document: Schema, node: Any) -> Schema:
    """The schema itself, or the definition that it refers to."""
    schema = as_schema(node)
    return as_schema(target(document, schema["$ref"])) if "$ref" in schema else schema


@dataclass
class _Described:
    """What some parts say about one object."""

    names: set[str] = field(default_factory=set[str])
    patterns: set[str] = field(default_factory=set[str])
    is_free: bool = False

    @staticmethod
    def by(document: Schema, parts: Iterable[Schema]) -> "_Described":
        described = _Described()
        for part in parts:
            described._add(document, part)
        return described

    def _add(self, document: Schema, part: Schema) -> None:
        self.names |= as_schema(part.get("properties")).keys()
        self.patterns |= as_schema(part.get("patternProperties")).keys()
        self.is_free = self.is_free or part.get("additionalProperties", False) is not False
        for other in applied_here(document, part):
            self._add(document, other)

    @property
    def an_object(self) -> bool:
        return bool(self.names or self.patterns)


class _Closing:
    """One document that is being closed."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def whole(self) -> Schema:
        return self._closed(self._document, 0)

    def _closed(self, schema: Any, depth: int) -> Any:
        if isinstance(schema, bool):
            return schema
        node = self._node(schema, depth)
        described = _Described.by(self._document, applied_here(self._document, node))
        if not _is_one_of_several(node, described):
            return _nullable({**self._parts(node, depth), **self._end(node)})
        if described.an_object or _names_properties(node):
            return _nullable(self._merged(node, described, depth))
        return _nullable(self._parts(node, depth))

    def _end(self, node: Schema) -> Schema:
        return {"additionalProperties": False} if _names_properties(node) and _says_nothing_more(node) else {}

    def _merged(self, node: Schema, described: _Described, depth: int) -> Schema:
        """Open parts in an object that admits what any of them names."""
        own = self._parts(_but(node, _SAME_OBJECT), depth)
        own["properties"] = _admitting(described.names, own.get("properties"))
        if described.patterns:
            own["patternProperties"] = _admitting(described.patterns, own.get("patternProperties"))
        if _says_nothing_more(node) and not described.is_free:
            own["additionalProperties"] = False
        return {**own, **self._open_parts(node, depth)}

    def _open(self, schema: Any, depth: int) -> Any:
        """A part that describes the same object as others: what lies below it is closed, itself it is not."""
        if isinstance(schema, bool):
            return schema
        node = self._node(schema, depth)
        return {**self._parts(_but(node, _SAME_OBJECT), depth), **self._open_parts(node, depth)}

    def _open_parts(self, node: Schema, depth: int) -> Schema:
        """A definition is closed for those who refer to it alone; here it is written out, and open."""
        parts = {key: node[key] for key in _SAME_OBJECT if key in node}
        result: Schema = {key: value for key, value in parts.items() if key in ("if", "$ref")}
        for key, value in parts.items():
            if key in ("then", "else"):
                result[key] = self._open(value, depth + 1)
            elif key in _CHOICES:
                result[key] = [self._open(part, depth + 1) for part in _as_list(value)]
            elif key == "dependentSchemas":
                result[key] = {name: self._open(part, depth + 1) for name, part in as_schema(value).items()}
        if "$ref" in parts and _Described.by(self._document, [_target(self._document, parts)]).an_object:
            written_out = self._open(_target(self._document, parts), depth + 1)
            result = {**_but(result, ("$ref",)), "allOf": [*_as_list(result.get("allOf")), written_out]}
        return result

    def _node(self, schema: Any, depth: int) -> Schema:
        if not isinstance(schema, dict):
            raise UnusableSchema("a part of it is no JSON schema")
        node = {key: value for key, value in cast(Schema, schema).items() if not _is_noise(key, value)}
        _refuse_what_cannot_be_closed(node, depth)
        return node

    def _parts(self, node: Schema, depth: int) -> Schema:
        return {key: self._part(key, value, depth + 1) for key, value in node.items()}

    def _part(self, key: str, value: Any, depth: int) -> Any:
        if key in _MAP and isinstance(value, dict):
            return {name: self._closed(part, depth) for name, part in cast(Schema, value).items()}
        if key in _LIST and isinstance(value, list):
            return [self._closed(part, depth) for part in cast(list[Any], value)]
        return self._closed(value, depth) if key in _ONE else value


def _is_one_of_several(node: Schema, described: _Described) -> bool:
    """Whether the object is described in more than one place, so that no place can be closed alone."""
    places = [key for key in _SAME_OBJECT if key in node]
    if not places:
        return False
    alone = len(places) == 1 and (places[0] in ("$ref", "anyOf", "oneOf") or len(_as_list(node.get("allOf"))) == 1)
    return not alone or _names_properties(node) or "additionalProperties" in node


def _names_properties(node: Schema) -> bool:
    return bool(node.get("properties") or node.get("patternProperties"))


def _admitting(names: set[str], own: Any) -> Schema:
    """With the names that only other parts describe, as anything: those parts check them."""
    described = as_schema(own)
    return described | {name: {} for name in sorted(names - described.keys())}


def _says_nothing_more(node: Schema) -> bool:
    return "additionalProperties" not in node and "unevaluatedProperties" not in node


def _but(node: Schema, keys: Iterable[str]) -> Schema:
    return {key: value for key, value in node.items() if key not in keys}


def _as_list(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else []


def _nullable(node: Schema) -> Schema:
    """OpenAPI's word for null, in JSON schema's: whoever checks the arguments knows only that one."""
    if node.get("nullable") is not True:
        return node
    plain = _but(node, ("nullable",))
    if isinstance(plain.get("type"), str) and not {"enum", "const", *_SAME_OBJECT} & plain.keys():
        return {**plain, "type": [plain["type"], "null"]}
    return {"anyOf": [plain, {"type": "null"}]}


def _refuse_what_cannot_be_closed(node: Schema, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UnusableSchema(f"it is nested deeper than {MAX_DEPTH} levels")
    if not str(node.get("$ref", "#/")).startswith("#/"):
        raise UnusableSchema("a `$ref` leaves the document: put what it refers to under `$defs`")
    for keyword in ("$id", "$dynamicRef", "$recursiveRef"):
        if keyword in node and depth:
            raise UnusableSchema(f"`{keyword}` is not supported: refer by `$ref` to `#/$defs/...`")
    if any("$ref" in json.dumps(node.get(keyword)) for keyword in _TURNS_ROUND):
        raise UnusableSchema("a `$ref` inside `not`, `if` or `contains` cannot be closed: write it out there")


def _is_noise(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)


def _without(top: Schema, bound: set[str]) -> Schema:
    """The schema as if the bound properties were not in it."""
    for name in sorted(bound - top["properties"].keys()):
        raise UnusableSchema(f"the bound property {name!r} is not in the input schema")
    offered = _unbound(top, bound)
    return offered if not bound else _but(offered, ("examples",))


def _unbound(node: Any, bound: set[str]) -> Any:
    if not isinstance(node, dict):
        return node
    part = dict(cast(Schema, node))
    for name in bound:
        if any(name in json.dumps(part.get(key)) for key in ("if", "not", "dependentSchemas", "dependentRequired")):
            raise UnusableSchema(f"a condition names the bound property {name!r}, which the model does not see")
    if isinstance(part.get("properties"), dict):
        part["properties"] = _but(part["properties"], bound)
    if "required" in part and _are_names(part["required"]):
        part["required"] = [name for name in part["required"] if name not in bound]
    for key in _CHOICES:
        if key in part:
            part[key] = [_unbound(each, bound) for each in _as_list(part[key])]
    for key in ("then", "else"):
        if key in part:
            part[key] = _unbound(part[key], bound)
    return part if part.get("required", True) else _but(part, ("required",))


def _compile(schema: Schema) -> None:
    try:
        jsonschema_rs.validator_for(schema, offline=True)
    except ValueError as error:
        first_line = str(error).partition("\n")[0]
        raise UnusableSchema(f"it does not compile: {first_line[:200]}") from error
