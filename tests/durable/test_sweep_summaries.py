"""The crash sweep of compaction in short: one victim at each of a few moments.

`make sweep ARGS=--summaries` kills every victim at all of them.
"""

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.summaries import SETTINGS, Summaries
from tests.sweep.sweep import Victim
from tests.sweep.world import world

STRUCK: tuple[tuple[str, Victim], ...] = (
    ("ToolRouter/converse, run summary 1, POST completions in flight, after input 1", "service"),
    ("ToolRouter/converse, send Conversation/summarised, after input 4", "restate"),
    ("Conversation/summarised, run keep summary, after COMMIT, after input 5", "conversations"),
)
"""Paid for and not journaled, journaled and not told, kept and not journaled."""


@pytest.mark.timeout(600)
async def test_a_kill_while_a_conversation_is_summarised_loses_nothing_and_makes_no_effect_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("summaries")
    async with world(folder, always_replay=ALWAYS_REPLAY, router=SETTINGS) as parts:
        summaries = Summaries(parts)
        moments = {str(moment): moment for moment in await summaries.positions()}
        assert not [place for place, _ in STRUCK if place not in moments]
        for place, victim in STRUCK:
            await summaries.strike(moments[place], victim)
        assert not {str(case): case.violations for case in summaries.audit()}
