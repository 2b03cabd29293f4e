"""What the model reads of a tool, and which arguments fit it, however hostile the schema or the arguments are."""

import json
from typing import Any

import pytest

from contracts import Tool
from router.offer import Offer, Unfit
from tests.parts.processor import seconds_of_work

TEXT = {"type": "string"}
SECONDS = 0.5
"""How long one check may keep all other questions waiting; on an idle machine it is less than a tenth of that."""


def an_object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def offer(parameters: dict[str, Any]) -> Offer:
    return Offer(Tool(name="t", parameters=parameters, service="S", handler="h"))


def nested(levels: int, key: str = "a", leaf: Any = "x") -> Any:
    value = leaf
    for _ in range(levels):
        value = {key: value}
    return value


# Null where the schema knows no null


@pytest.mark.parametrize(
    ("schema", "arguments", "fitting"),
    [
        (an_object(a=TEXT), {"a": None}, {}),
        (an_object("b", a=TEXT, b=TEXT), {"a": None, "b": "x"}, {"b": "x"}),
        (an_object(a={"enum": ["x"]}), {"a": None}, {}),
        (an_object(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": TEXT}}, {"a": None}, {}),
        (an_object(a={"anyOf": [TEXT, {"type": "integer"}]}), {"a": None}, {}),
        (an_object(inner=an_object(a=TEXT)), {"inner": {"a": None}}, {"inner": {}}),
        (an_object(rows={"items": an_object(a=TEXT)}), {"rows": [{"a": None}, {"a": "x"}]}, {"rows": [{}, {"a": "x"}]}),
        (an_object(a={"type": ["string", "null"]}), {"a": None}, {"a": None}),
        (an_object(a={"anyOf": [TEXT, {"type": "null"}]}), {"a": None}, {"a": None}),
        (an_object(a={}), {"a": None}, {"a": None}),
        (an_object(a=TEXT, b={"type": ["string", "null"]}), {"a": None, "b": None}, {"b": None}),
    ],
)
def test_null_is_left_out_where_the_schema_knows_none(schema: Any, arguments: Any, fitting: Any) -> None:
    assert offer(schema).fitting(arguments) == fitting


@pytest.mark.parametrize(
    ("schema", "arguments", "told"),
    [
        (an_object("a", a=TEXT), {"a": None}, "a: null is not of type"),
        (an_object(rows={"items": TEXT}), {"rows": [None]}, "rows.0: null is not of type"),
        (an_object(a=TEXT, b=TEXT), {"a": None, "b": 1}, "b: 1 is not of type"),
        (an_object(a=TEXT), {"z": None}, "'z' was unexpected"),
    ],
)
def test_null_that_cannot_be_left_out_is_told(schema: Any, arguments: Any, told: str) -> None:
    with pytest.raises(Unfit, match=told):
        offer(schema).fitting(arguments)


# A check never takes long, whatever it is of


def refusal(tool: Offer, arguments: dict[str, Any]) -> str:
    with pytest.raises(Unfit) as unfit:
        tool.fitting(arguments)
    return str(unfit.value)


def doubling(levels: int) -> dict[str, Any]:
    steps = {f"l{level}": {"anyOf": [{"$ref": f"#/$defs/l{level + 1}"}] * 2} for level in range(levels)}
    return an_object(a={"$ref": "#/$defs/l0"}) | {"$defs": steps | {f"l{levels}": {"type": "integer"}}}


def recursive(keyword: str, branches: int = 3) -> dict[str, Any]:
    again = {"type": "object", "properties": {"a": {"$ref": "#/$defs/N"}}, "required": ["a"]}
    node = {keyword: [again] * branches + [{"type": "integer"}]}
    return an_object(a={"$ref": "#/$defs/N"}) | {"$defs": {"N": node}}


REPEATED = an_object(a={"type": "string", "pattern": r"(\w{1,60}){50}!"})
BACKTRACKING = an_object(a={"type": "array", "items": {"type": "string", "pattern": r"^(?:(x|x|x)*)*(?!z)c$"}})


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (doubling(22), {"a": "x"}),
        (doubling(12), {"a": "x"}),
        (recursive("anyOf"), nested(31)),
        (recursive("oneOf"), nested(31)),
        (recursive("allOf"), nested(31)),
        (recursive("anyOf", 2), nested(12)),
        (recursive("anyOf", 1), nested(31)),
        (REPEATED, {"a": "x" * 200_000}),
        (REPEATED, {"a": "x" * 1_500}),
        (BACKTRACKING, {"a": ["x" * 300] * 1000}),
        (an_object(a={"items": {"enum": [f"value {n}" for n in range(2000)]}}), {"a": ["x"] * 20_000}),
        (an_object(a={"items": TEXT}), {"a": [1] * 200_000}),
        (an_object(a={"uniqueItems": True}), {"a": [{"x": n} for n in range(20_000)] + [{"x": 0}]}),
        (an_object(a={"anyOf": [TEXT] * 400}), {"a": {"x": "y" * 900_000}}),
        (an_object(), {f"a{n}": n for n in range(20_000)}),
        (an_object(a={"patternProperties": {r"(\w{1,60}){50}!": {}}}), {"a": {"x" * 100_000: 1}}),
    ],
)
def test_no_check_stops_the_other_questions(schema: Any, arguments: Any) -> None:
    tool = offer(schema)
    assert seconds_of_work(lambda: refusal(tool, arguments), SECONDS) < SECONDS
    assert len(refusal(tool, arguments)) < 2000


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (recursive("anyOf"), nested(6, leaf=1)),
        (REPEATED, {"a": "x" * 100 + "!"}),
        (an_object(a=TEXT), {"a": "x" * 500_000}),
        (an_object(a={"items": TEXT}), {"a": ["x"] * 5_000}),
        (an_object(a={"type": "string", "pattern": r"^[\s\S]{1,4000}$"}), {"a": "x" * 4000}),
        (an_object(a={"type": "string", "pattern": r"^(?=.*\d).+$"}), {"a": "abc1"}),
    ],
)
def test_what_people_send_is_checked(schema: Any, arguments: Any) -> None:
    assert offer(schema).fitting(arguments) == arguments


# What the model reads: OpenAI refuses `anyOf` and the like beside the properties at the top

TOP: dict[str, Any] = {
    "type": "object",
    "description": "Pays.",
    "properties": {"a": TEXT, "number": {}, "iban": {}},
    "additionalProperties": False,
    "required": ["a"],
    "allOf": [
        {"properties": {"number": {"type": "integer"}}, "required": ["number"]},
        {"anyOf": [{"properties": {"iban": TEXT}}]},
    ],
    "anyOf": [{"required": ["a"]}, {"required": ["iban"]}],
}


def test_the_model_reads_one_plain_object_and_is_told_the_conditions() -> None:
    read = json.loads(offer(TOP).for_model)["function"]["parameters"]
    assert read.keys() == {"type", "description", "properties", "required"}
    assert read["properties"] == {"a": TEXT, "number": {"type": "integer"}, "iban": TEXT}
    assert read["required"] == ["a", "number"]
    assert read["description"].startswith('Pays. Must also fit {"anyOf": [{"required": ["a"]}')


def test_and_is_held_to_all_of_them() -> None:
    assert offer(TOP).fitting({"a": "x", "number": 1})
    with pytest.raises(Unfit, match="number"):
        offer(TOP).fitting({"a": "x"})


def test_a_plain_schema_is_sent_as_it_is_but_for_its_closing() -> None:
    told = {key: value for key, value in an_object(a=TEXT).items() if key != "additionalProperties"}
    assert json.loads(offer(an_object(a=TEXT)).for_model)["function"]["parameters"] == told
