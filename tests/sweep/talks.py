"""The crash sweep of a conversation: kill everything while words come in, are read, and are answered.

A conversation has three inputs: a short line that waits for more of it, words for the run that is at work, and a
question that waits for the run after it. Its effect is made in the first turn of all: what begins twice is seen.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.parts.restate import HttpReply
from tests.sweep.points import Fault, Position
from tests.sweep.sweep import Case, Sweep, Victim
from tests.sweep.world import SweepWorld

TALKING: tuple[Victim, ...] = ("service", "restate", "postgres", "conversations", "sigterm")
"""What is killed in turn."""

ROOMS = ("conversations", "router")
"""Whose positions are swept: those of the other rooms are in the sweep of a question."""

FIRST_TURN_SECONDS = 0.8
"""For so long the model thinks about the first line: what is said to the run meanwhile finds it at work."""
ARRIVED_SECONDS = 0.1
"""A request that was sent this long ago has passed its position."""


@dataclass(frozen=True)
class Moment(Position):
    """A position that is passed after so many inputs were sent."""

    sent: int = 1

    def __str__(self) -> str:
        return f"{super().__str__()}, after input {self.sent}"


@dataclass(frozen=True)
class Act:
    """One thing that somebody does, once what went before has come to its end. `do` gets a name to do it once by."""

    do: Callable[[Case, str], Awaitable[HttpReply]]
    after: Callable[[Case], Awaitable[None]] | None = None


class Talks(Sweep):
    """Holds one conversation after the other, each with its fault."""

    first_number = 1001
    """Other customers than those of a sweep of questions in the same world."""
    rooms = ROOMS

    def __init__(self, world: SweepWorld) -> None:
        super().__init__(world)
        self._moments: list[Moment] | None = None
        self._waiting: tuple[int, Fault] | None = None

    async def positions(self) -> list[Position]:
        """Every moment that a conversation passes without a fault. The first conversation warms up."""
        await self.ask_without_fault()
        self._moments = []
        await self.ask_without_fault()
        passed = [moment for moment in self._moments if moment.service in self.rooms and not by_chance(moment)]
        self._moments = None
        passed.sort(key=lambda moment: (moment.sent, moment.service, str(moment)))
        return list(passed)

    def _arm(self, position: Position, victim: Victim) -> None:
        fault = self._fault(Position(position.service, position.label, position.nth), victim)
        self._waiting = (position.sent if isinstance(position, Moment) else 1, fault)

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        """Hold the conversation, wait until all of it is over, and check every ledger."""
        await self._world.script(case.subject, script or self._script(case))
        try:
            told = await self._hold(case)
            await self._world.settled(key_of(case), len(told))
            await self._world.notified(case.subject)
            await self._world.idle()
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        self._passed(len(told))
        await self._world.healthy()
        await self._check_repeats(case, told)
        self._check_transcript(case)
        self._check_events(case)
        self._check_tickets(case)
        self._check_notifications(case)
        await self._check_model_calls(case)
        await self._check_failures(case)

    async def _hold(self, case: Case) -> list[HttpReply]:
        """What each act was answered."""
        told = list[HttpReply]()
        for sent, act in enumerate(self._acts(), start=1):
            if act.after:
                await act.after(case)
                await asyncio.sleep(ARRIVED_SECONDS)  # what led there has passed its positions
            self._passed(sent - 1)
            self._arm_if_due(sent)
            told.append(await act.do(case, f"{case.number}-{sent}"))
        return told

    def _acts(self) -> list[Act]:
        return [
            Act(lambda case, _: self._tell(case, 0)),
            Act(lambda case, _: self._tell(case, 1), lambda case: self._world.asked_the_model(case.subject, 1)),
            Act(lambda case, _: self._tell(case, 2)),
        ]

    async def _tell(self, case: Case, number: int) -> HttpReply:
        return await self._world.tell(key_of(case), self._inputs(case)[number])

    def _arm_if_due(self, sent: int) -> None:
        if self._waiting and self._waiting[0] == sent:
            self._world.orders.arm(self._waiting[1])
            self._waiting = None

    def _passed(self, sent: int) -> None:
        """While positions are recorded: those since the last time were passed after so many inputs."""
        if self._moments is None:
            return
        if sent:
            recorded = self._world.orders.recorded()
            self._moments += [Moment(each.service, each.label, each.nth, sent) for each in recorded]
        self._world.orders.record()

    async def _check_repeats(self, case: Case, told: Sequence[HttpReply]) -> None:
        """What is done again gets the same answer, and all that is checked later is as it was."""
        for number, (act, first) in enumerate(zip(self._acts(), told, strict=True), start=1):
            again = await act.do(case, f"{case.number}-{number}")
            case.require(first.status_code < 300, f"act {number}: status {first.status_code}: {first.text}")
            case.require(again.text == first.text, f"act {number}: first {first.text}, then {again.text}")

    def _check_transcript(self, case: Case) -> None:
        """Each input stands there once and is one run's; each run has answered once; the effect is told of once."""
        entries = self._rows("SELECT kind, run, body FROM conversations.entries", case, "position")
        runs = {row["run"] for row in self._rows("SELECT run FROM conversations.inputs", case, "position")}
        said = Counter(entry["body"]["text"] for entry in entries if entry["kind"] == "message")
        answers = Counter(entry["run"] for entry in entries if entry["kind"] == "answer")
        self._compare(case, "input", said, Counter(body["text"] for body in self._inputs(case)))
        self._compare(case, "answer of", answers, Counter(runs))
        texts = {entry["body"]["text"] for entry in entries if entry["kind"] == "answer"}
        case.require(texts == {case.words}, f"another answer: {texts}")
        effects = [entry["body"].get("ticket_id") for entry in entries if entry["kind"] == "effect"]
        made = [ticket_id for ticket_id, *_ in self._tickets(case)]
        case.require(effects == made, f"told of {effects}, made {made}")
        case.require(all(entry["kind"] != "late" for entry in entries), "something came too late")

    def _compare(self, case: Case, what: str, found: Counter[str], wanted: Counter[str]) -> None:
        lost, doubled = wanted - found, found - wanted
        case.lost += lost.total()
        case.duplicates += doubled.total()
        case.require(not lost, f"{what} lost: {dict(lost)}")
        case.require(not doubled, f"{what} doubled: {dict(doubled)}")

    def _check_events(self, case: Case) -> None:
        """Whoever watched has seen each thing once, in one order without a gap."""
        events = self._rows("SELECT position, kind FROM conversations.events", case, "position")
        places = [event["position"] for event in events]
        case.require(places == list(range(1, len(places) + 1)), f"positions of events: {places}")
        seen, runs = self._seen(case), self._runs(case)
        wanted = Counter({"input": len(self._inputs(case)), "run_started": runs, "run_ended": runs, "answer": runs})
        found = Counter({kind: seen[kind] for kind in wanted})
        case.require(found == wanted, f"events: {dict(seen)} of {runs} runs")
        case.require(seen["tool_started"] == seen["tool_finished"], f"events: {dict(seen)}")

    async def _check_model_calls(self, case: Case) -> None:
        """The model read each input once. A turn that is asked again may read what came meanwhile, one input."""
        calls, turns = await self._world.model_calls(case.subject), self._seen(case)["turn"]
        case.extra_paid_calls = len(calls) - turns
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(0 <= extra <= allowed, f"{extra} extra model calls, {allowed} allowed")
        texts = len({call["digest"] for call in calls})
        case.require(turns <= texts <= turns + min(extra, 1), f"{turns} turns were told {texts} different things")
        read = await self._world.told_the_model(case.subject)
        words = "\n".join(message["content"] for message in read if message["role"] == "user")
        self._compare(
            case,
            "the model's input",
            Counter({body["text"]: words.count(body["text"]) for body in self._inputs(case)}),
            Counter(body["text"] for body in self._inputs(case)),
        )

    def key(self, case: Case) -> str:
        return key_of(case)

    def _inputs(self, case: Case) -> list[dict[str, Any]]:
        return _inputs(case)

    def _script(self, case: Case) -> list[dict[str, Any]]:
        return _script(case)

    def _seen(self, case: Case) -> Counter[str]:
        return Counter(event["kind"] for event in self._rows("SELECT kind FROM conversations.events", case, "position"))

    def _runs(self, case: Case) -> int:
        return len(self._rows("SELECT run FROM conversations.runs", case, "epoch"))

    def _rows(self, select: str, case: Case, order: str) -> list[dict[str, Any]]:
        where = f"WHERE conversation_id = '{self.key(case)}' ORDER BY {order}"
        return json.loads(self._world.postgres.psql(f"SELECT coalesce(json_agg(e), '[]') FROM ({select} {where}) e"))


def by_chance(moment: Moment) -> bool:
    """What the router tells whoever watches is written beside the run, as often as there happens to be something; and
    the text of a stream comes in as many frames as there happen to be."""
    beside = moment.service == "router" and moment.label.endswith("COMMIT")
    text = moment.service == "gateway" and moment.label.endswith(
        (" half of text", " text sent", "comment", "comment sent")
    )
    return moment.nth > 1 and (beside or text)


def key_of(case: Case) -> str:
    return f"conv_{case.number:032}"


def _inputs(case: Case) -> list[dict[str, Any]]:
    """The first is a line so short that it waits for more."""
    said = [
        (case.subject, "steer"),
        (f"It is about the production account, not the sandbox ({case.number}).", "steer"),
        (f"And what can I do until somebody has looked at it ({case.number})?", "queue"),
    ]
    sender = {"user_id": f"customer_{case.number}"}
    return [
        sender | {"text": text, "when_busy": when, "input_id": f"input_{number}"}
        for number, (text, when) in enumerate(said, start=1)
    ]


def _script(case: Case) -> list[dict[str, Any]]:
    """By how often the assistant has spoken: a run that finds an answer before it looks things up, and speaks."""
    ticket = {"subject": case.subject, "description": "Every call is answered 429."}
    look = [{"name": "query_user_database"}, {"name": "check_service_status", "arguments": {"component": "API"}}]
    effect = {"tool_calls": [{"name": "create_support_ticket", "arguments": ticket}]}
    return [effect | {"latency_seconds": FIRST_TURN_SECONDS}, {"tool_calls": look}, {"text": case.words}]
