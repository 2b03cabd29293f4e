"""The decisions of a conversation, in some of the orders that `make interleave` tries."""

import pytest

from conversations.control import MAX_WAITING, Control, GivesBack, Message, assign, give_back, take_message
from tests.interleave.world import play


@pytest.mark.parametrize("block", range(4))
def test_nothing_is_lost_answered_twice_or_run_beside_another(block: int) -> None:
    for seed in range(block * 250, (block + 1) * 250):
        play(seed)


def test_of_very_much_that_a_person_left_unanswered_the_end_is_asked() -> None:
    told = [f"m_{number}" for number in range(3 * MAX_WAITING)]
    stopping = assign(take_message(Control(), Message("m", "steer", "run_1")).control, "anna", "run_2").control
    decision = give_back(stopping, told, "run_3")
    assert decision.control.following == told[-MAX_WAITING:]
    assert decision.effects == (GivesBack("run_2", tuple(told[-MAX_WAITING:])),)
