"""The crash sweep of a ticket's life: kill everything while it is made, worked on, falls due, is merged and closed.

Of each case two tickets: one whose due times come, and one whose due times are moved before they come, which in the
end is a duplicate of the other.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.parts.restate import HttpReply
from tests.sweep.sweep import Case, Victim
from tests.sweep.talks import Act, Talks
from tests.sweep.world import STAFF_KEY, SweepWorld

LIVING: tuple[Victim, ...] = ("service", "restate", "postgres", "sigterm")
"""What is killed in turn."""

SETTINGS = {
    "STAFF_KEYS": STAFF_KEY,
    "FIRST_REPLY_HOURS": "urgent=0.0006 high=0.0009 normal=2 low=24",
    "SOLUTION_HOURS": "urgent=0.0014 high=0.0018 normal=8 low=72",
    "REMIND_PERCENT": "50",
}
"""Of tickets: what is urgent or high falls due while the case lasts."""
URGENT = {"remind_reply": 1.08, "escalate_reply": 2.16, "remind_solve": 2.52, "escalate_solve": 5.04}
HIGH = {"remind_reply": 1.62, "escalate_reply": 3.24, "remind_solve": 3.24, "escalate_solve": 6.48}
"""After how many seconds each is due, as these settings say."""
CLOSE_SECONDS = 1.0

TOLD = {
    "create": "ticket.created",
    "assign": "ticket.assigned",
    "priority": "ticket.changed",
    "category": "ticket.changed",
    "reply": "ticket.replied",
    "answer": "ticket.answered",
    "open": "ticket.opened",
    "wait": "ticket.waiting",
    "solve": "ticket.solved",
    "reopen": "ticket.reopened",
    "close": "ticket.closed",
    "merge": "ticket.merged",
    "remind_reply": "ticket.reminded",
    "remind_solve": "ticket.reminded",
    "escalate_reply": "ticket.escalated",
    "escalate_solve": "ticket.escalated",
}
"""What receivers are told of each line of the audit; of the others nothing."""

STAFF = Counter({"assign": 1, "note": 2, "priority": 1, "category": 1, "reply": 2, "wait": 1, "take_in": 1, "solve": 2})
CUSTOMERS = Counter({"create": 1, "answer": 2, "open": 1, "reopen": 1})
DUE = Counter({"escalate_reply": 1, "escalate_solve": 1, "close": 1})
DUPLICATE = Counter({"priority": 1, "reply": 1, "assign": 1, "wait": 1, "merge": 1, "close": 1})
"""Who did what, whatever was killed."""
SAID = Counter({"reply": 2, "note": 2, "answer": 2})

_TICKETS = "SELECT ticket_id FROM tickets.tickets WHERE user_id = 'customer_{}' ORDER BY number"
_BEGIN = "UPDATE tickets.tickets SET clock_since = now(), clock_used = 0 WHERE ticket_id = '{}'"
_BEGUN = "SELECT extract(epoch FROM clock_since) FROM tickets.tickets WHERE ticket_id = '{}'"
_SILENCE = (
    "UPDATE tickets.tickets SET quiet_since = now() - interval '7 d' + interval '{} s' WHERE ticket_id = '{}'"
    " AND quiet_since > now() - interval '6 d'"
)
_CLOSED = "SELECT count(*) FROM tickets.tickets WHERE ticket_id = '{}' AND state = 'closed'"
_COUNT = "SELECT least(1, count(*)) FROM tickets.audit WHERE ticket_id = '{}' AND action IN ({})"
_HISTORY = (
    "SELECT coalesce(json_agg(a), '[]') FROM (SELECT who, acting, action, extract(epoch FROM at)::float8 AS at"
    " FROM tickets.audit WHERE ticket_id = '{}' ORDER BY audit_id) a"
)
_MESSAGES = "SELECT kind FROM tickets.messages WHERE ticket_id = '{}'"


class Lives(Talks):
    """One life after the other, each with its fault."""

    first_number = 301
    rooms = ("tickets",)

    def __init__(self, world: SweepWorld) -> None:
        super().__init__(world)
        self._begun: dict[str, float] = {}
        """Since when the time of a ticket runs that is in a hurry."""
        self.fired: Counter[str] = Counter()
        """How often each timer has come, of all cases: a reminder is overtaken by what it reminds of."""

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        """Let all of it happen, and check every ledger."""
        await self._world.script(case.message, script or _script(case))
        try:
            told = await self._hold(case)
            await self._world.idle()
            ticket, duplicate = await self._both(case)
            await self._told(ticket)
            await self._told(duplicate)
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        self._passed(len(told))
        await self._world.healthy()
        await self._check_repeats(case, told)
        await self._repeat_under_another_key(case)
        await self._check(case)
        await self._check_failures(case)

    def audit(self) -> list[Case]:
        for case in self._cases:
            if not case.violations:
                for ticket_id in self._world.postgres.psql(_TICKETS.format(case.number)).split():
                    self._check_webhooks(case, ticket_id)
        return [case for case in self._cases if case.violations]

    # --- what is done

    def _acts(self) -> list[Act]:
        return [
            Act(lambda case, _: self._world.ask(case.number, case.message)),
            Act(lambda case, once: self._hurry(case, once, 1, priority="high"), self._quiet),
            Act(lambda case, once: self._staff(case, once, "reply", 1, text="Since when?")),
            Act(lambda case, once: self._staff(case, once, "assign", to="bert"), self._quiet),
            Act(lambda case, once: self._staff(case, once, "note", text="Seen before."), self._quiet),
            Act(lambda case, once: self._hurry(case, once, 0, priority="urgent", category="api"), self._quiet),
            Act(lambda case, _: self._wait_for(case, "remind_reply", "escalate_reply")),
            Act(lambda case, _: self._wait_for(case, "escalate_reply")),
            Act(lambda case, _: self._wait_for(case, "remind_solve", "escalate_solve")),
            Act(lambda case, _: self._wait_for(case, "escalate_solve")),
            Act(lambda case, once: self._staff(case, once, "reply", text="Which browser?"), self._quiet),
            Act(lambda case, _: self._answer(case, "It is Firefox"), self._quiet),
            Act(self._merge, self._quiet),
            Act(lambda case, once: self._staff(case, once, "reply", text="Mended.", state="solved"), self._quiet),
            Act(lambda case, _: self._answer(case, "It is not"), self._quiet),
            Act(lambda case, once: self._staff(case, once, "change", state="solved"), self._quiet),
            Act(self._be_silent, self._quiet),
            Act(lambda case, _: self._until_closed(case)),
        ]

    async def _quiet(self, case: Case) -> None:
        """What the act before has led to is over, but for what falls due later."""
        del case
        await self._world.idle()

    async def _both(self, case: Case) -> tuple[str, str]:
        ticket, duplicate = (await self._world.read(_TICKETS.format(case.number))).split()
        return ticket, duplicate

    async def _staff(self, case: Case, once: str, handler: str, which: int = 0, **body: Any) -> HttpReply:
        told = {"ticket_id": (await self._both(case))[which], "act_id": once.removesuffix(_AGAIN), **body}
        return await self._world.ask_as_staff(f"TicketDesk/{handler}", told, once=once)

    async def _hurry(self, case: Case, once: str, which: int, **body: Any) -> HttpReply:
        """As if it had just been made: its due times are moved to a moment that is soon."""
        ticket_id = (await self._both(case))[which]
        if ticket_id not in self._begun:
            await self._world.read(_BEGIN.format(ticket_id))
            self._begun[ticket_id] = float(await self._world.read(_BEGUN.format(ticket_id)))
        return await self._staff(case, once, "change", which, **body)

    async def _answer(self, case: Case, words: str) -> HttpReply:
        """By the agent."""
        message = f"Tell them: {words} ({case.number})"
        call = {"name": "reply_to_ticket", "arguments": {"ticket_id": (await self._both(case))[0], "text": words}}
        await self._world.script(message, [{"tool_calls": [call]}, {"text": case.words}])
        return await self._world.ask(case.number, message)

    async def _merge(self, case: Case, once: str) -> HttpReply:
        return await self._staff(case, once, "merge", 1, into=(await self._both(case))[0])

    async def _be_silent(self, case: Case, once: str) -> HttpReply:
        """As if nobody had said anything for as long as closes a ticket, but for a moment."""
        await self._world.read(_SILENCE.format(CLOSE_SECONDS, (await self._both(case))[0]))
        return await self._staff(case, once, "note", text="Nobody says anything.")

    async def _until_closed(self, case: Case) -> HttpReply:
        await self._world.until_counted(1, _CLOSED.format((await self._both(case))[0]), "silence closes the ticket")
        return _nothing()

    async def _wait_for(self, case: Case, *actions: str) -> HttpReply:
        wanted = ", ".join(f"'{action}'" for action in actions)
        ticket_id = (await self._both(case))[0]
        await self._world.until_counted(1, _COUNT.format(ticket_id, wanted), f"{' or '.join(actions)} of {ticket_id}")
        return _nothing()

    async def _told(self, ticket_id: str) -> None:
        wanted = sum(each["action"] in TOLD for each in self._history(ticket_id))
        await self._world.told(ticket_id, wanted)

    async def _repeat_under_another_key(self, case: Case) -> None:
        """A client that knows its own name of an act, and not the key under which it was sent."""
        for number, act in enumerate(self._acts(), start=1):
            reply = await act.do(case, f"{case.number}-{number}{_AGAIN}")
            case.require(reply.status_code == 200, f"act {number} again: {reply.status_code}: {reply.text}")
        await self._world.idle()

    # --- what came of it

    async def _check(self, case: Case) -> None:
        ticket, duplicate = await self._both(case)
        customer = f"customer_{case.number}"
        did = _named("anna", STAFF) + _named(customer, CUSTOMERS) + _named("switchboard", DUE)
        self._check_acts(case, ticket, did)
        self._check_acts(case, duplicate, _named("anna", DUPLICATE) + _named(customer, Counter({"create": 1})))
        said = Counter(self._world.postgres.psql(_MESSAGES.format(ticket)).split())
        self._compare(case, "message", said, SAID)
        self._check_moments(case, ticket, URGENT)
        self._check_moments(case, duplicate, HIGH)
        self._check_that_its_time_stands_still(case, duplicate)
        for each in (ticket, duplicate):
            self._check_webhooks(case, each)
        self.fired += Counter(line["action"] for line in self._history(ticket) if line["acting"] == "switchboard")

    def _check_acts(self, case: Case, ticket_id: str, wanted: Counter[str]) -> None:
        """Each line of the audit stands there once, and says who."""
        lines = [each for each in self._history(ticket_id) if each["action"] in TOLD or each["acting"] == "staff"]
        lines = [each for each in lines if not self._comes_by_chance(ticket_id, each)]
        self._compare(case, "act", Counter(f"{each['who']}: {each['action']}" for each in lines), wanted)

    def _comes_by_chance(self, ticket_id: str, line: dict[str, Any]) -> bool:
        """A reminder, which is overtaken when a kill lasts too long; and what falls due of a ticket that is moved,
        when it was moved too late. What is checked of both is their moment."""
        is_due = line["acting"] == "switchboard"
        is_moved = any(each["action"] == "merge" for each in self._history(ticket_id))
        return is_due and (line["action"].startswith("remind") or is_moved)

    def _check_moments(self, case: Case, ticket_id: str, due: dict[str, float]) -> None:
        """What falls due comes once, and never before its time."""
        fired = [(each["action"], each["at"]) for each in self._history(ticket_id) if each["action"] in due]
        often = {action for action, _ in fired if sum(action == other for other, _ in fired) > 1}
        case.duplicates += len(often)
        case.require(not often, f"more than once: {often} of {ticket_id}")
        for action, at in fired:
            early = self._begun[ticket_id] + due[action] - at
            case.require(early < 0.002, f"{action} of {ticket_id} came {early:.3f} s before its time")

    def _check_that_its_time_stands_still(self, case: Case, ticket_id: str) -> None:
        """Its time is over by now, and nothing has come of it since somebody waits."""
        over = self._begun[ticket_id] + HIGH["escalate_solve"] - time.time()
        history = self._history(ticket_id)
        waits = next(each["at"] for each in history if each["action"] == "wait")
        after = [each["action"] for each in history if each["action"] in HIGH and each["at"] > waits]
        case.require(over < 0, f"the old moment of {ticket_id} is still to come")
        case.require(not after, f"{after} of {ticket_id} came at a moment that was moved")

    def _check_webhooks(self, case: Case, ticket_id: str) -> None:
        """Each line of which receivers are told has one id, and never another content under it."""
        messages = self._world.outside.of(ticket_id)
        wanted = Counter(TOLD[each["action"]] for each in self._history(ticket_id) if each["action"] in TOLD)
        found = Counter(json.loads(next(iter(bodies)))["type"] for bodies in messages.values())
        self._compare(case, f"webhook of {ticket_id}", found, wanted)
        changed = [bodies for bodies in messages.values() if len(bodies) > 1]
        case.require(not changed, f"one id, different contents: {changed[:1]}")

    def _history(self, ticket_id: str) -> Sequence[dict[str, Any]]:
        return json.loads(self._world.postgres.psql(_HISTORY.format(ticket_id)))


_AGAIN = "-again"


def _nothing() -> HttpReply:
    """What an act is answered that only waits."""
    return HttpReply(200, "", {})


def _named(who: str, actions: Counter[str]) -> Counter[str]:
    return Counter({f"{who}: {action}": count for action, count in actions.items()})


def _script(case: Case) -> list[dict[str, Any]]:
    tickets = [
        {"subject": f"{what}, case {case.number:04}", "description": "The chart shows a bug since this morning."}
        for what in ("Empty dashboard", "Empty page")
    ]
    calls = [{"name": "create_support_ticket", "arguments": each} for each in tickets]
    return [{"tool_calls": calls}, {"text": case.words}]
