"""How long a model is waited for."""

import pytest

from router.model import ModelFault, wait
from router.model.faults import ModelBusy


def pause(attempt: int, seconds_left: float = 1000, **busy: float) -> float:
    waited = wait(ModelBusy("busy", **busy), attempt, seconds_left).retry_after  # pyright: ignore[reportArgumentType]
    assert waited is not None
    return waited.total_seconds()


def test_each_pause_is_about_twice_as_long_as_the_one_before() -> None:
    assert [round(pause(attempt) / 2 ** (attempt - 2)) for attempt in range(1, 6)] == [1] * 5
    assert len({pause(3) for _ in range(5)}) > 1
    assert pause(20) <= 24


def test_a_pause_that_is_asked_for_is_kept() -> None:
    assert pause(1, asked=7.5) == 7.5
    assert pause(1, asked=50) == 50


@pytest.mark.parametrize(("asked", "left"), [(578, 100), (5, 5), (0, 0.5)])
def test_no_pause_is_longer_than_the_run(asked: float, left: float) -> None:
    with pytest.raises(ModelFault):
        pause(1, left, asked=asked)


def test_what_was_paid_in_vain_is_repeated_twice_at_most() -> None:
    assert wait(ModelBusy("reply_malformed", paid=True), 2, 100).retry_after
    with pytest.raises(ModelFault):
        wait(ModelBusy("reply_malformed", paid=True), 3, 100)
    assert wait(ModelBusy("status_503"), 3, 100).retry_after
