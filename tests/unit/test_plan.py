"""Plans: what the router decides about a call that the model wrote."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from contracts import Caller, Tool
from router.names import Names
from router.offer import Offer
from router.plan import make_plan, make_plans
from router.turn import Plan, Turn, WantedCall
from runtime.call_tokens import CallSigner
from tests.parts.signed import KEYS

CALLER = Caller(user_id="user_1", roles=["staff"])
SIGNER = CallSigner(SecretStr(KEYS["CALL_KEY"]))


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


def test_a_call_that_a_person_decides_has_all_its_time_once_it_is_made() -> None:
    offers = offer(timeout=60, approval="required")
    asked = WantedCall(name="say", arguments='{"text": "a"}')
    (made,) = make_plans([], [asked], offers, CALLER, Names(SIGNER, "inv_1", "hello", CALLER), seconds_left=7)
    assert (made.approval is not None, made.timeout) == (True, 60)


@pytest.mark.parametrize(("rule", "key"), [(None, None), ("caller.user_id", "user_1"), ("argument:text", "a")])
def test_the_key_of_a_call(rule: str | None, key: str | None) -> None:
    assert plan('{"text": "a"}', key=rule).key == key


def names(run: str = "inv_1", message: str = "help", user: str = "user_1") -> Names:
    return Names(SIGNER, run, message, Caller(user_id=user))


def planned(number: int = 1, of: Names | None = None, before: int = 0, **fields: Any) -> list[Plan]:
    """So many calls in one message, after a turn with some others."""
    texts = [json.dumps({"text": f"a{place}"}) for place in range(max(number, before))]
    wanted = [WantedCall(name="say", arguments=text) for text in texts]
    of = of or names()
    turns = [Turn(plans=make_plans([], wanted[:before], offer(**fields), CALLER, of, 100))] if before else []
    return make_plans(turns, wanted[:number], offer(**fields), CALLER, of, 100)


def names_of(plan: Plan) -> tuple[str | None, str, str]:
    return plan.key, plan.once, plan.task_id


@pytest.mark.parametrize("readonly", [False, True])
def test_each_call_for_a_run_has_a_key_of_its_own(readonly: bool) -> None:
    plans = [*planned(2, key="run", readonly=readonly), *planned(2, before=2, key="run", readonly=readonly)]
    assert len({plan.key for plan in plans}) == 4


def test_the_same_question_has_the_same_names_again() -> None:
    """As when a client asks again after Restate was restored from a backup."""
    assert names_of(planned(key="run")[0]) == names_of(planned(key="run")[0])


@pytest.mark.parametrize("other", [{"run": "inv_2"}, {"message": "help me"}, {"user": "user_2"}], ids=str)
def test_another_question_has_other_names(other: dict[str, str]) -> None:
    one, another = names_of(planned(key="run")[0]), names_of(planned(of=names(**other), key="run")[0])
    assert set(one).isdisjoint(another)


def test_names_with_another_key_of_the_router_are_others() -> None:
    other = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    foreign = Names(CallSigner(SecretStr(other)), "inv_1", "help", CALLER)
    assert set(names_of(planned(key="run")[0])).isdisjoint(names_of(planned(of=foreign, key="run")[0]))


def test_what_a_customer_is_told_is_no_part_of_what_opens_a_door() -> None:
    key, once, task_id = names_of(planned(key="run")[0])
    told = task_id.removeprefix("task_")
    assert len(told) == 16
    assert told not in f"{key} {once} inv_1"


@pytest.mark.parametrize(("roles", "denied"), [([], False), (["staff", "admin"], False), (["admin"], True)])
def test_roles_decide_who_may_use_a_tool(roles: list[str], denied: bool) -> None:
    assert plan('{"text": "a"}', roles=roles).fault == ("forbidden" if denied else None)


def test_only_calls_with_an_effect_can_become_tasks() -> None:
    assert planned(readonly=True)[0].task_id == ""
    assert planned()[0].task_id.startswith("task_")


# Effects are bounded by tool and run


def faults(number: int, before: int = 0, **fields: Any) -> list[str | None]:
    """The faults of so many calls in one message, after a turn with some others."""
    plans = planned(number, before=before, **fields)
    turn = 2 if before else 1
    assert [plan.call_id for plan in plans] == [f"call_{turn}_{index + 1}" for index in range(number)]
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
    plans = make_plans([], wanted, offer(max_per_run=2), CALLER, names(), 100)
    assert [plan.fault for plan in plans] == ["bad_arguments", None, "bad_arguments", None]
