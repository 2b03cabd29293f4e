"""A tool on offer: what the model reads of it, and whether arguments fit it."""

import json
from typing import Any, cast

import jsonschema_rs

from contracts import Caller, Tool
from router.slim import slim
from router.work import MAX_COPIED, MAX_EXPLAINED, MAX_WORK, work
from runtime.schemas import Schema, applied_here, as_schema

COMPLAINT_CHARACTERS = 500
BACKTRACK_LIMIT = 1000
"""Steps in which a regular expression must have matched that cannot be matched in linear time."""

_NOT_AT_THE_TOP = ("$ref", "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "dependentSchemas", "enum")
"""OpenAI refuses most of these at the top of a tool's parameters. They are checked all the same."""


class Unfit(Exception):
    """The arguments do not fit; the message tells the model what to mend."""


class Offer:
    """A tool on offer, its schema compiled once."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._validator = _compiled(tool.parameters)
        function = {"name": tool.name, "description": tool.description, "parameters": sent(tool.parameters)}
        self.for_model = json.dumps({"type": "function", "function": function})
        """In OpenAI's form, as JSON: written once, since it goes out with every turn."""

    def fitting(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, without those that are null where the schema knows no null: so models say "left out".

        Raises: `Unfit`
        """
        steps = work(self.tool.parameters, arguments, MAX_WORK)
        if steps > MAX_WORK:
            raise Unfit("the arguments are too large to be checked")
        if self._validator.is_valid(arguments):
            return arguments
        if steps > MAX_EXPLAINED or steps * len(json.dumps(arguments)) > MAX_COPIED:
            raise Unfit("the arguments do not fit the tool's schema, and are too large to say where")
        errors = self._errors(arguments)
        without = _without_nulls(arguments, [list(error.instance_path) for error in errors])
        if without != arguments and self._validator.is_valid(without):
            return without
        raise Unfit("; ".join(_told(error) for error in errors[:3]))

    def allowed_to(self, caller: Caller) -> bool:
        return not self.tool.roles or not set(self.tool.roles).isdisjoint(caller.roles)

    def _errors(self, arguments: dict[str, Any]) -> list[jsonschema_rs.ValidationError]:
        return list(self._validator.iter_errors(arguments))


def sent(parameters: Schema) -> Schema:
    """The schema as it goes over the wire. The tool's own description says what the top of the schema does."""
    told = shown(parameters)
    top = slim(told)
    if told is parameters:
        top.pop("description", None)
    return top


def shown(parameters: Schema) -> Schema:
    """The schema as the model reads it: of what stands beside the properties at the top, only what it says of them."""
    conditions = {key: parameters[key] for key in _NOT_AT_THE_TOP if key in parameters}
    if not conditions:
        return parameters
    top = {key: value for key, value in parameters.items() if key not in _NOT_AT_THE_TOP}
    top["properties"] = {
        name: part or _described_elsewhere(parameters, parameters, name)
        for name, part in as_schema(top.get("properties")).items()
    }
    required = [*_names(top), *(name for part in parameters.get("allOf", ()) for name in _names(part))]
    if required:
        top["required"] = list(dict.fromkeys(required))
    top["description"] = " ".join([*_words(top), f"Must also fit {json.dumps(conditions)[:COMPLAINT_CHARACTERS]}"])
    return top


def _names(part: Any) -> list[str]:
    return list(as_schema(part).get("required", ()))


def _words(part: Schema) -> list[str]:
    return [part["description"]] if isinstance(part.get("description"), str) else []


def _described_elsewhere(document: Schema, node: Schema, name: str) -> Any:
    """What another part of the same object says of this property."""
    for part in applied_here(document, node):
        if found := as_schema(part.get("properties")).get(name) or _described_elsewhere(document, part, name):
            return found
    return {}


def _compiled(schema: Schema) -> jsonschema_rs.Validator:
    """Patterns are matched in linear time. What cannot be, such as one that looks ahead, gives up early."""
    try:
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except ValueError:
        options = jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=options)


def _without_nulls(value: Any, paths: list[list[str | int]]) -> Any:
    """A copy without the properties at these paths that are null."""
    if isinstance(value, list):
        items = enumerate(cast(list[Any], value))
        return [_without_nulls(item, [path[1:] for path in paths if path[:1] == [at]]) for at, item in items]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_nulls(item, [path[1:] for path in paths if path[:1] == [name]])
        for name, item in cast(dict[str, Any], value).items()
        if item is not None or [name] not in paths
    }


def _told(error: jsonschema_rs.ValidationError) -> str:
    where = ".".join(str(part) for part in error.instance_path) or "arguments"
    return f"{where}: {error.message}"[:COMPLAINT_CHARACTERS]
