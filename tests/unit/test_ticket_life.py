"""The life of a ticket, without a database: due times, pauses, what falls due once, what reopens."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from contracts import TicketPriority
from runtime.errors import Refused
from tickets.hours import parse_hours, parse_promises
from tickets.life import NEVER, Change, LifeRules, begun

START = datetime.fromisoformat("2026-11-30T09:00+00:00")
HOUR = timedelta(hours=1)


def rules(week: str = "", **changed: timedelta) -> LifeRules:
    seconds = parse_promises("urgent=1 high=2 normal=4 low=8")
    return LifeRules(
        hours=parse_hours(week, "UTC", ""),
        reply=seconds,
        solve={priority: each * 2 for priority, each in seconds.items()},
        remind=0.75,
        reopen=changed.get("reopen", timedelta(days=7)),
        close=changed.get("close", timedelta(days=5)),
    )


class Life:
    """One ticket, and a clock that is turned by hand."""

    def __init__(self, by: LifeRules | None = None, priority: TicketPriority = "normal") -> None:
        self.by, self.now, self.told = by or rules(), START, list[str]()
        self.row = begun("user_1", "bug", priority, START)
        self.do(Change.plan)

    def do(self, what: Callable[[Change], None]) -> list[str]:
        change = Change(self.row, self.by, self.now)
        what(change)
        self.told += [action for action, _ in change.done]
        return [action for action, _ in change.done]

    def look_until(self, hours: float) -> list[tuple[float, str]]:
        """What falls due up to then, and after how many hours."""
        found, end = list[tuple[float, str]](), START + timedelta(hours=hours)
        while self.row.next_look_at and self.row.next_look_at <= end:
            self.now = max(self.now, self.row.next_look_at)
            found += [((self.now - START) / HOUR, action) for action in self.do(Change.look)]
            assert self.row.next_look_at != self.now, "it would be looked at for ever"
        self.now = end
        return found


def reply(state: str = "waiting") -> Callable[[Change], None]:
    return lambda change: change.reply("anna", state)  # pyright: ignore[reportArgumentType]


def become(state: str) -> Callable[[Change], None]:
    return lambda change: change.change("anna", None, None, state)  # pyright: ignore[reportArgumentType]


def test_nobody_does_anything_each_due_time_reminds_and_escalates_once() -> None:
    life = Life()
    assert life.look_until(1000) == [
        (3, "remind_reply"),
        (4, "escalate_reply"),
        (6, "remind_solve"),
        (8, "escalate_solve"),
    ]
    assert (life.row.priority, life.row.next_look_at) == ("urgent", NEVER)


def test_the_most_urgent_stays_so() -> None:
    life = Life(priority="urgent")
    life.look_until(1000)
    assert life.row.priority == "urgent"


def test_a_look_that_comes_too_early_or_twice_does_nothing() -> None:
    life = Life()
    assert life.do(Change.look) == []
    life.now = START + 4 * HOUR
    assert [life.do(Change.look) for _ in range(2)] == [["escalate_reply"], []]


def test_a_look_that_comes_very_late_does_all_that_was_due() -> None:
    life = Life()
    life.now = START + 100 * HOUR
    assert life.do(Change.look) == ["escalate_reply", "escalate_solve"]


def test_a_reply_ends_the_first_clock_and_waiting_stops_the_second() -> None:
    life = Life()
    life.now = START + HOUR
    assert life.do(reply()) == ["reply", "assign", "wait"]
    assert (life.row.state, life.row.assignee, life.row.reply_due_at, life.row.solve_due_at) == (
        "waiting",
        "anna",
        None,
        None,
    )
    assert life.look_until(50) == []
    assert life.do(Change.answer) == ["answer", "open"]
    assert life.row.solve_due_at == START + 50 * HOUR + 7 * HOUR
    assert life.look_until(1000) == [(55, "remind_solve"), (57, "escalate_solve")]


def test_a_time_that_was_moved_never_fires_at_the_old_moment() -> None:
    life = Life()
    life.do(lambda change: change.change("anna", "low", None, None))
    assert life.look_until(9) == [(6, "remind_reply"), (8, "escalate_reply")]


def test_a_time_that_is_moved_after_it_fired_fires_again() -> None:
    life = Life()
    assert life.look_until(5) == [(3, "remind_reply"), (4, "escalate_reply")]
    life.do(lambda change: change.change("anna", "low", None, None))
    assert life.look_until(8) == [(6, "remind_reply"), (8, "escalate_reply")]


def test_a_pause_after_the_reminder_does_not_remind_again() -> None:
    life = Life()
    life.do(become("open"))
    life.look_until(6.5)
    life.do(become("waiting"))
    life.look_until(20)
    life.do(Change.answer)
    assert [action for _, action in life.look_until(100) if action.endswith("solve")] == ["escalate_solve"]


def test_an_escalation_leaves_the_other_promise_as_it_was() -> None:
    life = Life()
    life.look_until(4)
    assert life.row.solve_due_at == START + 8 * HOUR


def test_only_business_hours_count() -> None:
    life = Life(rules("mon-fri 09:00-12:00"))
    assert [hours for hours, _ in life.look_until(100)] == [3, 25, 27, 50]


@pytest.mark.parametrize("state", ["waiting", "solved"])
def test_silence_closes_what_waits_or_is_solved(state: str) -> None:
    life = Life()
    life.do(reply(state))
    assert life.look_until(24 * 6) == [(24 * 5, "close")]
    assert (life.row.state, life.row.next_look_at) == ("closed", NEVER)


def test_a_word_of_the_customer_puts_the_closing_off() -> None:
    life = Life()
    life.do(reply())
    life.look_until(24 * 4)
    life.do(Change.answer)
    life.do(reply())
    assert life.look_until(24 * 20) == [(24 * 9, "close")]


def test_an_answer_reopens_what_was_solved() -> None:
    life = Life(rules(close=timedelta(days=30)))
    life.do(reply("solved"))
    life.look_until(24 * 7)
    assert life.do(Change.answer) == ["answer", "reopen"]
    assert (life.row.state, life.row.solved_at) == ("open", None)


def test_an_answer_after_the_days_of_the_setting_is_refused() -> None:
    life = Life(rules(close=timedelta(days=30)))
    life.do(reply("solved"))
    life.look_until(24 * 7 + 1)
    with pytest.raises(Refused, match="closed"):
        life.do(Change.answer)


def test_an_answer_to_a_closed_ticket_is_refused() -> None:
    life = Life()
    life.do(become("closed"))
    with pytest.raises(Refused, match="closed"):
        life.do(Change.answer)


REFUSED_WHEN_CLOSED: list[Callable[[Change], None]] = [
    reply(),
    become("open"),
    lambda change: change.assign("bert", reassign=True),
    lambda change: change.merge("TCK-000002"),
    lambda change: change.take_in("TCK-000002"),
]


@pytest.mark.parametrize("what", REFUSED_WHEN_CLOSED)
def test_a_closed_ticket_stays_as_it_is(what: Callable[[Change], None]) -> None:
    life = Life()
    life.do(become("closed"))
    with pytest.raises(Refused, match="closed"):
        life.do(what)


def test_to_have_a_ticket_opens_it_and_to_give_it_back_makes_it_new() -> None:
    life = Life()
    assert life.do(lambda change: change.assign("anna", reassign=False)) == ["assign"]
    assert life.row.state == "open"
    with pytest.raises(Refused, match="anna has this ticket"):
        life.do(lambda change: change.assign("bert", reassign=False))
    assert life.do(lambda change: change.assign("bert", reassign=True)) == ["assign"]
    assert life.do(lambda change: change.assign("bert", reassign=False)) == []
    assert life.do(lambda change: change.assign("", reassign=False)) == ["release"]
    assert (life.row.state, life.row.assignee) == ("new", None)
