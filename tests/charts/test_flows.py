"""The NetworkPolicies allow what flows.yaml says, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.charts import network
from tests.charts.charts import (
    ROOT,
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
    "there is a gateway": lambda values: has_gateway(values),
    "there is a desk": lambda values: has_desk(values),
    "there is a desk and proxy.url is set": lambda values: has_desk(values) and values["proxy"]["url"],
    "gateway.issuers names some": lambda values: values["gateway"]["issuers"],
    "gateway.limits.valkey.host is set": lambda values: has_gateway(values) and host_of_valkey(values),
    "no model is named": lambda values: not values["model"]["name"],
    "tools names them": lambda values: values["tools"],
    "there is a gateway and proxy.url is set": lambda values: has_gateway(values) and values["proxy"]["url"],
    "proxy.url is set": lambda values: values["proxy"]["url"],
    "a model is named": lambda values: values["model"]["name"],
    "statusPage.url is set": lambda values: values["statusPage"]["url"],
    "tickets.webhook.url is set": lambda values: values["tickets"]["webhook"]["url"],
    "global.otlpEndpoint is set": lambda values: values["global"]["otlpEndpoint"],
    "global.otlpEndpoint or restate.tracing.endpoint is set": lambda values: collector_of_restate(values),
    "restate.snapshots.destination is set": lambda values: values["restate"]["snapshots"]["destination"],
    "versions.enabled": lambda values: values["versions"]["enabled"],
    "registry.acceptTools is not any or there are staff": lambda values: (
        values["registry"]["acceptTools"] != "any" or has_desk(values) or values["staff"]["existingSecret"]
    ),
}

PORTS: dict[str, Callable[[Values], set[int]]] = {
    "postgres": lambda values: {values["postgres"]["external"]["port"]},
    "model": lambda values: ports_of(values["model"]["baseUrl"], *values["model"]["fallbackUrls"]),
    "tools": lambda values: ports_of(*(tool["url"] for tool in values["tools"])),
    "proxy": lambda values: ports_of(values["proxy"]["url"]),
    "status-page": lambda values: ports_of(values["statusPage"]["url"]),
    "issuers": lambda values: ports_of(*urls_of_issuers(values)),
    "valkey": lambda values: {values["gateway"]["limits"]["valkey"]["port"]},
    "staff-issuer": lambda values: ports_of(values["console"]["oidc"]["issuer"]),
    "webhooks": lambda values: ports_of(values["tickets"]["webhook"]["url"]),
    "otlp": lambda values: ports_of(values["global"]["otlpEndpoint"]),
    "restate-otlp": lambda values: ports_of(collector_of_restate(values)),
}
"""Ports of outside parties that values decide."""

PEERS: dict[str, Callable[[Values], Any]] = {
    "visitors": lambda values: values["networkPolicy"]["visitors"],
    "colleagues": lambda values: values["networkPolicy"]["colleagues"],
    "clients": lambda values: values["networkPolicy"]["clients"],
    "watchers": lambda values: values["networkPolicy"]["watchers"],
    "prometheus": lambda values: values["networkPolicy"]["prometheus"],
    "dns": lambda values: values["networkPolicy"]["dns"],
    "restate": lambda values: values["networkPolicy"]["restate"],
}
"""Outside parties that values name as peers."""


ALSO = {
    "switchboard/deletes-versions": "versions",
    "switchboard/looks-at-pods": "registration",
    "switchboard/keeps-accepted": "acceptance",
}
"""What pods of the registry are besides, by their labels."""


def ports_of(*urls: str) -> set[int]:
    return {URL(url).port or 443 for url in urls}


def has_gateway(values: Values) -> bool:
    """Whether anybody could come in there."""
    named, gateway = values["users"]["demoCustomers"], values["gateway"]
    examples = not values["model"]["name"] and values["postgres"]["mode"] == "bundled" if named is None else named
    demo = not gateway["issuers"] and examples if gateway["demoCustomers"] is None else gateway["demoCustomers"]
    return gateway["enabled"] and bool(gateway["issuers"] or gateway["apiKeys"] or demo)


def has_desk(values: Values) -> bool:
    return values["console"]["enabled"] and bool(values["console"]["oidc"]["issuer"])


def urls_of_issuers(values: Values) -> list[str]:
    return [url for each in values["gateway"]["issuers"] for url in (each["issuer"], each.get("jwks_url")) if url]


def host_of_valkey(values: Values) -> str:
    return values["gateway"]["limits"]["valkey"]["host"]


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
    everybody = [{"namespaceSelector": {}}]
    invited = {8080: named["clients"], 9088: named["watchers"], 9089: named["visitors"] or everybody}
    invited[9091] = named["colleagues"] or everybody
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
        if not WHEN[flow.get("when")](all_values(file)):
            continue
        served = [port for pod in everyone if flow["to"] in parties(pod) for port in listens(pod)]
        assert not served or flow["port"] in served, f"{flow['to']} does not listen at {flow['port']}"


def test_without_network_policies_there_are_none() -> None:
    for file in set(ALL_FILES) - set(FILES):
        assert policies(file) == []


def listens(pod: Pod) -> list[int]:
    return [port["containerPort"] for container in pod.containers for port in container.get("ports", [])]


COMPONENT = "app.kubernetes.io/component"


def components(peers: list[dict[str, Any]]) -> set[str]:
    """Those of Switchboard's that are meant."""
    selectors = [peer["podSelector"] for peer in peers if "podSelector" in peer]
    ours = [each for each in selectors if each["matchLabels"].get("app.kubernetes.io/name") == "switchboard"]
    listed = {value for each in ours for said in each.get("matchExpressions", []) for value in said["values"]}
    return listed | {each["matchLabels"][COMPONENT] for each in ours if COMPONENT in each["matchLabels"]}


def makers_chart() -> tuple[list[network.Rule], list[network.Rule]]:
    """What may come in and go out beside Restate's own chart."""
    spec = read(ROOT / "k8s/restate/restate-helm/networkpolicy.yaml")["spec"]
    return spec["ingress"], spec["egress"]


def operator() -> tuple[list[network.Rule], list[network.Rule]]:
    """The same for a cluster of Restate's operator, which knows the ports of what comes in."""
    security = read(ROOT / "k8s/restate/operator/cluster.yaml")["spec"]["security"]
    ports = {"admin": 9070, "ingress": 8080}
    comes_in: list[network.Rule] = [
        {"from": peers, "ports": [{"port": ports[way]}]} for way, peers in security["networkPeers"].items()
    ]
    return comes_in, security["networkEgressRules"]


@pytest.mark.parametrize("held", [makers_chart, operator])
def test_a_restate_of_another_chart_is_reached_by_and_reaches_whom_the_table_says(
    held: Callable[[], tuple[list[network.Rule], list[network.Rule]]],
) -> None:
    comes_in, goes_out = held()
    everyone = [
        pod for file in ("default", "hardened") for pod in pods(rendered(SWITCHBOARD / f"ci/{file}-values.yaml"))
    ]
    ours = set[str]().union(*(parties(pod) for pod in everyone)) - {"restate"}
    reaching = {(name, port) for rule in comes_in for name in components(rule["from"]) for port in network.ports(rule)}
    assert reaching == {
        (flow["from"], flow["port"]) for flow in FLOWS if flow["to"] == "restate" and flow["from"] in ours
    }
    reached = [(components(rule["to"]), set(network.ports(rule))) for rule in goes_out if components(rule["to"])]
    theirs = [flow for flow in FLOWS if flow["from"] == "restate" and flow["to"] in ours]
    assert reached == [({flow["to"] for flow in theirs}, {flow["port"] for flow in theirs})]
