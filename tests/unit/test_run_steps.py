"""What staff are told of a run: each turn and call, bounded, in texts that every room can hold."""

import json

from router.did import LEFT_OUT, MOST_CHARACTERS, MOST_IN_ALL, sources_in, steps_of
from router.transcript import as_data
from router.turn import Plan, Result, Turn


def plan(number: int = 1, **fields: str) -> Plan:
    told = {"tool": "look", "arguments": "{}", "service": "Looks", "handler": "look", "body": '{"b": 1, "a": 2.0}'}
    return Plan.model_validate({"call_id": f"call_1_{number}", **told, **fields})


def result(number: int = 1, content: str = "found") -> Result:
    return Result(call_id=f"call_1_{number}", tool="look", status="ok", content=content)


def test_a_turn_tells_its_model_tokens_and_time_and_a_call_its_arguments_in_canonical_form() -> None:
    turn = Turn(text="I look.", plans=[plan()], model="m-1", prompt_tokens=7, completion_tokens=3)
    [told] = steps_of([turn], [[result()]], [900], {"call_1_1": 12})
    assert (told.turn, told.text, told.model) == (1, "I look.", "m-1")
    assert (told.prompt_tokens, told.completion_tokens, told.ms) == (7, 3, 900)
    [call] = told.calls
    assert (call.tool, call.target, call.status, call.ms) == ("look", "Looks/look", "ok", 12)
    assert (call.arguments, call.result) == ('{"a":2,"b":1}', "found")


def test_a_call_that_was_not_made_shows_what_the_model_wanted_and_one_without_a_result_is_unknown() -> None:
    refused, left = plan(service="", body="", arguments="{no"), plan(2)
    [told] = steps_of([Turn(plans=[refused, left])], [[result()]], [1], {})
    assert [(each.target, each.arguments, each.status, each.ms) for each in told.calls] == [
        ("", "{no", "ok", None),
        ("Looks/look", '{"a":2,"b":1}', "unknown", None),
    ]


def test_a_long_text_is_cut_and_one_too_many_is_left_out() -> None:
    count = MOST_IN_ALL // MOST_CHARACTERS + 1
    plans = [plan(number) for number in range(count)]
    results = [result(number, "x" * 2 * MOST_CHARACTERS) for number in range(count)]
    [told] = steps_of([Turn(plans=plans)], [results], [1], {})
    assert told.calls[0].result == "x" * MOST_CHARACTERS + f"… [cut: {2 * MOST_CHARACTERS} characters]"
    assert told.calls[-1].result == LEFT_OUT
    assert sum(len(call.result) for call in told.calls) < MOST_IN_ALL + len(LEFT_OUT) * 3


def test_what_no_database_holds_is_taken_out() -> None:
    turn = Turn(text="a\0b", plans=[plan(tool="t\ud800")], model="m\0")
    [told] = steps_of([turn], [[result(content="r\0\udfff")]], [1], {})
    assert (told.text, told.model, told.calls[0].tool, told.calls[0].result) == ("ab", "m", "t?", "r?")


def test_sources_are_the_titled_things_of_a_result() -> None:
    articles = [{"title": "Limits", "slug": "limits", "text": "..."}, {"title": "No place"}, "no object", {"slug": "x"}]
    assert sources_in(as_data("ok", {"articles": articles, "count": 4})) == ["Limits (limits)"]
    for content in ("", "null", "[]", json.dumps({"untrusted_data": "text"}), "{broken"):
        assert sources_in(content) == []
