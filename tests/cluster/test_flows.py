"""The NetworkPolicies allow what flows.yaml says, and not one connection more."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from tests.cluster.conftest import NewNamespace, Note
from tests.cluster.parts.images import image_of
from tests.cluster.parts.mannequins import Flow, Mannequins, addresses, policies, table
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.product import CLIENTS, Product
from tests.parts.polling import eventually

OUTSIDE = {
    *(
        "model",
        "status-page",
        "webhooks",
        "issuers",
        "valkey",
        "otlp",
        "restate-otlp",
        "object-storage",
        "kubernetes",
        "dns",
    ),
}
"""Parties that the chart does not bring: one pod without labels stands for all of them."""

CALLERS = {"clients": CLIENTS} | {party: {"stands-for": party} for party in ("visitors", "watchers", "prometheus")}

ALSO = {"versions": {"registry"}, "registration": {"registry"}, "acceptance": {"registry"}}
"""These pods are pods of the registry, and held by its policy too."""

DEMO: dict[str, Any] = {}
PRODUCTION: dict[str, Any] = {
    "model": {"name": "some-model"},
    "gateway": {
        "issuers": [{"issuer": "https://id.example.com/", "audience": "switchboard"}],
        "limits": {"valkey": {"host": "valkey"}},
    },
    "statusPage": {"url": "https://status.example.com/"},
    "tickets": {"webhook": {"url": "https://hooks.example.com/"}},
    "global": {"otlpEndpoint": "http://collector:4318"},
    "restate": {"snapshots": {"destination": "s3://bucket/prefix"}},
}
LEFT_OUT = {
    "demo": {"model", "status-page", "webhooks", "issuers", "valkey", "otlp", "restate-otlp", "object-storage"},
    "production": {"demo-model"},
}


@pytest.fixture(scope="module")
async def namespace(new_namespace: NewNamespace) -> AsyncIterator[Namespace]:
    namespace = await new_namespace("flows")
    yield namespace
    await namespace.end()


@pytest.fixture(scope="module")
async def mannequins(namespace: Namespace) -> Mannequins:
    """One for each party that has a policy, two nodes of Restate, and those who have none."""
    rooms = {party: selected(policy) for party, policy in (await policies(namespace, DEMO)).items()}
    restate_2 = rooms["restate"] | {"stands-for": "another-node"}
    nobody: dict[str, str] = {}
    mannequins = Mannequins(namespace, image_of("registry"), {flow.port for flow in table()})
    await mannequins.stand(rooms | {"restate-2": restate_2} | CALLERS | {"outside": nobody, "stray": nobody})
    return mannequins


@pytest.mark.parametrize(("name", "values"), [("demo", DEMO), ("production", PRODUCTION)], ids=["demo", "production"])
async def test_exactly_the_flows_of_the_table_connect(
    namespace: Namespace, mannequins: Mannequins, name: str, values: dict[str, Any], note: Note
) -> None:
    wanted = await policies(namespace, values | {"networkPolicy": peers(mannequins.addresses["outside"])})
    await namespace.kubectl("delete", "networkpolicies", "--all")
    await namespace.apply(*wanted.values())
    lines = [flow for flow in table() if not {flow.source, flow.target} & LEFT_OUT[name]]
    expected = allowed(lines, set(wanted), set(mannequins.addresses))
    assert not {flow for flow in expected if flow.source == "stray" and party(flow.target) in wanted}
    await mannequins.connect(expected)
    note(f"{name} values: {len(lines)} flows connect, and nothing else does")


async def test_a_stray_pod_reaches_the_gateway_and_nothing_else_of_the_product_and_a_client_its_ingress(
    product: Product,
) -> None:
    pods = await addresses(product.namespace)
    (door,) = [name for name in pods if name.startswith("switchboard-gateway-")]
    strangers = Mannequins(product.namespace, image_of("registry"), {flow.port for flow in table()})
    await strangers.stand({"stray": {}, "clients": CLIENTS})
    try:
        reached = {Flow("clients", "switchboard-restate-0", 8080), Flow("clients", door, 9089)}
        await eventually(lambda: equal(strangers.reached("clients", pods), reached), 30)
        assert await strangers.reached("stray", pods) == {Flow("stray", door, 9089)}
    finally:
        await strangers.leave()


def peers(outside: str) -> dict[str, Any]:
    """All that is outside, at the address of one pod."""
    there = {"cidrs": [f"{outside}/32"]}
    doors = ("model", "statusPage", "webhooks", "issuers", "valkey", "otlp", "snapshots", "kubernetes")
    callers = {name: [{"podSelector": {"matchLabels": labels}}] for name, labels in CALLERS.items()}
    return callers | {"dns": [{"ipBlock": {"cidr": f"{outside}/32"}}], "egress": dict.fromkeys(doors, there)}


def allowed(lines: list[Flow], rooms: set[str], pods: set[str]) -> set[Flow]:
    """What the lines mean for these pods. Who has no policy is not held by one, but a room that it meets is."""
    named = {(flow.source, flow.target, flow.port) for flow in lines}
    ports = {flow.port for flow in table()}

    def told(source: str, target: str, port: int) -> bool:
        sources = {party(source), "*"} | ALSO.get(source, set())
        targets = OUTSIDE if target == "outside" else {party(target)} | ALSO.get(target, set())
        return any((one, other, port) in named for one in sources for other in targets)

    return {
        Flow(source, target, port)
        for source in pods
        for target in pods - {source}
        for port in ports
        if told(source, target, port) or not {party(source), party(target)} & rooms
    }


def party(pod: str) -> str:
    return pod.removesuffix("-2")


async def equal(found: Awaitable[set[Flow]], wanted: set[Flow]) -> bool:
    return await found == wanted


def selected(policy: Any) -> dict[str, str]:
    return policy["spec"]["podSelector"]["matchLabels"]
