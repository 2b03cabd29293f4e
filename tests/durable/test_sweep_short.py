"""The crash sweep in short: each second position, one victim each. `make sweep` kills all three at all of them."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.points import Position
from tests.sweep.sweep import VICTIMS, Sweep
from tests.sweep.world import world

EFFECTS = (
    "run model turn 1, POST completions in flight",
    "run model turn 3, POST completions in flight",
    "run tool check_service_status, GET summary.json in flight",
    "run insert ticket, before COMMIT",
    "run insert ticket, after COMMIT",
    "run post webhook, POST webhook in flight",
    "query_user_database, before COMMIT",
)
JOURNAL = ("entered", " begins", " done", " read", "send SupportTicketWorkflow/run", "send Notifier/deliver", "ended")


@pytest.fixture(scope="module")
async def sweep(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    async with world(tmp_path_factory.mktemp("sweep"), always_replay=ALWAYS_REPLAY) as started:
        yield Sweep(started)


@pytest.fixture(scope="module")
async def positions(sweep: Sweep) -> list[Position]:
    return await sweep.positions()


@pytest.mark.parametrize("place", [*EFFECTS, *JOURNAL])
async def test_the_sweep_stands_at_every_effect_and_in_the_journal(positions: list[Position], place: str) -> None:
    assert any(position.label.endswith(place) for position in positions)


async def test_a_kill_right_after_the_answer_loses_no_span(sweep: Sweep, positions: list[Position]) -> None:
    assert positions
    assert not (await sweep.strike_after_the_answer()).violations


@pytest.mark.timeout(300)
async def test_a_kill_loses_nothing_and_doubles_nothing(sweep: Sweep, positions: list[Position]) -> None:
    for index, position in list(enumerate(positions))[::2]:
        await sweep.strike(position, VICTIMS[index % len(VICTIMS)])
    assert not {str(case): case.violations for case in sweep.audit()}
