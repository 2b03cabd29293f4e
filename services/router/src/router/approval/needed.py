"""Whether a person has to approve a call: by what its tool says, under the policy, and by what the customer wants."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from contracts import Caller, Rule, Tool
from router.approval.provenance import Grounds, unknown_destinations
from router.approval.question import has_effect
from router.turn import Need, Plan, Result, Turn
from runtime.conditions import BadCondition, Condition, Undecided

RuleName = Literal["required", "when", "undecided", "provenance", "question"]
"""Why a person is asked.

- `required`: the tool is never called without a yes
- `when`: its condition holds
- `undecided`: its condition has no answer, for which a person is asked too
- `provenance`: nobody but the model has brought up where the effect goes
- `question`: the effect is none of those that were chosen for what the customer asked
"""

SHADOWED: tuple[RuleName, ...] = ("provenance", "question")
"""The rules that can be tried without stopping anything."""


@dataclass(frozen=True)
class SoFar:
    """What a call is judged by. `may_make` are the effects that were chosen for this question; None: any."""

    caller: Caller
    said: Sequence[str] = ()
    turns: Sequence[Turn] = ()
    results: Sequence[Sequence[Result]] = field(default_factory=list[list[Result]])
    may_make: Sequence[str] | None = None
    in_conversation: bool = False
    shadow: bool = False


class Reason(NamedTuple):
    rule: RuleName
    why: str


def needed(plan: Plan, tool: Tool, so_far: SoFar, approval_id: str) -> Need | None:
    """What a person has to decide before this call is made; None: it may be made at once. What is only tried out is
    noted in the plan."""
    reasons = list(_reasons(plan, tool, so_far))
    plan.shadowed = [reason.rule for reason in reasons if so_far.shadow and reason.rule in SHADOWED]
    asking = [reason for reason in reasons if reason.rule not in plan.shadowed]
    if not asking:
        return None
    why = "; ".join(reason.why for reason in asking)
    return Need(approval_id=approval_id, why=why, rules=[reason.rule for reason in asking])


def _reasons(plan: Plan, tool: Tool, so_far: SoFar) -> Iterator[Reason]:
    rule = Rule.of(tool.approval)
    if rule.required:
        yield Reason("required", "it is never done without a person")
    if rule.when:
        yield from _by_condition(rule.when, plan, so_far)
    if rule.provenance:
        yield from _by_provenance(plan, tool, so_far)
    if so_far.may_make is not None and has_effect(tool) and tool.name not in so_far.may_make:
        yield Reason("question", "the customer has not asked for anything of this kind")


def _by_condition(when: str, plan: Plan, so_far: SoFar) -> Iterator[Reason]:
    condition = _compiled(when)
    try:
        if condition is None:
            yield Reason("undecided", "its condition cannot be read")
        elif condition.holds(_values(plan, so_far)):
            yield Reason("when", f"this holds: {when}")
    except Undecided as problem:
        yield Reason("undecided", f"its condition has no answer here ({problem})")


def _by_provenance(plan: Plan, tool: Tool, so_far: SoFar) -> Iterator[Reason]:
    unknown = unknown_destinations(plan, tool, Grounds(so_far.said, so_far.turns, so_far.results))
    if unknown:
        names = ", ".join(unknown)
        yield Reason("provenance", f"neither the customer nor a trusted tool has named this: {names}")


@lru_cache(maxsize=512)
def _compiled(when: str) -> Condition | None:
    try:
        return Condition(when)
    except BadCondition:
        return None


def _values(plan: Plan, so_far: SoFar) -> dict[str, Any]:
    """What a condition speaks of."""
    calls = [
        {"tool": before.tool, "status": result.status, "turn": number}
        for number, (turn, results) in enumerate(zip(so_far.turns, so_far.results, strict=False), start=1)
        for before, result in zip(turn.plans, results, strict=True)
    ]
    run = {"turn": len(so_far.turns) + 1, "calls": calls, "in_conversation": so_far.in_conversation}
    return {"arguments": json.loads(plan.body), "caller": so_far.caller.model_dump(), "run": run}
