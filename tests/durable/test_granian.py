"""SERVER=granian keeps every promise about SIGTERM that the default server keeps: the same tests, another server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.conftest import ALWAYS_REPLAY, ONCE
from tests.durable.test_serving import INVOCATION, Launch, connected
from tests.durable.test_sigterm import (
    sweep,
    test_a_model_call_longer_than_the_grace_is_the_only_step_that_is_repeated,
    test_a_service_that_leaves_ends_what_it_was_at,
    test_an_idle_service_leaves_at_once,
)
from tests.parts.service import Service
from tests.sweep.world import SweepWorld, world

__all__ = [
    "sweep",
    "test_a_model_call_longer_than_the_grace_is_the_only_step_that_is_repeated",
    "test_a_service_that_leaves_ends_what_it_was_at",
    "test_an_idle_service_leaves_at_once",
]

pytestmark = ONCE

EXITS = 5


@pytest.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SweepWorld]:
    async with world(tmp_path_factory.mktemp("granian"), always_replay=ALWAYS_REPLAY, server="granian") as started:
        yield started


async def test_runs_that_come_and_go_while_it_leaves_cost_no_step(parts: SweepWorld) -> None:
    asked = [asyncio.create_task(parts.ask(1900 + number, f"leaving {number}: hello")) for number in range(40)]
    for _ in range(3):
        await asyncio.sleep(0.15)
        parts.services["router"].send(parts.services["router"].program.stop_signal)
        await parts.healthy()
    assert {reply.status_code for reply in await asyncio.gather(*asked)} == {200}
    paid = [(call["first"], call["turns"]) for call in await parts.model_calls("leaving")]
    assert len(paid) == len(set(paid))


async def test_it_leaves_cleanly_with_an_attempt_that_does_not_end(service: Launch) -> None:
    tools = await service("tests.parts.example_tools", SERVER="granian", DRAIN_SECONDS="0.2")
    for _ in range(EXITS):
        assert await _exit_code(tools) == 0
        await tools.start()


async def _exit_code(tools: Service) -> int:
    async with connected(tools) as client:
        client.open_stream(*INVOCATION)
        await asyncio.sleep(0.1)
        tools.send(tools.program.stop_signal)
        return await tools.wait()
