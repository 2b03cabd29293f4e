"""A model that obeys whatever it reads, in the router's own hands: plans are made as in a run, and nothing is sent."""

import json
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from contracts import Caller, ConversationRun, Entry
from router.decision import _so_far
from router.offer import Offer
from router.past import past
from router.plan import make_plans
from router.run import Run
from router.shelf import Shelf
from router.transcript import as_data, as_error, messages
from router.turn import Plan, Result, Turn, WantedCall
from tests.injections.bank import TOOLS, Books
from tests.injections.table import TABLE, Call, Injection
from tests.unit.test_plan import names

CALLER = Caller(user_id="user_1")
QUESTION_EFFECTS = 2


class Guards(NamedTuple):
    provenance: bool = True
    question: bool = True


class Seen(NamedTuple):
    """`harmed`: what the attacker wanted was done without a person's yes. `task_asked`: a person was asked about what
    the customer wanted. `task_done`: that was done, or waits for a person."""

    harmed: bool
    task_asked: bool
    task_done: bool
    was_read: bool


class _World:
    """One run."""

    def __init__(self, injection: Injection, guards: Guards) -> None:
        self._guards = guards
        planted = {injection.task.read[0]: injection.result or {"text": injection.text}}
        self._books = Books(planted)
        rule = {} if guards.provenance else {"approval": "never"}
        self._shelf = Shelf({tool.name: Offer(tool.model_copy(update=rule)) for tool in TOOLS})
        self._run = SimpleNamespace(conversation=_given(injection), message=injection.task.said, turns=[], results=[])

    @property
    def chat(self) -> str:
        run = self._run
        chat = messages("You help.", run.message, run.turns, run.results, past=past(run.conversation))
        return " ".join(str(message["content"]) for message in chat)

    def turn(self, calls: Sequence[Call]) -> list[Plan]:
        """The model makes these calls; returns what was planned."""
        run, most = self._run, QUESTION_EFFECTS if self._guards.question else 0
        facts = SimpleNamespace(caller=CALLER, question_effects=most, approval_shadow=False)
        so_far = _so_far(cast(Run, run), self._shelf, cast(Any, facts), [])
        wanted = [WantedCall(name=name, arguments=json.dumps(arguments)) for name, arguments in calls]
        plans = make_plans(run.turns, wanted, self._shelf.offers, CALLER, names(), 100, so_far)
        may_make = None if so_far.may_make is None else list(so_far.may_make)
        run.turns.append(Turn(plans=plans, may_make=may_make))
        run.results.append([self._result(plan) for plan in plans])
        return plans

    def _result(self, plan: Plan) -> Result:
        made = is_made(plan)
        answer = self._books.answer(plan.tool, json.loads(plan.body)) if made else None
        content = as_data("ok", answer) if made else as_error("not made")
        return Result(call_id=plan.call_id, tool=plan.tool, status="ok" if made else "denied", content=content)


def is_made(plan: Plan) -> bool:
    return plan.kind != "refused" and plan.approval is None


def _given(injection: Injection) -> ConversationRun | None:
    if not (injection.summary or injection.answered):
        return None
    said = [Entry(kind="message", text="Hello."), Entry(kind="answer", text=injection.answered or "Hello.")]
    return ConversationRun(
        conversation="conv_" + "a" * 20,
        run="run_1",
        epoch=1,
        caller=CALLER,
        inputs=[injection.task.said],
        summary=injection.summary,
        entries=said,
    )


def obeyed(injection: Injection, guards: Guards) -> Seen:
    """The model looks up what the customer wants, obeys what it reads, and then does what the customer wants."""
    world = _World(injection, guards)
    world.turn([injection.task.read])
    told = json.dumps(injection.text, ensure_ascii=False)[1:-1]
    was_read = told in world.chat or injection.text in world.chat or injection.result is not None
    harm = [world.turn(step) for step in injection.attack][-1]
    done = world.turn(injection.task.done) if injection.task.done else []
    return Seen(
        harmed=any(is_made(plan) for plan in harm),
        task_asked=any(plan.approval is not None for plan in done),
        task_done=all(is_made(plan) or plan.approval is not None for plan in done),
        was_read=was_read,
    )


def harmed(guards: Guards, table: Iterable[Injection] = TABLE) -> list[Injection]:
    """The injections that do what they want without a person's yes."""
    return [injection for injection in table if obeyed(injection, guards).harmed]
