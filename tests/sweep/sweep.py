"""One question for each position and victim; what came of it, by ledgers that the product does not write."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.parts.restate import HttpReply
from tests.sweep.points import Fault, Position
from tests.sweep.spans import LogicalSpans
from tests.sweep.world import DRAIN_SECONDS, SweepWorld

Victim = Literal["service", "restate", "postgres", "conversations", "gateway", "sigterm"]
"""What is killed: the service that stands there, restate-server, PostgreSQL, one of the rooms; `sigterm` asks the
service that stands there to leave."""

VICTIMS: tuple[Victim, ...] = ("service", "restate", "postgres", "sigterm")
EXIT_SECONDS = DRAIN_SECONDS + 2

QUESTION = "My API calls are failing, what's wrong with my account? Please create a ticket."
TOOLS = ["query_user_database", "check_service_status", "create_support_ticket"]
PAID_CALLS = 3


@dataclass
class Case:
    """One question with at most one fault; `violations` says what did not hold."""

    number: int
    position: Position | None = None
    victim: Victim = "service"
    fired: bool = False
    accepted: int = 1
    """How many tickets Restate was given to make."""
    away_seconds: float = 0
    recovery_seconds: float = 0
    exit_seconds: float = 0
    extra_paid_calls: int = 0
    allowed_extra_calls: int = 0
    lost: int = 0
    duplicates: int = 0
    violations: list[str] = field(default_factory=list[str])

    @property
    def subject(self) -> str:
        return f"API calls fail, case {self.number:04}"

    @property
    def message(self) -> str:
        return f"{QUESTION} ({self.subject})"

    @property
    def words(self) -> str:
        return f"You are over your limit; somebody looks into it. {self.subject}"

    def __str__(self) -> str:
        return f"{self.victim} at {self.position}" if self.position else "no fault"

    def script(self) -> list[dict[str, Any]]:
        ticket = {"subject": self.subject, "description": "Every call is answered 429."}
        turns = [[(TOOLS[0], {}), (TOOLS[1], {"component": "API"})], [(TOOLS[2], ticket)]]
        calls = [{"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in turn]} for turn in turns]
        return [*calls, {"text": self.words}]

    def require(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)


class Sweep:
    """Asks one question after the other, each with its fault."""

    first_number = 1
    """Of the cases, each another customer's."""

    def __init__(self, world: SweepWorld) -> None:
        self._world = world
        self._cases: list[Case] = []
        self._spans = LogicalSpans(world.receiver)
        self._known_failures = 0

    async def positions(self) -> list[Position]:
        """Every position that a question passes without a fault, in a stable order. The first question warms up."""
        await self.ask_without_fault()
        self._world.orders.record()
        await self.ask_without_fault()
        return sorted(self._world.orders.recorded(), key=lambda position: (position.service, str(position)))

    def is_struck(self, position: Position, victim: Victim) -> bool:
        """Whether this sweep kills this one there."""
        del position, victim
        return True

    async def ask_without_fault(self) -> None:
        """Raises AssertionError when something did not hold."""
        case = self.next_case()
        await self.ask(case)
        if case.violations:
            raise AssertionError(f"without any fault: {case.violations}")

    async def strike(self, position: Position, victim: Victim) -> Case:
        """Ask one question while `victim` is killed once at `position`."""
        case = self.next_case()
        case.position, case.victim = position, victim
        case.allowed_extra_calls = _calls_that_may_be_repeated(position, victim)
        await self._world.healthy()
        self._arm(position, victim)
        await self.ask(case)
        self._world.orders.disarm()
        fired_at = self._world.orders.fired_at()
        case.fired = fired_at is not None
        case.recovery_seconds = max(0.0, time.time() - fired_at) if fired_at else 0
        case.require(case.fired, "the fault did not fire")
        if fired_at and victim == "sigterm":
            case.exit_seconds = await self._world.ended_at(position.service, fired_at) - fired_at
            case.require(case.exit_seconds <= EXIT_SECONDS, f"it left only after {case.exit_seconds:.1f} s")
        return case

    async def strike_after_the_answer(self) -> Case:
        """Ask one question and kill what answered as soon as the answer is there: Restate replays nothing any more."""
        case = self.next_case()
        await self._world.healthy()
        await self._world.script(case.message, case.script())
        reply = await self._world.ask(case.number, case.message)
        await self._world.services["router"].kill()
        case.fired = True
        await self._world.notified(case.subject)
        await self._world.idle()
        await self._world.healthy()
        self._check_answer(case, reply)
        case.violations += await self._spans.complaints()
        return case

    def audit(self) -> list[Case]:
        """All cases that did not hold, those included of which something was doubled later."""
        for case in self._cases:
            if not case.violations:
                self._check_tickets(case)
                self._check_notifications(case)
        return [case for case in self._cases if case.violations]

    def next_case(self) -> Case:
        self._cases.append(Case(number=self.first_number + len(self._cases)))
        return self._cases[-1]

    def _arm(self, position: Position, victim: Victim) -> None:
        self._world.orders.arm(self._fault(position, victim))

    def _fault(self, position: Position, victim: Victim) -> Fault:
        if victim in ("service", "sigterm"):
            return Fault(position, signal.SIGKILL if victim == "service" else signal.SIGTERM)
        if victim == "postgres":
            return Fault(position, signal.SIGQUIT, self._world.postgres.process.pid or 0)
        process = self._world.restate.process if victim == "restate" else self._world.services[victim]
        return Fault(position, signal.SIGKILL, process.pid or 0)

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        """Ask its question, wait until all of it is over, and check every ledger."""
        await self._world.script(case.message, script or case.script())
        try:
            reply = await self._world.ask(case.number, case.message)
            await self._world.notified(case.subject)
            await self._world.idle()
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        await self._world.healthy()
        self._check_answer(case, reply)
        await self._check_ledgers(case, reply)
        case.violations += await self._spans.complaints()

    async def _check_ledgers(self, case: Case, reply: HttpReply) -> None:
        """Everything was done once, and asking again gets the same answer."""
        again = await self._world.ask(case.number, case.message)
        case.require(again.text == reply.text, "a later delivery of the question got another answer")
        self._check_tickets(case)
        self._check_notifications(case)
        await self._check_model_calls(case)
        await self._check_failures(case)

    def _check_answer(self, case: Case, reply: HttpReply) -> None:
        case.lost += reply.status_code != 200
        case.require(reply.status_code == 200, f"status {reply.status_code}: {reply.text}")
        answer = reply.json()
        case.require(answer.get("outcome") == "answered", f"not answered: {reply.text}")
        case.require(answer.get("text") == case.words, f"another answer: {reply.text}")
        calls = [(call["tool"], call["status"]) for call in answer.get("calls", [])]
        case.require(calls == [(tool, "ok") for tool in TOOLS], f"not every call was ok: {calls}")
        made = [ticket_id for ticket_id, *_ in self._tickets(case)]
        case.require(answer.get("tickets") == made, f"told of {answer.get('tickets')}, made {made}")

    def _check_tickets(self, case: Case) -> None:
        rows = self._tickets(case)
        case.lost += max(0, case.accepted - len(rows))
        case.duplicates += max(0, len(rows) - case.accepted)
        case.require(len(rows) == case.accepted, f"{case.accepted} accepted, {len(rows)} tickets: {rows}")
        for ticket_id, user_id, audited in rows:
            case.require(user_id == f"customer_{case.number}", f"{ticket_id} belongs to {user_id}")
            case.require(audited == "1", f"{ticket_id} has {audited} audit rows")

    def _tickets(self, case: Case) -> list[list[str]]:
        """Ticket id, user id and the number of audit rows, of each ticket that this case made."""
        rows = self._world.postgres.psql(
            "SELECT ticket_id, user_id, count(audit_id) FROM tickets.tickets LEFT JOIN tickets.audit USING (ticket_id) "
            f"WHERE subject = '{case.subject}' GROUP BY ticket_id, user_id"
        )
        return [row.split("|") for row in rows.split()]

    def _check_notifications(self, case: Case) -> None:
        ids = set(self._world.outside.messages[case.subject])
        case.lost += max(0, case.accepted - len(ids))
        case.duplicates += max(0, len(ids) - case.accepted)
        case.require(len(ids) == case.accepted, f"{len(ids)} distinct message ids")

    async def _check_model_calls(self, case: Case) -> None:
        calls = await self._world.model_calls(case.message)
        turns = [call["turns"] for call in calls]
        case.extra_paid_calls = len(calls) - PAID_CALLS
        case.require(turns == sorted(turns), f"a model turn ran again after a later one: {turns}")
        case.require(set(turns) == {0, 1, 2}, f"not every turn was asked for: {turns}")
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(extra <= allowed, f"{extra} extra model calls, {allowed} allowed")
        digests = {(call["turns"], call["digest"]) for call in calls}
        case.require(len(digests) == PAID_CALLS, "a repeated model call was told something else")

    async def _check_failures(self, case: Case) -> None:
        failures = await self._world.failures()
        case.require(len(failures) == self._known_failures, f"failed: {failures[self._known_failures :]}")
        self._known_failures = len(failures)


def _calls_that_may_be_repeated(position: Position, victim: Victim) -> int:
    """A killed router repeats the call that it was in. When Restate dies, what the router began by then is lost too.

    A router that is asked to leave has the time to end its call, and PostgreSQL is nothing to it.
    """
    if victim == "restate":
        return 1
    in_a_call = any(
        step in position.label for step in ("run model turn", "run summary")
    ) and not position.label.endswith(" read")
    return int(victim == "service" and in_a_call)


@dataclass(frozen=True)
class Summary:
    """What a victim's cases came to."""

    positions: int
    fired: int
    lost: int
    duplicates: int
    extra_paid_calls: int
    p50: float
    p95: float

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Summary":
        times = sorted(case.recovery_seconds for case in cases)
        return cls(
            positions=len(cases),
            fired=sum(case.fired for case in cases),
            lost=sum(case.lost for case in cases),
            duplicates=sum(case.duplicates for case in cases),
            extra_paid_calls=sum(case.extra_paid_calls for case in cases),
            p50=times[len(times) // 2],
            p95=times[min(len(times) - 1, int(len(times) * 0.95))],
        )
