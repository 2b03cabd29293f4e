"""How timers are corrected by what Restate's clock says."""

import pytest

from runtime.clock import Skew


@pytest.mark.parametrize(
    ("ahead", "asked", "millis"),
    [
        (0, 30_000, 30_000),
        (0.9, 30_000, 30_000),
        (-0.9, 30_000, 30_000),
        (40, 30_000, 70_000),
        (40, 0, 40_000),
        (-40, 60_000, 20_000),
        (-40, 30_000, 0),
    ],
)
def test_a_timer_rings_when_it_should(ahead: float, asked: int, millis: int) -> None:
    skew = Skew()
    skew.measured(ahead)
    assert skew.corrected(asked) == millis


def test_a_skew_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    skew = Skew()
    for ahead in (0.2, 40, 41, 0.1, 0.2, -6):
        skew.measured(ahead)
    assert [line.message for line in caplog.records] == ["clock_skewed"] * 2
