"""SIGTERM: a service leaves within its grace, its runs are finished, and what had the time to end is not repeated."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.points import Position
from tests.sweep.sweep import EXIT_SECONDS, Sweep
from tests.sweep.world import SweepWorld, world

SERVICES = ("router", "users", "tickets")
IDLE_EXIT_SECONDS = 2.0
LONGER_THAN_THE_GRACE = 6.0

IN_FLIGHT = [
    Position("router", "ToolRouter/route, run model turn 2, POST completions in flight"),
    Position("users", "UserDatabase/query_user_database, before COMMIT"),
    Position("tickets", "SupportTicketWorkflow/run, run insert ticket, before COMMIT"),
]


@pytest.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SweepWorld]:
    async with world(tmp_path_factory.mktemp("sigterm"), always_replay=ALWAYS_REPLAY) as started:
        yield started


@pytest.fixture(scope="module")
def sweep(parts: SweepWorld) -> Sweep:
    return Sweep(parts)


async def exit_seconds(parts: SweepWorld, name: str) -> float:
    """Tells the service to leave and waits until it has, and another one is there."""
    told = time.time()
    parts.services[name].send(parts.services[name].program.stop_signal)
    left = await parts.ended_at(name, told)
    await parts.healthy()
    return left - told


@pytest.mark.parametrize("name", SERVICES)
async def test_an_idle_service_leaves_at_once(parts: SweepWorld, sweep: Sweep, name: str) -> None:
    await sweep.ask_without_fault()  # so that Restate holds a connection to it
    assert await exit_seconds(parts, name) < IDLE_EXIT_SECONDS


@pytest.mark.parametrize("position", IN_FLIGHT, ids=SERVICES)
async def test_a_service_that_leaves_ends_what_it_was_at(sweep: Sweep, position: Position) -> None:
    case = await sweep.strike(position, "sigterm")
    assert not case.violations
    assert case.extra_paid_calls == 0


async def test_a_model_call_longer_than_the_grace_is_the_only_step_that_is_repeated(
    parts: SweepWorld, sweep: Sweep
) -> None:
    case = sweep.next_case()
    case.allowed_extra_calls = 1
    script = case.script()
    script[1]["latency_seconds"] = LONGER_THAN_THE_GRACE
    answering = asyncio.create_task(sweep.ask(case, script))
    await parts.asked_the_model(case.message, times=2)
    assert await exit_seconds(parts, "router") <= EXIT_SECONDS
    await answering
    assert not case.violations
    assert [call["turns"] for call in await parts.model_calls(case.message)] == [0, 1, 1, 2]
