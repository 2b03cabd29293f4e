"""The NetworkPolicies allow what flows.yaml says, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.charts import network
from tests.charts.charts import (
    SWITCHBOARD,
    Object,
    Pod,
    Values,
    all_values,
    ci_files,
    name_of,
    of_kind,
    pods,
    read,
    rendered,
)

Flow = dict[str, Any]

FLOWS: list[Flow] = read(SWITCHBOARD / "flows.yaml")
ALL_FILES = ci_files(SWITCHBOARD)
FILES = [file for file in ALL_FILES if all_values(file)["networkPolicy"]["enabled"]]

WHEN: dict[str | None, Callable[[Values], object]] = {
    None: lambda _: True,
    "networkPolicy.clients names them": lambda values: values["networkPolicy"]["clients"],
    "networkPolicy.watchers names them": lambda values: values["networkPolicy"]["watchers"],
    "no model is named": lambda values: not values["model"]["name"],
    "a model is named": lambda values: values["model"]["name"],
    "statusPage.url is set": lambda values: values["statusPage"]["url"],
    "tickets.webhook.url is set": lambda values: values["tickets"]["webhook"]["url"],
    "global.otlpEndpoint is set": lambda values: values["global"]["otlpEndpoint"],
    "global.otlpEndpoint or restate.tracing.endpoint is set": lambda values: collector_of_restate(values),
    "restate.snapshots.destination is set": lambda values: values["restate"]["snapshots"]["destination"],
    "versions.enabled": lambda values: values["versions"]["enabled"],
    "registry.acceptTools is not any": lambda values: values["registry"]["acceptTools"] != "any",
}

PORTS: dict[str, Callable[[Values], set[int]]] = {
    "postgres": lambda values: {values["postgres"]["external"]["port"]},
    "model": lambda values: ports_of(values["model"]["baseUrl"], *values["model"]["fallbackUrls"]),
    "status-page": lambda values: ports_of(values["statusPage"]["url"]),
    "webhooks": lambda values: ports_of(values["tickets"]["webhook"]["url"]),
    "otlp": lambda values: ports_of(values["global"]["otlpEndpoint"]),
    "restate-otlp": lambda values: ports_of(collector_of_restate(values)),
}
"""Ports of outside parties that values decide."""

PEERS: dict[str, Callable[[Values], Any]] = {
    "clients": lambda values: values["networkPolicy"]["clients"],
    "watchers": lambda values: values["networkPolicy"]["watchers"],
    "prometheus": lambda values: values["networkPolicy"]["prometheus"],
    "dns": lambda values: values["networkPolicy"]["dns"],
    "restate": lambda values: values["networkPolicy"]["restate"],
}
"""Outside parties that values name as peers."""


ALSO = {"switchboard/deletes-versions": "versions", "switchboard/keeps-accepted": "acceptance"}
"""What pods of the registry are besides, by their labels."""


def ports_of(*urls: str) -> set[int]:
    return {URL(url).port or 443 for url in urls}


def collector_of_restate(values: Values) -> str:
    return values["restate"]["tracing"]["endpoint"] or values["global"]["otlpEndpoint"]


def parties(pod: Pod) -> set[str]:
    """What flows.yaml calls a pod; some are more than their component."""
    if pod.labels["app.kubernetes.io/name"] == "restate":
        return {"restate"}
    return {pod.component} | {party for label, party in ALSO.items() if label in pod.labels}


def is_in_table(source: Pod, target: Pod, port: int) -> bool:
    return any(
        flow["from"] in parties(source) and flow["to"] in parties(target) and flow["port"] == port for flow in FLOWS
    )


def policies(file: Path) -> list[Object]:
    return of_kind(rendered(file), "NetworkPolicy")


def outside_ports(file: Path, pod: Pod, direction: str, peers: str) -> set[int]:
    """Ports at which a pod meets anybody who is no pod of this release."""
    found = network.rules(policies(file), pod.labels, direction)
    assert found is not None, f"no policy holds {pod.owner}"
    return {port for rule in found for port in network.ports(rule) if any(is_outside(each) for each in rule[peers])}


def is_outside(peer: dict[str, Any]) -> bool:
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    return "namespaceSelector" in peer or "app.kubernetes.io/instance" not in labels


def test_every_condition_of_the_table_is_known() -> None:
    assert {flow.get("when") for flow in FLOWS} == set(WHEN)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_between_pods_what_the_table_says_is_allowed_and_nothing_else(file: Path) -> None:
    everyone = list(pods(rendered(file)))
    served = sorted({flow["port"] for flow in FLOWS} | {port for pod in everyone for port in listens(pod)})
    wrong = [
        f"{source.owner} -> {target.owner}:{port}"
        for source in everyone
        for target in everyone
        for port in served
        if network.allowed(policies(file), source.labels, target.labels, port) != is_in_table(source, target, port)
    ]
    assert wrong == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_with_the_outside_what_the_table_says_is_allowed_and_nothing_else(file: Path) -> None:
    values, everyone = all_values(file), list(pods(rendered(file)))
    inside = set[str]().union(*(parties(pod) for pod in everyone))
    for pod in everyone:
        for direction, peers, own, other in (("Egress", "to", "from", "to"), ("Ingress", "from", "to", "from")):
            told = [
                PORTS.get(flow["to"], lambda _, flow=flow: {flow["port"]})(values)
                for flow in FLOWS
                if (flow[own] in parties(pod) or flow[own] == "*")
                and flow[other] not in inside
                and WHEN[flow.get("when")](values)
            ]
            expected = set[int]().union(*told)
            assert outside_ports(file, pod, direction, peers) == expected, f"{direction} of {pod.owner}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_outside_peers_are_those_of_the_values(file: Path) -> None:
    values, everyone = all_values(file), list(pods(rendered(file)))
    inside = set[str]().union(*(parties(pod) for pod in everyone))
    for flow in FLOWS:
        for own, other, direction, peers in (("from", "to", "Egress", "to"), ("to", "from", "Ingress", "from")):
            if flow[other] in PEERS and flow[other] not in inside and PEERS[flow[other]](values):
                for pod in everyone:
                    if flow[own] in parties(pod):
                        found = network.rules(policies(file), pod.labels, direction) or []
                        named = [rule[peers] for rule in found if flow["port"] in network.ports(rule)]
                        assert PEERS[flow[other]](values) in named, f"{flow['from']} -> {flow['to']}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_stray_pod_reaches_nothing(file: Path) -> None:
    named = all_values(file)["networkPolicy"]
    invited = {8080: named["clients"], 9088: named["watchers"]}
    for pod in pods(rendered(file)):
        for port in listens(pod):
            is_invited = any(network.is_peer(peer, {"app": "stray"}) for peer in invited.get(port, []))
            assert network.allowed(policies(file), {"app": "stray"}, pod.labels, port) == is_invited, (pod.owner, port)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_one_policy_stands_for_each_room(file: Path) -> None:
    names = [each["metadata"]["name"] for each in policies(file)]
    assert len(names) == len(set(names))
    for pod in pods(rendered(file)):
        held = [each for each in policies(file) if network.matches(each["spec"]["podSelector"], pod.labels)]
        assert len(held) == len(parties(pod)), pod.owner


@pytest.mark.parametrize("file", ALL_FILES, ids=name_of)
def test_ports_of_the_table_are_ports_of_containers(file: Path) -> None:
    everyone = list(pods(rendered(file)))
    for flow in FLOWS:
        served = [port for pod in everyone if flow["to"] in parties(pod) for port in listens(pod)]
        assert not served or flow["port"] in served, f"{flow['to']} does not listen at {flow['port']}"


def test_without_network_policies_there_are_none() -> None:
    for file in set(ALL_FILES) - set(FILES):
        assert policies(file) == []


def listens(pod: Pod) -> list[int]:
    return [port["containerPort"] for container in pod.containers for port in container.get("ports", [])]
