"""The crash sweep of a ticket's life in short: one victim at each of a few moments.

`make sweep ARGS=--tickets` kills every victim at all of them.
"""

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.lives import SETTINGS, Lives
from tests.sweep.sweep import Victim
from tests.sweep.world import world

STRUCK: tuple[tuple[str, Victim], ...] = (
    ("TicketLife/look, run look, after COMMIT, after input 8", "service"),
    ("TicketLife/look, send Notifier/deliver, after input 10", "restate"),
)
"""Between done and journaled, and between due and told."""


@pytest.mark.timeout(600)
async def test_a_kill_in_the_life_of_a_ticket_does_each_thing_once_and_nothing_at_a_moment_that_was_moved(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("lives")
    async with world(folder, always_replay=ALWAYS_REPLAY, tickets=SETTINGS) as parts:
        lives = Lives(parts)
        moments = {str(moment): moment for moment in await lives.positions()}
        assert not [place for place, _ in STRUCK if place not in moments]
        for place, victim in STRUCK:
            await lives.strike(moments[place], victim)
        assert not {str(case): case.violations for case in lives.audit()}
        assert lives.fired["remind_reply"]
        assert lives.fired["remind_solve"]
