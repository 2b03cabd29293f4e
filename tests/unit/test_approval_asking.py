"""What a person is asked, and what may be made of the answer."""

import json
from typing import Any

import pytest

from contracts import ApprovalState, Caller, Edited, Tool, digest_of
from router.approval.asking import Asked, Unshowable, canonical, fitted, may_be_made, prepare, proposal
from router.turn import Limits, Need, Plan, RunFacts

PARAMETERS = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "euros": {"type": "number", "maximum": 100},
        "count": {"type": "integer"},
    },
    "required": ["order"],
    "additionalProperties": False,
}
TOOL = Tool(name="pay", parameters=PARAMETERS, service="Pay", handler="pay", bind={"user_id": "caller.user_id"})


def asked(body: str = '{"user_id": "user_1", "order": "a", "euros": 5.0}', tool: Tool = TOOL) -> Asked:
    need = Need(approval_id="appr_" + "0" * 32, why="because")
    plan = Plan(call_id="call_1_1", tool=tool.name, arguments="{}", kind="effect", body=body, approval=need)
    prepare(plan, tool)
    limits = Limits(turns=1, calls=1, tokens=1, seconds=1, errors=1)
    return Asked(plan=plan, facts=RunFacts(caller=Caller(user_id="user_1"), limits=limits, started_at=0), run="inv_1")


def test_what_is_shown_is_what_is_sent_in_one_form() -> None:
    wish = asked()
    told = proposal(wish, "inv_2")
    assert wish.plan.body == told.arguments == '{"euros":5,"order":"a","user_id":"user_1"}'
    assert (told.digest, told.fixed, json.loads(told.parameters)) == (
        digest_of(told.arguments),
        ["user_id"],
        PARAMETERS,
    )
    assert told.run == "inv_1"


def test_what_a_tool_is_keyed_by_cannot_be_edited() -> None:
    keyed = TOOL.model_copy(update={"key": "argument:order"})
    assert proposal(asked(tool=keyed), "inv_2").fixed == ["user_id", "order"]


@pytest.mark.parametrize("value", [2**60, float("inf"), float("nan"), "\ud800"], ids=str)
def test_what_has_no_canonical_form_is_not_asked(value: Any) -> None:
    with pytest.raises(Unshowable):
        canonical({"value": value})


EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "fits": ({"order": "b"}, ""),
    "too much": ({"order": "b", "euros": 101}, "euros"),
    "left out": ({"euros": 1}, "order"),
    "unknown": ({"order": "b", "more": 1}, "more"),
    "what is fixed": ({"order": "b", "user_id": "user_2"}, "nobody may edit user_id"),
    "a number that is rounded": ({"order": "b", "count": 2**60 + 1}, "exceeds"),
    "no text": ({"order": "\ud800"}, "text"),
}


@pytest.mark.parametrize(("arguments", "complaint"), EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_checked_as_the_models_own_arguments_are(arguments: dict[str, Any], complaint: str) -> None:
    edited = Edited(arguments=arguments, parameters=json.dumps(PARAMETERS), fixed={"user_id": "user_1"})
    found = fitted(edited)
    assert complaint in found.complaint
    assert bool(found.complaint) == bool(complaint)
    if not complaint:
        assert json.loads(found.arguments) == arguments | {"user_id": "user_1"}


STATES: dict[str, tuple[dict[str, Any], bool]] = {
    "approved": ({"status": "approved"}, True),
    "pending": ({"status": "pending"}, False),
    "denied": ({"status": "denied"}, False),
    "expired": ({"status": "expired"}, False),
    "withdrawn": ({"status": "withdrawn"}, False),
    "another digest": ({"status": "approved", "digest": "0" * 64}, False),
    "other arguments": ({"status": "approved", "arguments": '{"order":"b","user_id":"user_1"}'}, False),
    "edited": ({"status": "edited", "arguments": '{"order":"b","user_id":"user_1"}'}, True),
    "edited for another": ({"status": "edited", "arguments": '{"order":"b","user_id":"user_2"}'}, False),
    "edited for nobody": ({"status": "edited", "arguments": '{"order":"b"}'}, False),
}


@pytest.mark.parametrize(("told", "made"), STATES.values(), ids=STATES.keys())
def test_a_call_is_made_by_the_row_and_the_journal_or_not_at_all(told: dict[str, Any], made: bool) -> None:
    wish = asked()
    state = ApprovalState.model_validate({"digest": digest_of(wish.plan.body), "arguments": wish.plan.body} | told)
    assert may_be_made(wish, state) is made
    wish.plan.approval = None
    assert not may_be_made(wish, state)
