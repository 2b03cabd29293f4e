"""Attempts at a step, as one process sees them."""

import time

from runtime.steps import Attempts, pause_after, spread

TURN = ("inv_1", "model turn 1")


def test_attempts_at_one_step_are_counted_from_its_first_start() -> None:
    before = time.time()
    attempts = Attempts()
    first, second = attempts.begin(TURN), attempts.begin(TURN)
    assert (first.number, second.number) == (1, 2)
    assert before <= first.first_started_at == second.first_started_at <= time.time()


def test_another_step_or_invocation_has_a_count_of_its_own() -> None:
    attempts = Attempts()
    keys = [TURN, ("inv_1", "model turn 2"), ("inv_2", "model turn 1")]
    assert [attempts.begin(key).number for key in keys] == [1, 1, 1]


def test_the_latest_attempt_is_known_until_the_step_is_over() -> None:
    attempts = Attempts()
    made = [attempts.begin(TURN) for _ in range(2)]
    assert attempts.of(TURN) == made[-1]
    attempts.forget(TURN)
    assert attempts.of(TURN) is None


def test_what_is_over_is_counted_anew() -> None:
    attempts = Attempts()
    attempts.begin(TURN)
    attempts.forget(TURN)
    attempts.forget(TURN)
    assert attempts.begin(TURN).number == 1


def test_the_step_that_was_tried_longest_ago_makes_room() -> None:
    attempts = Attempts(kept=2)
    old, busy, new = (("inv", name) for name in ("old", "busy", "new"))
    for key in (busy, old, busy, new):
        attempts.begin(key)
    assert attempts.begin(busy).number == 3
    assert attempts.begin(old).number == 1


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    assert [pause_after(attempt).total_seconds() for attempt in (1, 2, 3, 7, 8, 100_000)] == [0.5, 1, 2, 32, 60, 60]


def test_pauses_are_spread_and_never_longer() -> None:
    spreads = [spread(pause_after(100)).total_seconds() for _ in range(200)]
    assert 45 <= min(spreads) < 50 < 58 < max(spreads) <= 60
