"""Plans: what the router decides about a call that the model wrote."""

import json
from typing import Any

import pytest

from contracts import Caller, Tool
from router.offer import Offer
from router.plan import make_plan
from router.turn import WantedCall

CALLER = Caller(user_id="user_1", roles=["staff"])


def offer(**fields: Any) -> dict[str, Offer]:
    parameters = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    tool = {"name": "say", "parameters": parameters, "service": "Say", "handler": "say"} | fields
    return {"say": Offer(Tool.model_validate(tool))}


def plan(arguments: str, seconds_left: float = 100, **fields: Any) -> Any:
    return make_plan("call_1_1", WantedCall(name="say", arguments=arguments), offer(**fields), CALLER, seconds_left)


def test_a_bound_argument_overwrites_what_the_model_wrote() -> None:
    parameters = {"type": "object", "properties": {"user_id": {"type": "string"}}}
    made = plan('{"user_id": "user_2"}', parameters=parameters, bind={"user_id": "caller.user_id"})
    assert json.loads(made.body) == {"user_id": "user_1"}


@pytest.mark.parametrize(
    "arguments",
    [
        *("{", "[]", '"a"', "null", "1", "[" * 9999, "{}", '{"text": 1}', '{"text": "a", "b": 1}'),
        *('{"text": ' + "[" * depth + "]" * depth + "}" for depth in (32, 600, 950)),
    ],
)
def test_arguments_that_do_not_fit_become_an_error_and_no_call(arguments: str) -> None:
    made = plan(arguments)
    assert made.error
    assert made.body == ""


def test_what_the_model_reads_of_its_own_arguments_is_always_json() -> None:
    assert plan("{not json").arguments == "{}"


def test_nul_and_lone_surrogates_never_reach_a_tool() -> None:
    assert json.loads(plan(r'{"text": "a\u0000b\ud800"}').body) == {"text": "ab?"}


def test_a_call_never_waits_longer_than_the_run_may_last() -> None:
    assert plan('{"text": "a"}', seconds_left=7, timeout=60).timeout == 7


@pytest.mark.parametrize(("rule", "key"), [(None, None), ("caller.user_id", "user_1"), ("argument:text", "a")])
def test_the_key_of_a_call(rule: str | None, key: str | None) -> None:
    assert plan('{"text": "a"}', key=rule).key == key


def test_each_run_key_is_another() -> None:
    assert plan('{"text": "a"}', key="run").key != plan('{"text": "a"}', key="run").key


@pytest.mark.parametrize(("roles", "denied"), [([], False), (["staff", "admin"], False), (["admin"], True)])
def test_roles_decide_who_may_use_a_tool(roles: list[str], denied: bool) -> None:
    assert plan('{"text": "a"}', roles=roles).fault == ("forbidden" if denied else None)


def test_only_calls_with_an_effect_can_become_tasks() -> None:
    assert plan('{"text": "a"}', readonly=True).task_id == ""
    assert plan('{"text": "a"}').task_id.startswith("task_")
