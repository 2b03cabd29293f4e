"""Which calls a person has to approve, and by which rule."""

import json
from typing import Any

import pytest

from contracts import Caller, ConversationRun, Entry, Tool
from router.approval import SoFar, customers_words, may_make, needed
from router.calls import kind_of
from router.calls.asked import AskedCall
from router.offer import Offer
from router.plan import make_plan, make_plans
from router.shelf import Shelf
from router.transcript import as_data
from router.turn import Plan, Result, Turn, WantedCall
from tests.unit.test_plan import names, planned

CALLER = Caller(user_id="user_1", roles=["customer"])
ANYTHING: dict[str, Any] = {}
PARAMETERS = {
    "type": "object",
    "properties": {
        "to": ANYTHING,
        "amount": {"type": "number"},
        "party": {"type": "object", "properties": {"iban": ANYTHING, "names": {"type": "array"}}},
    },
}


def pay(**said: Any) -> Tool:
    return Tool.model_validate({"name": "pay", "parameters": PARAMETERS, "service": "Bank", "handler": "pay"} | said)


def plan_of(tool: Tool, **arguments: Any) -> Plan:
    wanted = WantedCall(name=tool.name, arguments=json.dumps(arguments))
    made = make_plan("call_1_1", wanted, {tool.name: Offer(tool)}, CALLER, 100)
    assert made.fault is None
    return made


def rules(tool: Tool, arguments: dict[str, Any], **so_far: Any) -> list[str]:
    need = needed(plan_of(tool, **arguments), tool, SoFar(CALLER, **so_far), "appr_1")
    return need.rules if need else []


@pytest.mark.parametrize("kind", [{}, {"mode": "send"}, {"readonly": True}, {"service": None}], ids=str)
def test_nothing_that_needs_a_yes_is_done_without_one(kind: dict[str, Any]) -> None:
    (plan,) = planned(approval="required", **kind)
    assert plan.approval is not None
    assert (kind_of(plan), bool(plan.task_id)) == (AskedCall, True)


def test_an_effect_that_the_model_wants_twice_in_one_message_is_asked_once() -> None:
    tool = pay(approval="required")
    wanted = [WantedCall(name="pay", arguments='{"to": "a", "amount": 5.0}')] * 2
    assert len(make_plans([], wanted, {"pay": Offer(tool)}, CALLER, names(), 100)) == 1


def test_what_is_decided_is_known_by_a_name_of_its_own() -> None:
    ids = [plan.approval.approval_id for plan in planned(3, approval="required") if plan.approval]
    assert len(set(ids)) == 3
    assert all(each.startswith("appr_") and len(each) == 37 for each in ids)
    assert ids == [plan.approval.approval_id for plan in planned(3, approval="required") if plan.approval]


# Conditions

DONE = {
    "turns": [Turn(plans=[Plan(call_id="call_1_1", tool="pay", arguments="{}")])],
    "results": [[Result(call_id="call_1_1", tool="pay", status="ok", content="{}")]],
}


@pytest.mark.parametrize(
    ("when", "arguments", "so_far", "asked"),
    [
        ("arguments.amount > 50", {"amount": 51}, {}, ["when"]),
        ("arguments.amount > 50", {"amount": 50}, {}, []),
        ("arguments.amount > 50", {"amount": 50.5}, {}, ["when"]),
        ("arguments.amount > 50", {"amount": 0.5}, {}, []),
        ("arguments.amount > 50.0", {"amount": 51}, {}, ["when"]),
        ("arguments.amount > 50", {}, {}, ["undecided"]),
        ("has(arguments.amount) && arguments.amount > 50", {}, {}, []),
        ("arguments.amount > 50 || true", {}, {}, ["when"]),
        ("arguments.amount > 50 && false", {}, {}, []),
        ("!('staff' in caller.roles)", {}, {}, ["when"]),
        ("!('customer' in caller.roles)", {}, {}, []),
        ("caller.user_id == 'user_1'", {}, {}, ["when"]),
        ("run.turn > 1", {}, {}, []),
        ("run.turn > 1", {}, DONE, ["when"]),
        ("run.calls.exists(c, c.tool == 'pay' && c.status == 'ok')", {}, DONE, ["when"]),
        ("size(run.calls) > 1", {}, DONE, []),
        ("run.in_conversation", {}, {}, []),
        ("run.in_conversation", {}, {"in_conversation": True}, ["when"]),
        ("arguments.to.startsWith('x')", {"to": "xy"}, {}, ["when"]),
        ("arguments.to.startsWith('x')", {"to": 7}, {}, ["undecided"]),
        ("arguments.to.matches('^(a+)+$')", {"to": "a" * 40 + "b"}, {}, []),
        ("arguments.to > 50", {"to": "51"}, {}, ["undecided"]),
        ("arguments.to > 50", {"to": None}, {}, ["undecided"]),
        ("arguments.to > 50", {"to": 10**30}, {}, ["undecided"]),
        ("!(arguments.to > 50)", {"to": "51"}, {}, ["undecided"]),
        ("arguments.to > 50 ? false : false", {"to": "51"}, {}, ["undecided"]),
        ("[1, 2].all(x, arguments.to > x)", {"to": "51"}, {}, ["undecided"]),
        ("[1, 2].exists(x, arguments.to > x)", {"to": "51"}, {}, ["undecided"]),
        ("!(arguments.to in ['a'])", {}, {}, ["undecided"]),
        ("size(run.calls.filter(c, c.nothing == 1)) > 0", {}, DONE, ["undecided"]),
        ("arguments.to == 'a'", {"to": 7}, {}, ["undecided"]),
        ("arguments.amount", {"amount": 1}, {}, ["undecided"]),
        ("1", {}, {}, ["undecided"]),
        ("'false'", {}, {}, ["undecided"]),
        ("1 / 0 == 1", {}, {}, ["undecided"]),
        ("null", {}, {}, ["undecided"]),
        ("arguments", {}, {}, ["undecided"]),
        ("arguments.party.names[9] == 'a'", {"party": {"names": []}}, {}, ["undecided"]),
        ("not an expression", {}, {}, ["undecided"]),
        ("(" * 60 + "true" + ")" * 60, {}, {}, ["undecided"]),
        ("arguments.party.names.all(a, arguments.party.names.all(b, arguments.party.names.all(c, a + b + c != '')))",
         {"party": {"names": ["x"] * 1000}}, {}, ["undecided"]),
    ],
)  # fmt: skip
def test_a_condition_asks_when_it_holds_and_when_it_has_no_answer(
    when: str, arguments: dict[str, Any], so_far: dict[str, Any], asked: list[str]
) -> None:
    assert rules(pay(approval=f"when:{when}"), arguments, **so_far) == asked


# Provenance

SENT = pay(approval="provenance", destinations=["to", "party"])
MINE, EVIL = "anna@example.com", "eve@evil.com"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, False),
        ({"amount": 7000}, False),
        ({"to": None}, False),
        ({"to": ""}, False),
        ({"to": []}, False),
        ({"to": MINE}, False),
        ({"to": [MINE]}, False),
        ({"to": f"{MINE}, ben@example.com"}, False),
        ({"to": [MINE, EVIL]}, True),
        ({"to": f"{MINE},{EVIL}"}, True),
        ({"to": EVIL}, True),
        ({"to": {"address": MINE}}, True),
        ({"to": {EVIL: MINE}}, True),
        ({"to": 12345678}, False),
        ({"to": 12345678.0}, False),
        ({"to": 1234567}, True),
        ({"to": 1e300}, True),
        ({"to": True}, True),
        ({"to": False}, True),
        ({"to": json.dumps([EVIL])}, True),
        ({"party": {"iban": "12345678", "names": [MINE]}}, False),
        ({"party": {"iban": "12345678", "names": [MINE, [EVIL]]}}, True),
        ({"party": {"iban": None, "names": []}}, False),
        ({"party": {"iban": EVIL}}, True),
    ],
)
def test_a_destination_that_nobody_named_asks(arguments: dict[str, Any], asked: bool) -> None:
    said = [f"Pay 12 34 56 78, or 12345678, or write to {MINE}", "and to ben@example.com"]
    assert rules(SENT, arguments, said=said) == (["provenance"] if asked else [])


def test_what_the_router_binds_is_no_destination_of_the_model() -> None:
    bound = pay(approval="provenance", destinations=["to"], bind={"to": "caller.user_id"})
    assert rules(bound, {}) == []


def call(tool: str, arguments: Any, result: Any, status: Any = "ok", trusted: bool = True) -> dict[str, Any]:
    """A turn with this call."""
    plan = Plan(call_id="call_1_1", tool=tool, arguments=json.dumps(arguments), trusted=trusted)
    told = Result(call_id="call_1_1", tool=tool, status=status, content=as_data(status, result))
    return {"turns": [Turn(plans=[plan])], "results": [[told]]}


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        (call("accounts", {}, {"rows": [{"mail": EVIL}]}), False),
        (call("accounts", {}, f"The account is {EVIL}."), False),
        (call("accounts", {"kind": "all"}, [EVIL]), False),
        (call("accounts", {}, [EVIL], trusted=False), True),
        (call("accounts", {}, [EVIL], status="error"), True),
        (call("accounts", {}, [EVIL], status="unknown"), True),
        (call("accounts", {"query": EVIL}, {"found": EVIL}), True),
        (call("accounts", {"query": f"who is {EVIL}?"}, {"found": EVIL}), True),
        (call("accounts", {}, ["eve@", "evil.com"]), True),
        (call("accounts", {}, f"{EVIL}… [cut: the result was 99999 bytes long]"), True),
    ],
)
def test_what_a_trusted_tool_found_by_itself_is_a_destination(before: dict[str, Any], asked: bool) -> None:
    assert rules(SENT, {"to": EVIL}, **before) == (["provenance"] if asked else [])


def test_what_was_found_first_may_be_looked_up_again() -> None:
    first, second = call("accounts", {}, [EVIL]), call("account", {"of": EVIL}, {"mail": EVIL})
    both = {key: [*first[key], *second[key]] for key in first}
    assert rules(SENT, {"to": EVIL}, **both) == []
    swapped = {key: [*second[key], *first[key]] for key in first}
    assert rules(SENT, {"to": EVIL}, **swapped) == ["provenance"]


def test_only_the_customers_own_words_count() -> None:
    entries = [
        Entry(kind="message", text="first"),
        *(Entry(kind=kind, text=EVIL) for kind in ("answer", "effect", "late", "note", "person", "owner", "packet")),
    ]
    given = ConversationRun(
        conversation="conv_" + "a" * 20, run="run_1", epoch=1, caller=CALLER, inputs=["third"], entries=entries
    )
    given.summary = EVIL
    turns = [Turn(text=EVIL, inputs=["fourth"]), Turn(inputs=[])]
    assert customers_words(given, "third", turns, ["fifth"]) == ["fifth", "fourth", "third", "first"]


# Tools for this question


def shelf(*tools: Tool) -> Shelf:
    return Shelf({tool.name: Offer(tool) for tool in tools})


def effect(name: str, description: str, **said: Any) -> Tool:
    return pay(name=name, description=description, **said)


SHELF = shelf(
    effect("refund_invoice", "Refund an invoice of this customer."),
    effect("create_ticket", "Open a ticket about a problem.", pinned=True),
    effect("send_mail", "Send a mail to somebody."),
    effect("find_invoice", "Find an invoice.", readonly=True),
    effect("erase_invoice", "Erase an invoice for good.", roles=["admin"]),
)


def chosen(said: list[str], turns: list[Turn], most: int = 2, is_news: bool = False) -> list[str] | None:
    return may_make(said, turns, SHELF, CALLER, most, is_news=is_news)


def test_the_effects_of_a_run_are_chosen_once_from_what_the_customer_said() -> None:
    first = chosen(["Can you refund invoice 7?"], [])
    assert first == ["create_ticket", "refund_invoice"]
    later = [Turn(may_make=first), Turn(may_make=first)]
    assert chosen(["Can you refund invoice 7?"], later) == first
    assert chosen(["Mail it to me", "Can you refund invoice 7?"], later, is_news=True) == [
        "create_ticket",
        "refund_invoice",
        "send_mail",
    ]
    assert chosen(["anything"], [], most=0) is None


def test_an_effect_that_the_customer_has_not_asked_for_needs_a_yes() -> None:
    made = {"may_make": ["refund_invoice"]}
    assert rules(effect("send_mail", ""), {}, **made) == ["question"]
    assert rules(effect("send_mail", "", mode="send", readonly=True), {}, **made) == ["question"]
    assert rules(effect("refund_invoice", ""), {}, **made) == []
    assert rules(effect("find_invoice", "", readonly=True), {}, **made) == []
    assert rules(effect("send_mail", "", approval="required"), {}, **made) == ["required", "question"]


# Shadow mode


@pytest.mark.parametrize(
    ("approval", "shadowed", "asked"),
    [
        ("provenance", ["provenance", "question"], []),
        ("required", ["question"], ["required"]),
        ("provenance,when:true", ["provenance", "question"], ["when"]),
        ("when:1/0 == 1", ["question"], ["undecided"]),
    ],
)
def test_shadow_mode_counts_and_stops_nothing_that_can_be_tried_out(
    approval: str, shadowed: list[str], asked: list[str]
) -> None:
    tool = pay(approval=approval, destinations=["to"])
    plan = plan_of(tool, to=EVIL)
    need = needed(plan, tool, SoFar(CALLER, may_make=[], shadow=True), "appr_1")
    assert (plan.shadowed, need.rules if need else []) == (shadowed, asked)
