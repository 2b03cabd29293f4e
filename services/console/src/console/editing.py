"""A form made from a tool's schema: a field for each argument that may be edited, and the way back to arguments."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from console.posted import Unfit

Kind = Literal["line", "text", "number", "choice", "json"]

LONG = 80
_ABSENT = object()


@dataclass(frozen=True)
class Field:
    """`value` is the text in it, `choices` what may be chosen. `left_out`: the call does not have it so far."""

    name: str
    kind: Kind
    value: str
    note: str = ""
    choices: tuple[str, ...] = ()
    required: bool = True
    left_out: bool = False

    @property
    def key(self) -> str:
        return f"arg:{self.name}"

    @property
    def given_key(self) -> str:
        return f"given:{self.name}"


def fields_of(parameters: Mapping[str, Any], arguments: Mapping[str, Any], fixed: list[str]) -> list[Field]:
    """The arguments that may be edited, in the order of the schema; those of which it says nothing come last."""
    properties: dict[str, Any] = parameters.get("properties") or {}
    required: list[str] = parameters.get("required") or []
    names = [*properties, *(name for name in arguments if name not in properties)]
    return [
        _field(name, properties.get(name), arguments.get(name, _ABSENT), name in required)
        for name in names
        if name not in fixed
    ]


def read(fields: list[Field], arguments: Mapping[str, Any], posted: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that a form says. What nobody has touched stays what it was, to the byte. Raises: `Unfit`."""
    found: dict[str, Any] = {}
    for field in fields:
        if not field.required and field.given_key not in posted:
            continue
        written = posted.get(field.key, "").replace("\r\n", "\n")
        untouched = not field.left_out and written == field.value.replace("\r\n", "\n")
        found[field.name] = arguments[field.name] if untouched else _parsed(field, written)
    return found


def refilled(fields: list[Field], posted: Mapping[str, str]) -> list[Field]:
    """The same fields with what somebody has written in them."""
    return [
        Field(
            each.name,
            each.kind,
            posted.get(each.key, each.value),
            each.note,
            each.choices,
            each.required,
            not each.required and each.given_key not in posted,
        )
        for each in fields
    ]


def _field(name: str, schema: Any, value: Any, required: bool) -> Field:
    told: dict[str, Any] = cast(dict[str, Any], schema) if isinstance(schema, dict) else {}
    choices = _choices(told)
    kind = _kind(told, value, choices)
    text = "" if value is _ABSENT else _text(value, kind)
    if choices and text and text not in choices:
        choices = (text, *choices)
    note = told.get("description")
    return Field(
        name, kind, text, note if isinstance(note, str) else "", choices, required=required, left_out=value is _ABSENT
    )


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    enum = schema.get("enum")
    if isinstance(enum, list) and enum:
        return tuple(json.dumps(each, ensure_ascii=False) for each in cast(list[Any], enum))
    return ("true", "false") if schema.get("type") == "boolean" else ()


def _kind(schema: Mapping[str, Any], value: Any, choices: tuple[str, ...]) -> Kind:
    if choices:
        return "choice"
    of, fits = schema.get("type"), value is _ABSENT
    if isinstance(value, str) or (of == "string" and fits):
        written = value if isinstance(value, str) else ""
        return "text" if "\n" in written or len(written) > LONG else "line"
    if of in ("integer", "number") and (fits or (isinstance(value, int | float) and not isinstance(value, bool))):
        return "number"
    return "json"


def _text(value: Any, kind: Kind) -> str:
    return value if kind in ("line", "text") else json.dumps(value, ensure_ascii=False)


def _parsed(field: Field, written: str) -> Any:
    if field.kind in ("line", "text"):
        return written
    try:
        return json.loads(written, parse_constant=_no_number)
    except (ValueError, RecursionError):
        complaint = "a number is wanted here" if field.kind == "number" else "this is not JSON"
        raise Unfit(complaint, field.name) from None


def _no_number(written: str) -> Any:
    raise ValueError(written)
