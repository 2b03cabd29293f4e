"""Whatever pod dies while questions are being answered: each is answered, and no ticket is made twice."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster.conftest import Note
from tests.cluster.parts.product import Product
from tests.cluster.parts.questions import TICKET, AskedQuestion, SteadyLoad, check_answers
from tests.cluster.parts.talks import Talk
from tests.parts.polling import eventually

SLOWLY = 2.5
"""Seconds of a model turn, so that runs are always under way."""

ANSWERED = frozenset({"answered"})
HONEST = ANSWERED | {"model_unavailable"}
"""Without its only model a run gives up after three attempts, and says so."""

VICTIMS = {
    "gateway": ANSWERED,
    "router": ANSWERED,
    "users": ANSWERED,
    "tickets": ANSWERED,
    "conversations": ANSWERED,
    "registry": ANSWERED,
    "restate": ANSWERED,
    "postgres": ANSWERED,
    "demo-model": HONEST,
}


@pytest.fixture
async def slow_product(product: Product) -> AsyncIterator[Product]:
    await product.answer_slowly("e2e-", SLOWLY)
    yield product
    await product.answer_slowly("e2e-", 0)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_pod_that_dies_loses_and_doubles_nothing(slow_product: Product, victim: str, note: Note) -> None:
    product = slow_product
    async with SteadyLoad(product, TICKET) as load:
        talk = Talk(product)
        assert await talk.say(f"{TICKET} (e2e-{talk.key})") == "started"
        await eventually(lambda: runs_under_way(product, 4), 60)
        began, (dead, killed_at) = time.monotonic(), await kill(product, victim)
        await eventually(lambda: another(product, victim, dead), 120)
        await AskedQuestion(product, TICKET).answer()
    assert len(await talk.answers(1)) == 1
    in_flight = [question for question in load.open_at(began) if question.was_open_at(killed_at)]
    assert in_flight
    await product.wait_idle()
    await check_answers(product, load.questions, VICTIMS[victim])
    assert await product.failures() == []
    recovery = max(question.ended - killed_at for question in in_flight if question.ended)
    note(f"{victim} killed: {len(in_flight)} in flight, the last of them answered {recovery:.1f} s later")


async def runs_under_way(product: Product, least: int) -> bool:
    return len(await product.open_runs()) >= least


async def kill(product: Product, component: str) -> tuple[str, float]:
    """Ends one pod without the time to drain; returns its uid and when it was gone."""
    pod, *_ = await product.serving(component)
    await product.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--now", "--wait")
    return pod["metadata"]["uid"], time.monotonic()


async def another(product: Product, component: str, dead: str) -> list[Any] | None:
    return [pod for pod in await product.serving(component) if pod["metadata"]["uid"] != dead] or None
