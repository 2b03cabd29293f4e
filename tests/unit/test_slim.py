"""What of a tool's schema is sent: all that helps to choose, nothing else."""

import json
import re
from typing import Any

import pytest

from router.catalogue import Offers
from router.offer import sent
from router.settings import ARTICLES
from router.slim import bare, slim
from router.tasks import CHECK_TASK
from router.tools.articles import ArticleIndex
from router.tools.local import local_tools
from router.tools.status import StatusPage

Schema = dict[str, Any]


def of(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("property_", "slimmed"),
    [
        ({"type": "string", "title": "Name"}, {"type": "string"}),
        ({"type": "string", "examples": ["TCK-000123"]}, {"type": "string"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, {"type": "integer"}),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ({"type": "string", "maxLength": 2000}, {"type": "string"}),
        ({"type": "string", "maxLength": 200}, {"type": "string", "maxLength": 200}),
        ({"type": "string", "pattern": "[a-z]"}, {"type": "string"}),
        ({"type": "string", "pattern": "^[a-z]$"}, {"type": "string", "pattern": "^[a-z]$"}),
        ({"type": "integer", "default": 10, "maximum": 50}, {"type": "integer", "default": 10, "maximum": 50}),
        ({"type": "array", "items": {"type": "string", "title": "X"}}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "object", "additionalProperties": False, "properties": {}}, {"type": "object", "properties": {}}),
    ],
)
def test_what_no_model_needs_is_not_sent(property_: Schema, slimmed: Schema) -> None:
    assert slim(of(a=property_)) == of(a=slimmed)


def test_properties_may_be_named_like_keywords() -> None:
    schema = of(title={"type": "string"}, examples={"type": "string"}, default={"type": "string"})
    assert slim(schema) == schema


def test_a_reference_that_is_used_once_is_resolved_and_a_recursive_one_stays() -> None:
    mood = {"type": "string", "enum": ["glad"]}
    assert slim(of(a={"$ref": "#/$defs/M"}) | {"$defs": {"M": mood}}) == of(a=mood)
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
    recursive = of(a={"$ref": "#/$defs/N"}, b={"$ref": "#/$defs/N"}) | {"$defs": {"N": node}}
    assert slim(recursive) == recursive


def test_a_bare_schema_has_types_descriptions_and_choices_alone() -> None:
    schema = of(
        a={"type": "string", "pattern": "^a$", "description": "An a.", "format": "date"}, b={"$ref": "#/$defs/B"}
    )
    schema |= {"$defs": {"B": {"type": "string", "enum": ["x"], "maxLength": 3}}}
    assert bare(schema) == of(a={"type": "string", "description": "An a."}, b={"type": "string", "enum": ["x"]})


def test_the_routers_own_tools_lose_a_sixth_and_no_word_that_helps_to_choose() -> None:
    page: Any = StatusPage
    tools = [entry.tool for entry in local_tools(ArticleIndex.of_folder(ARTICLES), page, Offers()).values()] + [
        CHECK_TASK
    ]
    for tool in tools:
        described = re.findall(r'"description": "(.*?)"', json.dumps(tool.parameters["properties"]))
        assert described == re.findall(r'"description": "(.*?)"', json.dumps(sent(tool.parameters)))
    before, after = (sum(len(json.dumps(each(tool.parameters))) for tool in tools) for each in (dict, sent))
    assert after < before * 5 / 6
