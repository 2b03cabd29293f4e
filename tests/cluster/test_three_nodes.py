"""A replicated Restate: the node that leads may die under load."""

import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.cluster.conftest import NewNamespace, Note
from tests.cluster.parts.command import CommandFailed
from tests.cluster.parts.product import VALUES, Product
from tests.cluster.parts.questions import TICKET, AskedQuestion, SteadyLoad, check_answers
from tests.parts.polling import eventually
from tests.parts.values import merge

NODES, PARTITIONS = 3, 6
THREE_NODES = {
    "restate": {
        "replicas": NODES,
        "snapshots": {"none": True},
        "partitions": PARTITIONS,
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
    }
}

LEADERS = (
    *("restatectl", "sql", "--json"),
    "select n.name as node, count(1) as led from partition_state p join nodes n on p.plain_node_id = n.plain_node_id "
    "where p.effective_mode = 'Leader' group by n.name",
)


@pytest.fixture(scope="module")
async def three_nodes(new_namespace: NewNamespace) -> AsyncIterator[Product]:
    product = Product(await new_namespace("nodes"), merge(VALUES, THREE_NODES))
    await product.release.install()
    await product.open()
    yield product
    await product.close()
    await product.namespace.end()


@pytest.mark.timeout(420)
async def test_the_leader_of_three_nodes_dies_under_load_and_nothing_is_lost(three_nodes: Product, note: Note) -> None:
    product = three_nodes
    await product.answer_slowly("e2e-", 1.5)
    async with SteadyLoad(product, TICKET) as load:
        await eventually(lambda: at_least(load, 6), 30)
        leader, led = max((await leaders(product)).items(), key=lambda item: item[1])
        killed_at = time.monotonic()
        await product.namespace.kubectl("delete", "pod", leader, "--now", "--wait=false")
        await eventually(lambda: others_lead(product, leader), 60)
        led_again = time.monotonic() - killed_at
        await eventually(lambda: all_nodes(product), 120)
        await AskedQuestion(product, TICKET).answer()
    open_then = load.open_at(killed_at)
    assert len(open_then) >= 4
    await product.wait_idle()
    await check_answers(product, load.questions)
    assert await product.failures() == []
    note(f"{leader} killed: it led {led} partitions; all led again after {led_again:.1f} s; {len(open_then)} in flight")


async def leaders(product: Product) -> dict[str, int]:
    """How many partitions each node leads, as the first node that is ready knows."""
    pod, *_ = await product.namespace.running("restate")
    try:
        printed = await product.namespace.execute(pod["metadata"]["name"], *LEADERS)
    except CommandFailed:
        return {}
    return {row["node"]: row["led"] for row in json.loads(printed)}


async def others_lead(product: Product, dead: str) -> bool:
    leading = await leaders(product)
    return dead not in leading and sum(leading.values()) == PARTITIONS


async def at_least(load: SteadyLoad, count: int) -> bool:
    return len(load.open_at(time.monotonic())) >= count


async def all_nodes(product: Product) -> bool:
    return len(await product.namespace.running("restate")) == NODES
