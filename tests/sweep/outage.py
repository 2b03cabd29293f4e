"""Outages that last longer than every deadline: what was accepted is done once when what was away is back, nothing is
said that is not so, and every run ends."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.parts.polling import eventually
from tests.parts.restate import HttpReply
from tests.sweep.points import Position
from tests.sweep.sweep import Case, Sweep, Victim
from tests.sweep.world import SweepWorld

MAX_SECONDS = 5
RUN_DEADLINE_SECONDS = 6
AWAY_SECONDS = 12.0
"""Longer than a run may last, than the registry lets one fail, and than the look-up of a caller is waited for."""

ROUTER = {"MAX_SECONDS": str(MAX_SECONDS)}
REGISTRY = {"RUN_DEADLINE_SECONDS": str(RUN_DEADLINE_SECONDS), "STUCK_POLL_SECONDS": "0.5"}

ENDS_BY_AGE = ("ToolRouter/route", "UserDatabase/", "RouterCalls/read")
"""What a caller waits for. Anything else was accepted for good, and never fails."""

LASTING: tuple[Victim, ...] = ("service", "restate", "postgres")
"""What is away for long. A service that is asked to leave is away as one that is killed."""

ENDS = ("answered", "time_exhausted", "model_unavailable")
"""How a run may end: the model has at times but a moment left to answer in."""

TICKET = "create_support_ticket"
SETTLING_SECONDS = 0.3
TABLES_SECONDS = 10.0


class Outages(Sweep):
    """As the sweep, but what is killed stays away."""

    def __init__(self, world: SweepWorld) -> None:
        super().__init__(world)
        self._failed: Counter[str] = Counter()

    async def strike(self, position: Position, victim: Victim) -> Case:
        name = self._process_of(position, victim)
        self._world.keep_away(name, AWAY_SECONDS)
        case = await super().strike(position, victim)
        self._world.keep_away(name, 0)
        if fired_at := self._world.orders.fired_at():
            case.away_seconds = await self._world.away_for(name, fired_at)
            case.require(case.away_seconds >= AWAY_SECONDS, f"it was away for {case.away_seconds:.1f} s only")
        return case

    def _process_of(self, position: Position, victim: Victim) -> str:
        if victim == "restate":
            return self._world.restate.process.program.name
        return self._world.postgres.process.program.name if victim == "postgres" else position.service

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        if case.position is None:
            await super().ask(case, script)
            return
        await self._world.script(case.message, script or case.script())
        before = await self._world.ticket_workflows()
        try:
            reply = await self._world.ask(case.number, case.message)
            await self._all_is_over(case, reply)
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        case.accepted = await self._accepted(before, at_least=int(TICKET in _calls(reply)))
        case.require(case.accepted <= 1, f"{case.accepted} ticket workflows")
        self._check_truth(case, reply)
        await self._check_ledgers(case, reply)

    async def _all_is_over(self, case: Case, reply: HttpReply) -> None:
        await self._world.healthy()
        if TICKET in _calls(reply):
            await self._world.notified(case.subject)
        await self._world.idle()
        await asyncio.sleep(SETTLING_SECONDS)  # what one part of Restate sends to another is in no table for a moment
        await self._world.idle()
        if case.position and (fired_at := self._world.orders.fired_at()):
            await self._world.away_for(self._process_of(case.position, case.victim), fired_at)
            await self._world.healthy()

    async def _accepted(self, before: set[str], at_least: int) -> int:
        """Restate's tables fill for a moment after its start."""

        async def filled() -> bool:
            return len(await self._world.ticket_workflows() - before) >= at_least

        with suppress(AssertionError):
            await eventually(filled, TABLES_SECONDS)
        return len(await self._world.ticket_workflows() - before)

    def _check_truth(self, case: Case, reply: HttpReply) -> None:
        """What the customer was told is what was done."""
        if reply.status_code != 200:
            is_away = case.position is not None and case.position.service == "router" and case.victim == "service"
            expected = is_away and reply.status_code == 409
            case.require(expected, f"status {reply.status_code}: {reply.text}")
            return
        answer, made = reply.json(), [ticket_id for ticket_id, *_ in self._tickets(case)]
        case.require(answer["outcome"] in ENDS, f"ended in another way: {reply.text}")
        told = _calls(reply).get(TICKET)
        case.require(told in (None, "ok", "unknown"), f"the ticket's call is {told}")
        case.require((told is not None) == bool(case.accepted), f"told {told}, accepted {case.accepted}")
        case.require(answer["tickets"] == (made if told == "ok" else []), f"told of {answer['tickets']}, made {made}")

    async def _check_model_calls(self, case: Case) -> None:
        calls = await self._world.model_calls(case.message)
        turns = [call["turns"] for call in calls]
        case.extra_paid_calls = len(calls) - len(set(turns))
        case.require(turns == sorted(turns), f"a model turn ran again after a later one: {turns}")
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(extra <= allowed, f"{extra} extra model calls, {allowed} allowed")

    async def _check_failures(self, case: Case) -> None:
        """No accepted work ever fails."""
        failed = Counter(await self._world.failures())
        new = [each for each in failed - self._failed if not each.startswith(ENDS_BY_AGE)]
        case.require(not new, f"failed: {new}")
        self._failed = failed


def _calls(reply: HttpReply) -> dict[str, str]:
    """How each call ended, as the customer was told."""
    if reply.status_code != 200:
        return {}
    return {call["tool"]: call["status"] for call in reply.json()["calls"]}
