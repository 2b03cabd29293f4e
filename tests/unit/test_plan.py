"""Plans: what the router decides about a call that the model wrote."""

import json
from typing import Any

import pytest

from contracts import Caller, Tool
from router.offer import Offer
from router.plan import make_plan, make_plans
from router.turn import Turn, WantedCall

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


# Effects are bounded by tool and run


def faults(number: int, before: int = 0, **fields: Any) -> list[str | None]:
    """The faults of so many calls in one message, after a turn with some others."""
    texts = [json.dumps({"text": f"a{place}"}) for place in range(max(number, before))]
    wanted = [WantedCall(name="say", arguments=text) for text in texts]
    turns = [Turn(plans=make_plans([], wanted[:before], offer(**fields), CALLER, 100))] if before else []
    plans = make_plans(turns, wanted[:number], offer(**fields), CALLER, 100)
    assert [plan.call_id for plan in plans] == [f"call_{len(turns) + 1}_{index + 1}" for index in range(number)]
    assert all(plan.error and not plan.body and not plan.task_id for plan in plans if plan.fault)
    return [plan.fault for plan in plans]


@pytest.mark.parametrize(
    ("calls", "before", "fields", "made"),
    [
        (7, 0, {}, 5),
        (7, 3, {}, 2),
        (7, 5, {}, 0),
        (7, 7, {}, 0),
        (7, 1, {"max_per_run": 2}, 1),
        (7, 0, {"mode": "send", "max_per_run": 3}, 3),
        (7, 7, {"readonly": True, "max_per_run": 1}, 7),
        (7, 7, {"roles": ["admin"], "max_per_run": 1}, 0),
    ],
)
def test_a_run_makes_only_so_many_effects_of_one_tool(calls: int, before: int, fields: Any, made: int) -> None:
    assert faults(calls, before, **fields) == [None] * made + ["forbidden"] * (calls - made)


def test_a_call_that_is_refused_is_no_effect() -> None:
    wanted = [WantedCall(name="say", arguments=text) for text in ["{}", '{"text": "a"}', "[]", '{"text": "b"}']]
    plans = make_plans([], wanted, offer(max_per_run=2), CALLER, 100)
    assert [plan.fault for plan in plans] == ["bad_arguments", None, "bad_arguments", None]
