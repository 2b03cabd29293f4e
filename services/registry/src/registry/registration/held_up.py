"""Why a deployment does not answer, as Kubernetes tells it of the pods behind its URL."""

from collections.abc import Mapping
from typing import Any

from yarl import URL

from registry.cluster import Cluster, ClusterError
from registry.settings import RegisterSettings

SERVING = "switchboard/serves=true"
COMES_BY_ITSELF = frozenset({"ContainerCreating", "PodInitializing"})


class Lookout:
    """Looks at the pods of one namespace; without one it sees nothing."""

    def __init__(self, settings: RegisterSettings) -> None:
        self._settings = settings

    async def why(self, url: str) -> str:
        """Words to put behind what Restate says; none where nothing is seen, or may be."""
        name = (URL(url).host or "").partition(".")[0]
        try:
            found = await self._look(name) if self._settings.namespace else ""
        except ClusterError:
            return ""
        return f" ({found})" if found else ""

    async def _look(self, name: str) -> str:
        told = self._settings
        async with Cluster(told.kubernetes_url, told.namespace, told.service_account) as cluster:
            refused = why_no_pod(await cluster.deployment(name))
            pods = [] if refused else await cluster.pods(SERVING)
        reasons = [why_not_ready(pod) for pod in pods if pod["metadata"]["name"].startswith(f"{name}-")]
        return refused or next(filter(None, reasons), "")


def why_no_pod(deployment: Mapping[str, Any]) -> str:
    """Nothing unless Kubernetes refuses to make a pod at all, as for a quota."""
    for condition in _conditions(deployment):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"no pod: {condition.get('message', 'refused')}"
    return ""


def why_not_ready(pod: Mapping[str, Any]) -> str:
    """Nothing of a pod that is ready."""
    name = pod["metadata"]["name"]
    conditions = {each["type"]: each for each in _conditions(pod)}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"pod {name} finds no node: {scheduled.get('message', 'pending')}"
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return next(filter(None, (_hindrance(name, each) for each in containers)), f"pod {name} is not ready")


def _hindrance(pod: str, container: Mapping[str, Any]) -> str:
    state = container.get("state", {})
    waiting = state.get("waiting", {})
    about = f"pod {pod}, container {container['name']}"
    if waiting.get("reason") and waiting["reason"] not in COMES_BY_ITSELF:
        return ": ".join(filter(None, (about, waiting["reason"], waiting.get("message"))))
    return f"{about} is not ready" if "running" in state and not container.get("ready") else ""


def _conditions(it: Mapping[str, Any]) -> list[dict[str, Any]]:
    return it.get("status", {}).get("conditions", [])
