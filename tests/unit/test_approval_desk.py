"""What a member of staff types for an edited argument, as the tool takes it."""

from typing import Any

import pytest

from standalone.approvals import change
from standalone.ask import NoAnswer

TEXT = {"anyOf": [{"type": "string", "pattern": "^[0-9]+$"}, {"type": "null"}]}
TYPED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "a number": ({"type": "number"}, "20", 20),
    "digits where a text is wanted": ({"type": "string"}, "20", "20"),
    "digits where a text or nothing is wanted": (TEXT, "20", "20"),
    "nothing where a text or nothing is wanted": (TEXT, "null", None),
    "digits where either is taken": ({"type": ["string", "number"]}, "20", 20),
    "a list": ({"type": "array"}, '["a"]', ["a"]),
    "a word": ({"type": "string"}, "Anna", "Anna"),
    "a text in quotes": ({"type": "string"}, '"20"', "20"),
    "true where a text is wanted": ({"type": "string"}, "true", "true"),
    "a whole number": ({"type": "integer"}, "3", 3),
    "no type": ({}, "20", 20),
    "an equals sign in the value": ({"type": "string"}, "a=b", "a=b"),
}


@pytest.mark.parametrize(("schema", "typed", "value"), TYPED.values(), ids=TYPED.keys())
def test_a_change_is_read_as_the_argument_wants_it(schema: dict[str, Any], typed: str, value: Any) -> None:
    assert change(f"it={typed}", {"properties": {"it": schema}}) == ("it", value)


def test_a_change_without_a_value_is_refused() -> None:
    with pytest.raises(NoAnswer, match="name=value"):
        change("amount", {})
