"""Arguments that can mean one thing only are taken as that; the rest is told to the model."""

import json
from typing import Any

import pytest

from contracts import Caller, Tool
from router.offer import Offer
from router.plan import make_plan
from router.turn import Plan, WantedCall

PROPERTIES = {
    "text": {"type": "string", "maxLength": 40},
    "limit": {"type": "integer", "minimum": 1, "maximum": 50},
    "share": {"type": "number"},
    "urgent": {"type": "boolean"},
    "parts": {"anyOf": [{"type": "array", "items": {"type": "string", "enum": ["plan", "usage"]}}, {"type": "null"}]},
    "numbers": {"type": "array", "items": {"type": "integer"}},
    "place": {"$ref": "#/$defs/Place"},
    "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
}
PLACE = {"type": "object", "properties": {"floor": {"type": "integer"}}, "additionalProperties": False}
SCHEMA = {"type": "object", "properties": PROPERTIES, "additionalProperties": False, "$defs": {"Place": PLACE}}
OFFERS = {"say": Offer(Tool(name="say", parameters=SCHEMA, service="Say", handler="say"))}


def plan(arguments: str, name: str = "say") -> Plan:
    return make_plan("call_1_1", WantedCall(name=name, arguments=arguments), OFFERS, Caller(user_id="user_1"), 60)


@pytest.mark.parametrize(
    ("written", "meant", "kind"),
    [
        ("", {}, None),
        (" \n", {}, "blank"),
        ("null", {}, "null"),
        ('"{}"', {}, "encoded_twice"),
        (json.dumps(json.dumps({"text": "a"})), {"text": "a"}, "encoded_twice"),
        ('Sure: {"text": "a"}', {"text": "a"}, "text_around"),
        ('```json\n{"text": "a"}\n```', {"text": "a"}, "text_around"),
        ('{"text": "a"}</tool_call>', {"text": "a"}, "text_around"),
        ('{"text": "a"}{"text": "a"}', {"text": "a"}, "text_around"),
        ('{"limit": "5"}', {"limit": 5}, "number_in_string"),
        ('{"limit": 5.0}', {"limit": 5.0}, None),  # a whole number in JSON schema's eyes
        ('{"limit": "5.0"}', {"limit": 5}, "number_in_string"),
        ('{"share": "0.25"}', {"share": 0.25}, "number_in_string"),
        ('{"urgent": "True"}', {"urgent": True}, "encoded_value"),
        ('{"parts": "[\\"plan\\"]"}', {"parts": ["plan"]}, "encoded_value"),
        ('{"numbers": ["1", 2]}', {"numbers": [1, 2]}, "number_in_string"),
        ('{"place": "{\\"floor\\": \\"3\\"}"}', {"place": {"floor": 3}}, "encoded_value"),
        ('{"place": {"floor": "3"}}', {"place": {"floor": 3}}, "number_in_string"),
        ('{"text": null, "limit": "5"}', {"limit": 5}, "number_in_string"),
        ('{"either": "5"}', {"either": "5"}, None),
        ('{"text": "5"}', {"text": "5"}, None),
    ],
)
def test_what_can_mean_one_thing_only_is_taken_as_that(written: str, meant: dict[str, Any], kind: str | None) -> None:
    made = plan(written)
    assert made.error is None
    assert json.loads(made.body) == meant
    assert (kind in made.repaired) if kind else made.repaired == []


@pytest.mark.parametrize(
    "written",
    [
        '{"text": "a"}{"text": "b"}',
        '{"limit": "five"}',
        '{"limit": "5.5"}',
        '{"limit": "500"}',
        '{"limit": true}',
        '{"urgent": "yes, please"}',
        '{"parts": "plan"}',
        '{"text": {"a": 1}}',
        '{"text": 12345}',
        '{"nobody": "asked"}',
        '{"text": lost"}',
        "[1, 2]",
        '{"limit": NaN}',
    ],
)
def test_what_is_unclear_is_told_to_the_model(written: str) -> None:
    made = plan(written)
    assert (made.kind, made.fault) == ("refused", "bad_arguments")
    assert made.body == ""


def test_the_model_reads_what_it_wrote_and_where_it_went_wrong() -> None:
    made = plan('{"text": lost_windows"}')
    assert "lost_windows" in (made.error or "")
    assert "at character" in (made.error or "")
    assert made.arguments == "{}"
    assert plan('{"limit": "5"}').arguments == '{"limit": "5"}'


@pytest.mark.parametrize("name", ["say", "functions.say", 'say" />', "say\n", "function:say"])
def test_what_stands_around_a_name_is_left_out(name: str) -> None:
    assert plan("{}", name).fault is None
    assert plan("{}", name).tool == "say"


def test_another_name_is_no_tool() -> None:
    assert plan("{}", "sayings").fault == "unknown_tool"
