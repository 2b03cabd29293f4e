"""Pods that look like every party of the table of flows: each listens on every port, and tries to reach all others."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.cluster.parts.command import run
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import CHART
from tests.parts.polling import eventually

TRY_SECONDS = 2
PYTHON = "python"

LISTEN = """
import asyncio, sys
async def main():
    answer = lambda reader, writer: writer.close()
    servers = [await asyncio.start_server(answer, "0.0.0.0", int(port)) for port in sys.argv[1:]]
    await asyncio.gather(*(server.serve_forever() for server in servers))
asyncio.run(main())
"""

TRY = """
import asyncio, json, sys
async def reached(name, host, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), {seconds})
    except (OSError, TimeoutError):
        return None
    writer.close()
    return [name, port]
async def main():
    found = await asyncio.gather(*(reached(*target) for target in json.load(sys.stdin)))
    print(json.dumps([each for each in found if each]))
asyncio.run(main())
""".replace("{seconds}", str(TRY_SECONDS))


@dataclass(frozen=True)
class Flow:
    """One line of the table, or one connection that was made."""

    source: str
    target: str
    port: int

    def __str__(self) -> str:
        return f"{self.source} to {self.target}:{self.port}"


def table() -> list[Flow]:
    """The chart's own list."""
    lines = yaml.safe_load((CHART / "flows.yaml").read_text())
    return [Flow(line["from"], line["to"], line["port"]) for line in lines]


async def policies(namespace: Namespace, values: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's NetworkPolicies by party, as it renders them with these values."""
    rendered = await run(
        *("helm", "template", "switchboard", str(CHART), "--namespace", namespace.name, "--values", "-"),
        *("--show-only", "templates/networkpolicy.yaml"),
        stdin=json.dumps(values),
    )
    found = [policy for policy in yaml.safe_load_all(rendered) if policy]
    return {policy["metadata"]["name"].removeprefix("switchboard-"): policy for policy in found}


class Mannequins:
    """One pod for each party; `labels` by party."""

    def __init__(self, namespace: Namespace, image: str, ports: set[int]) -> None:
        self._namespace, self._image, self._ports = namespace, image, ports
        self.addresses: dict[str, str] = {}

    async def stand(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        await self._namespace.apply(*(self._pod(party, labels[party]) for party in labels))
        pods = [f"pod/{party}" for party in labels]
        await self._namespace.kubectl("wait", *pods, "--for=condition=Ready", "--timeout=120s", seconds=150)
        self.addresses |= await addresses(self._namespace, *labels)

    async def leave(self) -> None:
        await self._namespace.kubectl("delete", "--now", *(f"pod/{party}" for party in self.addresses))

    def _pod(self, party: str, labels: Mapping[str, str]) -> dict[str, Any]:
        security = {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
        }
        container = {
            "name": "mannequin",
            "image": self._image,
            "command": [PYTHON, "-c", LISTEN, *(str(port) for port in sorted(self._ports))],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "readinessProbe": {"tcpSocket": {"port": max(self._ports)}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": party, "labels": dict(labels)},
            "spec": {
                "containers": [container],
                "securityContext": security,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 0,
            },
        }

    async def connections(self) -> set[Flow]:
        """Every connection that any of them can make to another now."""
        made = await asyncio.gather(*(self.reached(source, self.addresses) for source in self.addresses))
        return set().union(*made)

    async def reached(self, source: str, others: Mapping[str, str]) -> set[Flow]:
        """Every connection that one of them can make to pods at these addresses now."""
        ports = sorted(self._ports)
        targets = [(target, others[target], port) for target in others if target != source for port in ports]
        printed = await self._namespace.execute(source, PYTHON, "-c", TRY, stdin=json.dumps(targets))
        return {Flow(source, target, port) for target, port in json.loads(printed)}

    async def connect(self, expected: set[Flow], seconds: float = 60) -> None:
        """Waits until exactly these connections can be made: new policies take a moment."""
        found: set[Flow] = set()

        async def as_expected() -> bool:
            nonlocal found
            found = await self.connections()
            return found == expected

        try:
            await eventually(as_expected, seconds)
        except AssertionError:
            denied, open_ = sorted(map(str, expected - found)), sorted(map(str, found - expected))
            raise AssertionError(f"denied: {denied}; open, but in no table: {open_}") from None


async def addresses(namespace: Namespace, *names: str) -> dict[str, str]:
    """The addresses of these pods, or of all that run."""
    pods = {pod["metadata"]["name"]: pod["status"] for pod in await namespace.get("pods")}
    return {name: pods[name]["podIP"] for name in names or pods if pods[name]["phase"] == "Running"}
