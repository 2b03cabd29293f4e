"""Schemas of tools as strangers write them: which are offered, what they admit, and which are too large."""

from typing import Any

import jsonschema_rs
import pytest

from registry.admin import Handler, Service
from registry.bounds import UnusableSchema
from registry.catalogue import build_catalogue
from registry.policy import Policy
from registry.schema import closed
from tests.parts.processor import seconds_of_work

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


SECONDS = 1
"""How long one schema may take, which on an idle machine is far less. What is unbounded takes minutes."""


def doubling(levels: int, choice: str = "anyOf", between: str | None = None) -> dict[str, Any]:
    """Each definition is one of two references to the next."""
    refs = [[{"$ref": f"#/$defs/l{level + 1}"}] * 2 for level in range(levels)]
    steps = {f"l{level}": {choice: two} for level, two in enumerate(refs)}
    if between:
        steps = {
            name: {between: {"x": part}} if between == "properties" else {between: part} for name, part in steps.items()
        }
    return an_object(a={"$ref": "#/$defs/l0"}) | {"$defs": steps | {f"l{levels}": NUMBER}}


def chain(length: int) -> dict[str, Any]:
    links: dict[str, Any] = {f"l{number}": {"$ref": f"#/$defs/l{number + 1}"} for number in range(length)}
    return an_object(a={"$ref": "#/$defs/l0"}) | {"$defs": links | {f"l{length}": NUMBER}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(levels):
        schema = an_object(a=schema)
    return schema


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


# Too large: each is refused at once, and the reason says what to change


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (doubling(22), "references and branches"),
        (doubling(22, "allOf"), "references and branches"),
        (an_object(a=TEXT) | {"$defs": doubling(22)["$defs"]}, "references and branches"),
        (doubling(22, "oneOf"), "references and branches"),
        (doubling(14, between="items"), "references and branches"),
        (doubling(14, between="properties"), "references and branches"),
        (
            an_object(a={"anyOf": [{"$ref": "#/$defs/x"}] * 120})
            | {"$defs": {"x": an_object(**{f"p{n}": TEXT for n in range(100)})}},
            "references and branches",
        ),
        (an_object(a=TEXT | {"description": "x" * 33_000}), "bytes"),
        (an_object(a={"enum": [f"value {number}" for number in range(3000)]}), "bytes"),
        (an_object(**{f"p{number}": TEXT for number in range(600)}), "parts"),
        (an_object(a=TEXT) | {"$defs": {f"d{number}": TEXT for number in range(600)}}, "parts"),
        (an_object(a={"examples": [{"x": 1}] * 600}), "parts"),
        (nested(33), "deeper"),
        (nested(500), "deeper"),
        (an_object(a={"default": deep(200)}), "deeper"),
        (an_object(a={"unknown": deep(2000)}), "deeper"),
        (chain(100), "through its references"),
        (an_object(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}}, "refers to itself"),
        (
            an_object(a={"$ref": "#/$defs/A"})
            | {"$defs": {"A": {"anyOf": [{"$ref": "#/$defs/B"}, TEXT]}, "B": {"oneOf": [{"$ref": "#/$defs/A"}]}}},
            "refers to itself",
        ),
    ],
)
def test_a_schema_that_is_too_large_is_left_out_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    def refused() -> None:
        with pytest.raises(UnusableSchema, match=reason):
            closed(schema, set())

    assert seconds_of_work(refused, SECONDS) < SECONDS
    assert reason in left_out_because(handler(schema))


@pytest.mark.parametrize(
    "schema",
    [
        doubling(8),
        doubling(9),
        chain(20),
        nested(30),
        an_object(**{f"p{number}": TEXT for number in range(400)}),
        an_object(children={"type": "array", "items": {"$ref": "#/$defs/N"}})
        | {"$defs": {"N": an_object(children={"type": "array", "items": {"$ref": "#/$defs/N"}})}},
        an_object(all={"anyOf": [{"$ref": "#/$defs/F"}, TEXT]})
        | {
            "$defs": {
                "F": {
                    "anyOf": [
                        an_object(**{op: {"type": "array", "items": {"$ref": "#/$defs/F"}}})
                        for op in ("and", "or", "not")
                    ]
                }
            }
        },
    ],
)
def test_what_people_write_is_within_the_bounds(schema: dict[str, Any]) -> None:
    assert closed(schema, set())["additionalProperties"] is False
    assert seconds_of_work(lambda: closed(schema, set()), SECONDS) < SECONDS


def handler(schema: Any, name: str = "look", documentation: str = "Looks.", **metadata: str) -> Handler:
    said = {"mcp.type": "tool"} | metadata
    return Handler(name=name, documentation=documentation, metadata=said, input_json_schema=schema, public=False)


def offered_of(*handlers: Handler) -> Any:
    services = [Service(name="S", ty="Service", deployment_id="dp_1", handlers=list(handlers))]
    return build_catalogue(services, {}, Policy(), (), {})


def left_out_because(one: Handler) -> str:
    return offered_of(one).left_out[0].reason


def test_a_description_longer_than_a_model_should_read_is_left_out() -> None:
    assert offered_of(handler(an_object(), documentation="x" * 4096)).tools
    assert "description" in left_out_because(handler(an_object(), documentation="é" * 2049))


def test_no_more_tools_are_offered_than_a_catalogue_holds() -> None:
    many = [handler(an_object(), name=f"tool_{number:03}") for number in range(230)]
    found = offered_of(*many)
    assert [tool.name for tool in found.tools] == [f"tool_{number:03}" for number in range(200)]
    assert {entry.reason for entry in found.left_out} == {"there are 200 tools already: switch some off by the policy"}


@pytest.mark.parametrize(
    "said", [{"tool.name": "x" * 100_000}, {"tool.mode": "x" * 100_000}, {"tool." + "x" * 9999: ""}]
)
def test_what_is_said_of_a_tool_that_is_left_out_is_short(said: dict[str, str]) -> None:
    entry = offered_of(handler(an_object(), **said)).left_out[0]
    assert len(entry.tool) + len(entry.reason) < 1000


# What is offered admits what was meant, and nothing else

A_OR_B: dict[str, Any] = an_object(a=TEXT, b=TEXT) | {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
TWO_PARTS: dict[str, Any] = {"allOf": [an_object("a", a=TEXT), an_object(b=TEXT)]}
IF_THEN: dict[str, Any] = an_object("kind", kind={"enum": ["card", "bank"]}) | {
    "if": {"properties": {"kind": {"const": "card"}}},
    "then": {"properties": {"number": TEXT}, "required": ["number"]},
    "else": {"properties": {"iban": TEXT}, "required": ["iban"]},
}
DEFINED: dict[str, Any] = {
    "allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
    "$defs": {"A": an_object("a", a={"$ref": "#/$defs/C"}), "B": an_object(b=TEXT), "C": an_object(c=TEXT)},
}
UNION: dict[str, Any] = {
    "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
    "discriminator": {"propertyName": "kind"},
    "$defs": {"A": an_object("kind", kind={"const": "a"}, x=TEXT), "B": an_object("kind", kind={"const": "b"}, y=TEXT)},
}
DEPENDENT: dict[str, Any] = an_object(card=TEXT) | {
    "dependentSchemas": {"card": {"properties": {"address": TEXT}, "required": ["address"]}}
}


@pytest.mark.parametrize(
    ("schema", "admitted", "refused"),
    [
        (an_object(free={"type": "object"}), [{"free": {"x": 1}}, {"free": {}}], [{"free": 1}, {"x": 1}]),
        (an_object(free={"type": "object", "properties": {}}), [{"free": {"x": 1}}], [{"x": 1}]),
        (an_object(free={}), [{"free": {"x": 1}}, {"free": 1}], [{"x": 1}]),
        (an_object(free={"type": ["object", "null"]}), [{"free": {"x": 1}}, {"free": None}], []),
        (an_object(rows={"type": "array", "items": {"type": "object"}}), [{"rows": [{"x": 1}]}], [{"rows": [1]}]),
        (an_object(m={"type": "object", "additionalProperties": NUMBER}), [{"m": {"x": 1}}], [{"m": {"x": "y"}}]),
        (an_object(m={"type": "object", "additionalProperties": False}), [{"m": {}}], [{"m": {"x": 1}}]),
        (an_object(m={"type": "object", "patternProperties": {"^x": NUMBER}}), [{"m": {"x": 1}}], [{"m": {"y": 1}}]),
        (an_object(m={"type": "object", "minProperties": 1}), [{"m": {"x": 1}}], [{"m": {}}]),
        ({"type": "object"}, [{}, {"x": {"y": 1}}], []),
        ({"type": "object", "additionalProperties": TEXT}, [{"x": "y"}], [{"x": 1}]),
        ({"type": "object", "properties": {}}, [{}], [{"x": 1}]),
        ({"properties": {"a": TEXT}}, [{"a": "x"}], [{"b": 1}]),
        (an_object(a=TEXT | {"nullable": True}), [{"a": None}, {"a": "x"}], [{"a": 1}]),
        (an_object(a={"enum": ["x"], "nullable": True}), [{"a": None}, {"a": "x"}], [{"a": "y"}]),
        (an_object(a=an_object(b=TEXT) | {"nullable": True}), [{"a": None}, {"a": {"b": "x"}}], [{"a": {"c": 1}}]),
        (an_object(a={"$ref": "#/$defs/A", "nullable": True}) | {"$defs": {"A": TEXT}}, [{"a": None}], [{"a": 1}]),
        (an_object(a=TEXT | {"nullable": False}), [{"a": "x"}], [{"a": None}]),
        (A_OR_B, [{"a": "x"}, {"b": "x"}, {"a": "x", "b": "y"}], [{}, {"a": "x", "c": 1}]),
        (TWO_PARTS, [{"a": "x"}, {"a": "x", "b": "y"}], [{}, {"b": "x"}, {"a": "x", "c": 1}]),
        (TWO_PARTS | {"type": "object"}, [{"a": "x", "b": "y"}], [{"a": "x", "c": 1}]),
        (TWO_PARTS | an_object(c=TEXT), [{"a": "x", "c": "y"}], [{"c": "x"}, {"a": "x", "d": 1}]),
        (an_object(inner=TWO_PARTS), [{"inner": {"a": "x", "b": "y"}}], [{"inner": {"a": "x", "c": 1}}]),
        (
            IF_THEN,
            [{"kind": "card", "number": "1"}, {"kind": "bank", "iban": "x"}],
            [{"kind": "card"}, {"kind": "bank", "iban": "x", "z": 1}],
        ),
        (DEFINED, [{"a": {"c": "x"}, "b": "y"}], [{"b": "y"}, {"a": {"d": 1}}, {"a": {}, "z": 1}]),
        (UNION, [{"kind": "a", "x": "1"}, {"kind": "b", "y": "1"}], [{"kind": "c"}, {"kind": "a", "z": 1}]),
        (
            an_object(u=UNION | {"$defs": {}}) | {"$defs": UNION["$defs"]},
            [{"u": {"kind": "a", "x": "1"}}],
            [{"u": {"kind": "a", "y": "1"}}],
        ),
        (DEPENDENT, [{}, {"card": "x", "address": "y"}], [{"card": "x"}, {"z": 1}]),
        (an_object(a=an_object(b={}) | {"anyOf": [an_object(c={})]}), [{"a": {"b": 1, "c": 1}}], [{"a": {"d": 1}}]),
        (
            an_object(a={}) | {"$ref": "#/$defs/A", "$defs": {"A": an_object("b", b=TEXT)}},
            [{"a": 1, "b": "x"}],
            [{"a": 1}, {"b": "x", "c": 1}],
        ),
        (
            an_object(a=TEXT) | {"allOf": [{"if": {"required": ["a"]}, "then": an_object("b", b=TEXT)}]},
            [{}, {"a": "x", "b": "y"}],
            [{"a": "x"}, {"c": 1}],
        ),
        ({"allOf": [an_object(a=TEXT), {"type": "object", "additionalProperties": NUMBER}]}, [{"x": 1}], [{"x": "y"}]),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"} | TWO_PARTS,
            [{"a": "x", "b": "y"}],
            [{"a": "x", "c": 1}],
        ),
    ],
)
def test_a_schema_admits_what_was_meant(schema: dict[str, Any], admitted: list[Any], refused: list[Any]) -> None:
    validator = jsonschema_rs.validator_for(closed(schema, set()))
    assert [value for value in admitted if not validator.is_valid(value)] == []
    assert [value for value in refused if validator.is_valid(value)] == []


@pytest.mark.parametrize(
    ("schema", "admitted", "refused"),
    [
        (an_object("user_id", user_id=TEXT, a=TEXT), [{}, {"a": "x"}], [{"user_id": "u"}]),
        (TWO_PARTS | an_object(user_id=TEXT), [{"a": "x"}], [{"a": "x", "user_id": "u"}]),
        (
            {"allOf": [an_object("user_id", user_id=TEXT), an_object("a", a=TEXT)]},
            [{"a": "x"}],
            [{}, {"a": "x", "user_id": "u"}],
        ),
        (
            an_object(user_id=TEXT, a=TEXT) | {"anyOf": [{"required": ["user_id", "a"]}]},
            [{"a": "x"}],
            [{}, {"a": "x", "user_id": "u"}],
        ),
    ],
)
def test_a_bound_property_is_in_no_part_of_it(schema: dict[str, Any], admitted: list[Any], refused: list[Any]) -> None:
    validator = jsonschema_rs.validator_for(closed(schema, {"user_id"}))
    assert [value for value in admitted if not validator.is_valid(value)] == []
    assert [value for value in refused if validator.is_valid(value)] == []


@pytest.mark.parametrize(
    ("schema", "change"),
    [
        ({"type": "string"}, "say `type: object`"),
        ({"anyOf": [TEXT, NUMBER]}, "say `type: object`"),
        (an_object(a={"$ref": "https://example.com/a.json"}), r"under `\$defs`"),
        (an_object(a={"not": {"$ref": "#/$defs/A"}}) | {"$defs": {"A": an_object(b=TEXT)}}, "write it out there"),
        (an_object(a={"$id": "a"}), r"refer by `\$ref`"),
    ],
)
def test_a_refusal_says_what_to_change(schema: dict[str, Any], change: str) -> None:
    with pytest.raises(UnusableSchema, match=change):
        closed(schema, set())
