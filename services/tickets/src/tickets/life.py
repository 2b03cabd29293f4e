"""The life of a ticket: what each change does to it, and what falls due. Pure: a row, the rules and a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from contracts import TicketCategory, TicketPriority, TicketState
from runtime.errors import Refused
from tickets.hours import Hours
from tickets.rules import ASCENDING

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a ticket is looked at of which nothing more falls due."""

RUNS: frozenset[TicketState] = frozenset({"new", "open"})
"""The states in which its time runs."""

_BECAUSE: dict[TicketState, str] = {"open": "open", "waiting": "wait", "solved": "solve", "closed": "close"}

Clock = Literal["reply", "solve"]


@dataclass(frozen=True)
class LifeRules:
    """By what setting things fall due. Seconds are of business hours, days are of the calendar."""

    hours: Hours
    reply: Mapping[TicketPriority, float]
    solve: Mapping[TicketPriority, float]
    remind: float
    reopen: timedelta
    close: timedelta

    def seconds(self, clock: Clock, priority: TicketPriority) -> float:
        return (self.reply if clock == "reply" else self.solve)[priority]


def usual() -> LifeRules:
    """What holds where no setting says otherwise."""
    hour = 3600.0
    return LifeRules(
        hours=Hours(),
        reply={"urgent": hour, "high": 2 * hour, "normal": 8 * hour, "low": 24 * hour},
        solve={"urgent": 4 * hour, "high": 8 * hour, "normal": 24 * hour, "low": 72 * hour},
        remind=0.8,
        reopen=timedelta(days=7),
        close=timedelta(days=7),
    )


@dataclass
class Standing:
    """A ticket's row, as far as its life changes it."""

    ticket_id: str
    user_id: str
    state: TicketState
    category: TicketCategory
    priority: TicketPriority
    promised: TicketPriority | None
    assignee: str | None
    clock_since: datetime | None
    clock_used: float
    reply_due_at: datetime | None
    solve_due_at: datetime | None
    replied_at: datetime | None
    reply_reminded_at: datetime | None
    reply_escalated_at: datetime | None
    solve_reminded_at: datetime | None
    solve_escalated_at: datetime | None
    solved_at: datetime | None
    quiet_since: datetime
    next_look_at: datetime | None
    merged_into: str | None


def begun(user_id: str, category: TicketCategory, priority: TicketPriority, now: datetime) -> Standing:
    """A ticket as it is made; its id is the database's to say."""
    return Standing(
        ticket_id="",
        user_id=user_id,
        state="new",
        category=category,
        priority=priority,
        promised=None,
        assignee=None,
        clock_since=now,
        clock_used=0.0,
        reply_due_at=None,
        solve_due_at=None,
        replied_at=None,
        reply_reminded_at=None,
        reply_escalated_at=None,
        solve_reminded_at=None,
        solve_escalated_at=None,
        solved_at=None,
        quiet_since=now,
        next_look_at=None,
        merged_into=None,
    )


@dataclass
class Change:
    """One change of a ticket at one moment: `done` says what, line by line, as the audit keeps it."""

    row: Standing
    rules: LifeRules
    now: datetime
    done: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def tell(self, action: str, note: str = "") -> None:
        self.done.append((action, note))

    # --- what staff do

    def reply(self, name: str, state: TicketState) -> None:
        """Raises: `Refused` 409 for a closed ticket."""
        self._unless_closed()
        row = self.row
        self.tell("reply")
        row.quiet_since = self.now
        row.replied_at = row.replied_at or self.now
        if row.assignee is None:
            self._give(name)
        self._become(state)
        self.plan()

    def note(self) -> None:
        self.tell("note")

    def assign(self, to: str, *, reassign: bool) -> None:
        """Raises: `Refused` 409 for a closed ticket, or one that somebody else has."""
        self._unless_closed()
        row = self.row
        if row.assignee == (to or None):
            return
        if to and row.assignee and not reassign:
            refused = Refused(409, "assigned", f"{row.assignee} has this ticket")
            refused.metadata = {"code": "assigned", "assignee": row.assignee}
            raise refused
        if to:
            self._give(to)
            if row.state == "new":
                row.state = "open"
        else:
            row.assignee = None
            self.tell("release")
            if row.state == "open":
                row.state = "new"

    def change(
        self,
        name: str,
        priority: TicketPriority | None,
        category: TicketCategory | None,
        state: TicketState | None,
        note: str = "",
    ) -> None:
        """Raises: `Refused` 409 for a closed ticket, which stays as it is."""
        self._unless_closed()
        row = self.row
        why = f": {note}" if note else ""
        if priority and priority != row.priority:
            self.tell("priority", f"{row.priority} -> {priority}{why}")
            row.priority, row.promised = priority, None
        if category and category != row.category:
            self.tell("category", f"{row.category} -> {category}{why}")
            row.category = category
        if state == "open" and row.assignee is None:
            self._give(name)
        if state and state != row.state:
            self._become(state, note)
        self.plan()

    def merge(self, into: str) -> None:
        """Close it as a duplicate. Raises: `Refused` 409 for a closed ticket."""
        self._unless_closed()
        self.row.merged_into = into
        self.tell("merge", f"into {into}")
        self._become("closed", f"a duplicate of {into}")
        self.plan()

    def take_in(self, duplicate: str) -> None:
        """Raises: `Refused` 409 for a closed ticket."""
        self._unless_closed()
        self.tell("take_in", duplicate)

    # --- what customers do

    def answer(self) -> None:
        """Its customer says more. Raises: `Refused` 422 for one that is closed, or was solved too long ago."""
        row = self.row
        late = row.state == "solved" and row.solved_at is not None and self.now - row.solved_at > self.rules.reopen
        if row.state == "closed" or late:
            raise Refused(422, "ticket_closed", "this ticket is closed; a new problem needs a new ticket", "ticket_id")
        self.tell("answer")
        self.go_on()

    def go_on(self) -> None:
        """What its customer has said makes it go on."""
        row = self.row
        row.quiet_since = self.now
        if row.state == "solved":
            row.state, row.solved_at = ("open" if row.assignee else "new"), None
            self.tell("reopen")
        elif row.state == "waiting":
            row.state = "open" if row.assignee else "new"
            self.tell("open")
        self.plan()

    # --- what falls due

    def take_up(self) -> None:
        """Nobody has looked after it yet, as of a ticket of a former version: its time runs from now on. What was said
        to be due for its solution stays until somebody changes it."""
        row = self.row
        if row.next_look_at is None and row.clock_since is not None:
            row.clock_since = self.now
            row.reply_due_at = self._after("reply", 1) if row.replied_at is None else None

    def look(self) -> None:
        """Do what is due now; when to look next is planned anew either way."""
        row = self.row
        if row.state in ("waiting", "solved") and row.quiet_since + self.rules.close <= self.now:
            self._become("closed", "nobody has said anything for long")
        for clock in ("reply", "solve"):
            self._look_at(clock)
        self._plan_look()

    def _look_at(self, clock: Clock) -> None:
        row = self.row
        due, remind = self._due(clock), self._remind(clock)
        if due is None:
            return
        if due <= self.now and not self._escalated(clock):
            setattr(row, f"{clock}_escalated_at", self.now)
            setattr(row, f"{clock}_reminded_at", self._reminded(clock) or self.now)
            self._escalate(clock)
        elif remind is not None and remind <= self.now and not self._reminded(clock):
            setattr(row, f"{clock}_reminded_at", self.now)
            self.tell(f"remind_{clock}", f"due {due.isoformat(timespec='seconds')}")

    def _escalate(self, clock: Clock) -> None:
        row = self.row
        raised = ASCENDING[min(ASCENDING.index(row.priority) + 1, len(ASCENDING) - 1)]
        self.tell(f"escalate_{clock}", f"{row.priority} -> {raised}" if raised != row.priority else "")
        row.promised = row.promised or row.priority
        row.priority = raised

    # --- its time

    def plan(self) -> None:
        """Its time runs in some states and stands still in others; its due times follow, and when to look next."""
        row, hours = self.row, self.rules.hours
        if row.state in RUNS:
            row.clock_since = row.clock_since or self.now
        elif row.clock_since is not None:
            row.clock_used += hours.between(row.clock_since, self.now)
            row.clock_since = None
        row.reply_due_at = self._after("reply", 1) if row.replied_at is None else None
        row.solve_due_at = self._after("solve", 1)
        for clock in ("reply", "solve"):
            due, remind = self._due(clock), self._remind(clock)
            if due is not None and due > self.now:
                setattr(row, f"{clock}_escalated_at", None)
            if remind is not None and remind > self.now:
                setattr(row, f"{clock}_reminded_at", None)
        self._plan_look()

    def _plan_look(self) -> None:
        row = self.row
        moments = [row.quiet_since + self.rules.close] if row.state in ("waiting", "solved") else []
        for clock in ("reply", "solve"):
            due, remind = self._due(clock), self._remind(clock)
            if due is not None and not self._escalated(clock):
                moments.append(due)
                if remind is not None and not self._reminded(clock):
                    moments.append(min(remind, due))
        row.next_look_at = min(moments, default=NEVER)

    def _after(self, clock: Clock, share: float) -> datetime | None:
        """When this share of the promised time has passed; None while it stands still."""
        row = self.row
        if row.clock_since is None:
            return None
        seconds = self.rules.seconds(clock, row.promised or row.priority) * share
        return self.rules.hours.add(row.clock_since, seconds - row.clock_used)

    def _due(self, clock: Clock) -> datetime | None:
        return self.row.reply_due_at if clock == "reply" else self.row.solve_due_at

    def _remind(self, clock: Clock) -> datetime | None:
        return self._after(clock, self.rules.remind) if self._due(clock) else None

    def _escalated(self, clock: Clock) -> datetime | None:
        return self.row.reply_escalated_at if clock == "reply" else self.row.solve_escalated_at

    def _reminded(self, clock: Clock) -> datetime | None:
        return self.row.reply_reminded_at if clock == "reply" else self.row.solve_reminded_at

    # --- in common

    def _give(self, name: str) -> None:
        self.tell("assign", f"to {name}")
        self.row.assignee = name

    def _become(self, state: TicketState, note: str = "") -> None:
        row = self.row
        if state == row.state:
            return
        again = row.state == "solved" and state in ("open", "waiting")
        row.state = state
        row.quiet_since = self.now
        if state in ("solved", "closed"):
            row.solved_at = row.solved_at or self.now
        else:
            row.solved_at = None
        self.tell("reopen" if again else _BECAUSE[state], note)

    def _unless_closed(self) -> None:
        if self.row.state == "closed":
            raise Refused(409, "closed", "this ticket is closed")
