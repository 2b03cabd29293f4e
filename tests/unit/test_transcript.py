"""A history that every endpoint takes back."""

import re
from typing import Any

import pytest

from router.transcript import ASK_AGAIN, messages
from router.turn import Plan, Result, Turn

HERE = "m at here"


def turn(*plans: Plan, **fields: Any) -> Turn:
    return Turn(plans=list(plans), endpoint=HERE, **fields)


def plan(number: int = 1, own_id: str = "", tool: str = "look_up", **fields: Any) -> Plan:
    return Plan(call_id=f"call_1_{number}", tool=tool, arguments="{}", own_id=own_id, **fields)


def told(*turns: Turn, endpoint: str | None = HERE) -> list[dict[str, Any]]:
    results = [[Result(call_id=p.call_id, tool=p.tool, status="ok", content="{}") for p in t.plans] for t in turns]
    return messages("prompt", "question", list(turns), results, endpoint)[2:]


@pytest.mark.parametrize(
    ("own_ids", "sent"),
    [
        (["D681PevKs"], ["D681PevKs"]),
        (["call_abc-1"], ["call_abc-1"]),
        ([""], ["call01001"]),
        (["", ""], ["call01001", "call01002"]),
        (["x", "x"], ["x", "call01002"]),
        (["with space"], ["call01001"]),
        (["x" * 65], ["call01001"]),
    ],
)
def test_a_call_keeps_its_own_id_if_that_is_a_legal_one(own_ids: list[str], sent: list[str]) -> None:
    said, *results = told(turn(*(plan(number, own) for number, own in enumerate(own_ids, start=1))))
    assert [call["id"] for call in said["tool_calls"]] == sent
    assert [result["tool_call_id"] for result in results] == sent


def test_another_endpoint_reads_ids_that_all_take_and_no_foreign_fields() -> None:
    own = turn(plan(own_id="call_abc", foreign={"signature": "s"}), foreign={"reasoning_content": "r"})
    there = told(own, endpoint="n at there")[0]
    assert re.fullmatch("[a-zA-Z0-9]{9}", there["tool_calls"][0]["id"])
    assert there.keys() == {"role", "content", "tool_calls"}
    assert there["tool_calls"][0].keys() == {"id", "type", "function"}
    here = told(own)[0]
    assert (here["reasoning_content"], here["tool_calls"][0]["signature"]) == ("r", "s")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("look_up", "look_up"),
        ("", "unknown"),
        ("multi_tool_use.parallel", "multi_tool_use_parallel"),
        ('look_up" />', "look_up"),
        ("é", "unknown"),
        ("a" * 99, "a" * 64),
    ],
)
def test_names_are_legal(name: str, sent: str) -> None:
    assert told(turn(plan(tool=name)))[0]["tool_calls"][0]["function"]["name"] == sent


@pytest.mark.parametrize("text", ["", "\n\n", " "])
def test_no_blank_text_is_sent(text: str) -> None:
    assert told(turn(plan(), text=text))[0]["content"] is None
    assert told(turn(text=text, again="empty"))[0]["content"].strip()


@pytest.mark.parametrize("reason", ASK_AGAIN)
def test_each_way_of_asking_again_alternates_between_the_roles(reason: Any) -> None:
    roles = [message["role"] for message in told(turn(plan()), turn(again=reason), turn(again=reason))]
    assert roles == ["assistant", "tool", "assistant", "user", "assistant", "user"]
