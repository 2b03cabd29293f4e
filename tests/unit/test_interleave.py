"""The decisions of a conversation, in some of the orders that `make interleave` tries."""

import pytest

from tests.interleave.world import play


@pytest.mark.parametrize("block", range(4))
def test_nothing_is_lost_answered_twice_or_run_beside_another(block: int) -> None:
    for seed in range(block * 250, (block + 1) * 250):
        play(seed)
