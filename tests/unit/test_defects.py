"""Counting defects, and a registry whose loops outlive them."""

import asyncio
import logging
from contextlib import suppress

import pytest

from registry.service import repeat
from runtime.defects import Counts


def test_the_same_class_in_the_same_invocation_is_the_same_defect() -> None:
    counts = Counts()
    failed = [("inv_1", TypeError()), ("inv_1", TypeError("else")), ("inv_1", KeyError()), ("inv_2", TypeError())]
    assert [counts.add(*each) for each in failed] == [1, 2, 1, 1]


def test_only_so_many_are_kept() -> None:
    counts = Counts(kept=2)
    for invocation in ("old", "busy", "new"):
        counts.add(invocation, TypeError())
    assert counts.add("busy", TypeError()) == 2
    assert counts.add("old", TypeError()) == 1


@pytest.mark.parametrize("kind", [TypeError, RecursionError, OSError, KeyError])
async def test_a_loop_of_the_registry_goes_on_after_a_defect_and_says_it_once(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    rounds = asyncio.Semaphore(0)

    async def step() -> None:
        rounds.release()
        raise kind("words of a customer")

    loop = asyncio.create_task(repeat("catalogue", step, 0.001))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await asyncio.wait_for(rounds.acquire(), 30)
    loop.cancel()
    with suppress(asyncio.CancelledError):
        await loop
    (line,) = [record for record in caplog.records if record.message == "defect"]
    assert line.__dict__["exception"] == [kind.__name__]
    assert "words" not in line.getMessage()
