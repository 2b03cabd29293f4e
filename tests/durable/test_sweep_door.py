"""The crash sweep of the door in short: one victim at each of a few moments of requests and of streams.

`make sweep ARGS=--door` kills every victim at all of them.
"""

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.door import STREAMING, Door
from tests.sweep.sweep import Victim
from tests.sweep.world import world

EVENTS = "GET /api/v1/conversations/id/events"
STRUCK: tuple[tuple[str, Victim], ...] = (
    ("POST /api/v1/questions, POST route in flight, after input 1", "service"),
    ("POST /api/v1/questions, POST attach in flight, after input 1", "restate"),
    ("POST /api/v1/questions, answer ready, after input 1", "sigterm"),
    ("POST /api/v1/conversations, POST open in flight, after input 2", "service"),
    ("POST /api/v1/conversations/id/inputs, POST input in flight, after input 3", "service"),
    ("POST /api/v1/conversations/id/inputs, POST input in flight, after input 3", "postgres"),
    (f"{EVENTS}, half of text, after input 3", "service"),
    (f"{EVENTS}, text sent, after input 3", "conversations"),
    (f"{EVENTS}, half of answer, after input 3", "sigterm"),
    ("ToolRouter/converse, send Conversation/finished, after input 3", "gateway"),
    ("GET /api/v1/conversations/id, GET id in flight, after input 4", "postgres"),
    ("POST /v1/chat/completions, POST attach in flight, after input 5", "restate"),
    ("POST /v1/chat/completions, half of data #2, after input 5", "service"),
)
"""Between accepted and answered, between answered and sent, in the middle of a text and of a frame."""


@pytest.mark.timeout(600)
async def test_a_client_that_comes_again_loses_nothing_and_sees_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("door")
    async with world(folder, always_replay=ALWAYS_REPLAY, router=STREAMING, door=True) as parts:
        door = Door(parts)
        moments = {str(moment): moment for moment in await door.positions()}
        assert not [place for place, _ in STRUCK if place not in moments]
        for place, victim in STRUCK:
            await door.strike(moments[place], victim)
        assert not {str(case): case.violations for case in door.audit()}
