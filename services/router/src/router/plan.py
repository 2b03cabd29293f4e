"""Decisions: what the router will do with each call that the model asked for, or what the model must read instead.

Everything that a call needs is decided here once and journaled with the turn, so that a later change of the
catalogue, a policy or a setting never changes a run that is being replayed.
"""

import json
import re
from collections import Counter
from typing import Any, cast

from contracts import Caller, Tool
from router.approval import SoFar, needed
from router.approval.asking import Unshowable, prepare
from router.names import Names
from router.offer import COMPLAINT_CHARACTERS, Offer, Unfit
from router.repair import Unreadable, read_arguments, repair
from router.turn import CallKind, Fault, Plan, Turn, WantedCall

EFFECTS: tuple[CallKind, ...] = ("effect", "started")

_KEPT = {"call_id", "tool", "arguments", "own_id", "foreign", "repaired", "shadowed"}
"""Of a call that is not made."""

_NAME_IN = re.compile(r"^\W*(?:functions?[.:])?(?P<name>[a-zA-Z0-9_-]+)")


def make_plans(
    turns: list[Turn],
    calls: list[WantedCall],
    offers: dict[str, Offer],
    caller: Caller,
    names: Names,
    seconds_left: float,
    so_far: SoFar | None = None,
) -> list[Plan]:
    """Decide the calls of the turn after these, in order; a run makes only so many effects of one tool. `so_far` tells
    whether a person has to approve one.

    An effect that stands in the same message already has no plan of its own: it is made once.
    """
    made = Counter(plan.tool for turn in turns for plan in turn.plans if plan.kind != "refused")
    plans: list[Plan] = []
    effects: set[tuple[str, str]] = set()
    for wanted in calls:
        call_id = f"call_{len(turns) + 1}_{len(plans) + 1}"
        plan = make_plan(call_id, wanted, offers, caller, seconds_left)
        if plan.kind in EFFECTS:
            if (plan.tool, plan.body) in effects:
                continue
            effects.add((plan.tool, plan.body))
        if plan.kind in EFFECTS and made[plan.tool] >= (most := offers[plan.tool].tool.max_per_run):
            why = f"this was already done {most} times for this question, which is as often as it may be"
            plan = _refused(plan, why)
        if plan.kind != "refused":
            tool, number = offers[plan.tool].tool, made[plan.tool]
            _name(plan, tool, names, number)
            made[plan.tool] += 1
            plan.approval = needed(plan, tool, so_far or SoFar(caller), names.approval(tool.name, number))
            if plan.approval is not None:
                plan = _prepared(plan, tool, names.task_id(tool.name, number))
        plans.append(plan)
    return plans


def _refused(plan: Plan, why: str, fault: Fault = "forbidden") -> Plan:
    kept = plan.model_dump(include=_KEPT)
    return Plan(**kept, fault=fault, error=why)


def _prepared(plan: Plan, tool: Tool, task_id: str) -> Plan:
    """What a person decides has one form, which they are shown; what has none nobody is asked about."""
    try:
        prepare(plan, tool)
    except Unshowable as problem:
        return _refused(plan, f"a person has to approve this and cannot be shown it: {problem}", "bad_arguments")
    plan.task_id, plan.timeout = task_id, tool.timeout  # it may outlive its run
    return plan


def make_plan(call_id: str, wanted: WantedCall, offers: dict[str, Offer], caller: Caller, seconds_left: float) -> Plan:
    """Decide one call. Never raises: what cannot be done becomes an error for the model."""
    offer = offers.get(wanted.name) or offers.get(_bare_name(wanted.name))
    plan = Plan(call_id=call_id, tool=offer.tool.name if offer else wanted.name, arguments=wanted.arguments or "{}")
    plan.own_id, plan.foreign = wanted.id, wanted.foreign
    try:
        arguments, plan.repaired = read_arguments(wanted.arguments)
        if plan.repaired:  # a history whose arguments are no JSON object is refused by most endpoints
            plan.arguments = json.dumps(arguments)
    except Unreadable as problem:
        arguments, plan.arguments = None, "{}"
        wrote = scrub(wanted.arguments[:COMPLAINT_CHARACTERS])
        plan.fault, plan.error = "bad_arguments", f"{problem}; you wrote: {wrote}"
    if offer is None:
        plan.fault, plan.error = "unknown_tool", _no_such_tool(offers, caller)
    elif not offer.allowed_to(caller):
        plan.fault, plan.error = "forbidden", "this caller may not use this tool"
    elif arguments is not None:
        _check(plan, offer, cast(dict[str, Any], scrub(arguments)), caller, seconds_left)
    return plan


def _check(plan: Plan, offer: Offer, arguments: dict[str, Any], caller: Caller, seconds_left: float) -> None:
    """Fill the plan, if need be with repaired arguments; what is wrong even then is told as the model wrote it."""
    try:
        fitting = offer.fitting(arguments)
    except Unfit as complaint:
        plan.fault, plan.error = "bad_arguments", str(complaint)
        mended, repaired = repair(arguments, offer.tool.parameters)
        if not repaired:
            return
        try:
            fitting = offer.fitting(mended)
        except Unfit:
            return
        plan.fault, plan.error, plan.repaired = None, None, [*plan.repaired, *repaired]
    _fill(plan, offer.tool, fitting, caller, seconds_left)


def _bare_name(name: str) -> str:
    """Without what models put around a name: a prefix, or the rest of a tag."""
    found = _NAME_IN.search(name)
    return found["name"] if found else name


def _no_such_tool(offers: dict[str, Offer], caller: Caller) -> str:
    names = sorted(name for name, offer in offers.items() if offer.allowed_to(caller))
    return f"there is no tool of that name; the tools are: {', '.join(names)}"


def _fill(plan: Plan, tool: Tool, arguments: dict[str, Any], caller: Caller, seconds_left: float) -> None:
    bound = {name: _bound(source, caller) for name, source in tool.bind.items()}
    plan.kind = _kind(tool)
    plan.body = json.dumps(arguments | bound, ensure_ascii=False)
    plan.service, plan.handler, plan.workflow = tool.service or "", tool.handler or "", tool.workflow
    plan.apart = tool.service is not None and not tool.steady
    plan.key = _key(tool.key, arguments, caller)
    plan.timeout = min(tool.timeout, max(seconds_left, 1))
    plan.max_result_bytes = tool.max_result_bytes
    plan.trusted = tool.trusted
    if plan.kind in EFFECTS:
        plan.concurrent = tool.concurrent
        plan.makes_ticket = tool.ticket
        plan.compensate = tool.compensate


def _name(plan: Plan, tool: Tool, names: Names, number: int) -> None:
    """Give the call what it is known by; `number` calls of this tool came before it."""
    if tool.key == "run":
        plan.key = names.key(tool.name, number)
    if plan.kind in EFFECTS:
        plan.task_id, plan.once = names.task_id(tool.name, number), names.once(tool.name, number)


def _kind(tool: Tool) -> CallKind:
    if tool.service is None:
        return "local"
    if tool.mode == "send":
        return "started"
    return "read" if tool.readonly else "effect"


def scrub(value: Any) -> Any:
    """The same JSON value without NUL characters and lone surrogates, which neither PostgreSQL nor UTF-8 can hold."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {scrub(key): scrub(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [scrub(item) for item in cast(list[Any], value)]
    return value


def _bound(source: str, caller: Caller) -> str:
    if source == "caller.user_id":
        return caller.user_id
    raise ValueError(f"a tool binds {source}, which this router does not know")


def _key(rule: str | None, arguments: dict[str, Any], caller: Caller) -> str | None:
    if rule in (None, "run"):
        return None
    if rule == "caller.user_id":
        return caller.user_id
    return str(arguments[rule.removeprefix("argument:")])
