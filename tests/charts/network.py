"""What NetworkPolicies allow, as Kubernetes reads them, among the pods of one namespace."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.charts.charts import NAMESPACE, Object

NAMESPACE_LABELS = {"kubernetes.io/metadata.name": NAMESPACE}

Labels = Mapping[str, str]
Rule = Mapping[str, Any]


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    assert set(selector) <= {"matchLabels"}, f"cannot tell what {selector} selects"
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_peer(peer: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a pod of the namespace is meant; an address block may hold any pod's address."""
    if "ipBlock" in peer:
        return True
    if not matches(peer.get("namespaceSelector", {}), NAMESPACE_LABELS):
        return False
    return matches(peer.get("podSelector", {}), labels)


def rules(policies: list[Object], labels: Labels, direction: str) -> list[Rule] | None:
    """The rules that hold for a pod in this direction; None if no policy does, and so everything is allowed."""
    held = [
        policy["spec"]
        for policy in policies
        if matches(policy["spec"]["podSelector"], labels) and direction in policy["spec"]["policyTypes"]
    ]
    return [rule for spec in held for rule in spec.get(direction.lower()) or []] if held else None


def ports(rule: Rule) -> Iterator[int]:
    yield from (each["port"] for each in rule["ports"] if each.get("protocol", "TCP") == "TCP")


def allowed(policies: list[Object], source: Labels, target: Labels, port: int) -> bool:
    """Whether one pod reaches another: the one may send, the other may receive."""
    for side, direction, peers, other in ((source, "Egress", "to", target), (target, "Ingress", "from", source)):
        held = rules(policies, side, direction)
        if held is not None and not any(
            port in ports(rule) and any(is_peer(peer, other) for peer in rule[peers]) for rule in held
        ):
            return False
    return True
