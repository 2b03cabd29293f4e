"""The crash sweep in short: each second position, one victim each. `make sweep` kills all three at all of them."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.points import Position
from tests.sweep.sweep import VICTIMS, Sweep
from tests.sweep.world import world

PLACES = ("entered", " begins", " done", " read", " in flight", "before COMMIT", "after COMMIT", "ended")


@pytest.fixture(scope="module")
async def sweep(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sweep]:
    async with world(tmp_path_factory.mktemp("sweep"), always_replay=ALWAYS_REPLAY) as started:
        yield Sweep(started)


@pytest.fixture(scope="module")
async def positions(sweep: Sweep) -> list[Position]:
    return await sweep.positions()


async def test_every_service_has_positions_of_every_kind(positions: list[Position]) -> None:
    assert {position.service for position in positions} == {"router", "users", "tickets"}
    for place in PLACES:
        assert any(position.label.endswith(place) for position in positions), place


@pytest.mark.timeout(300)
async def test_a_kill_loses_nothing_and_doubles_nothing(sweep: Sweep, positions: list[Position]) -> None:
    struck = [(position, VICTIMS[index % len(VICTIMS)]) for index, position in enumerate(positions)][::2]
    for position, victim in struck:
        await sweep.strike(position, victim)
    assert not {str(case): case.violations for case in sweep.audit()}
