"""One namespace of the cluster, by `kubectl`."""

import json
from collections.abc import Mapping
from typing import Any

from tests.cluster.parts.command import attempt, run
from tests.cluster.parts.settings import SETTINGS
from tests.parts.polling import eventually

MADE_BY_TESTS = "switchboard/e2e"
RESTRICTED = "pod-security.kubernetes.io/enforce"

Manifest = Mapping[str, Any]


class Namespace:
    """Restricted, and made by the tests: one that they did not make is never touched."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.exists = False

    async def create(self) -> None:
        await self.delete()
        labels = {MADE_BY_TESTS: "true", RESTRICTED: "restricted"}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": labels}}
        await run("kubectl", "create", "--filename", "-", stdin=json.dumps(manifest))
        self.exists = True

    async def end(self) -> None:
        """Deletes it, unless the settings want it kept."""
        if not SETTINGS.keep:
            await self.delete()

    async def delete(self) -> None:
        self.exists = False
        found = await attempt("kubectl", "get", "namespace", self.name, "--output", "json")
        if found.code:
            return
        mine = json.loads(found.out)["metadata"]["labels"].get(MADE_BY_TESTS) == "true"
        assert mine, f"namespace {self.name} is not of these tests: set NAMESPACE_PREFIX"
        await run("kubectl", "delete", "namespace", self.name, "--wait", seconds=300)

    async def kubectl(self, *arguments: str, stdin: str = "", seconds: float = 120) -> str:
        return await run("kubectl", "--namespace", self.name, *arguments, stdin=stdin, seconds=seconds)

    async def get(self, kind: str, **labels: str) -> list[Any]:
        """The objects of a kind; `component="router"` selects by `app.kubernetes.io/component`."""
        selector = ",".join(f"app.kubernetes.io/{name}={value}" for name, value in labels.items())
        printed = await self.kubectl("get", kind, "--selector", selector, "--output", "json")
        return json.loads(printed)["items"]

    async def apply(self, *manifests: Manifest) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        await self.kubectl("apply", "--filename", "-", stdin=json.dumps(listed))

    async def execute(self, pod: str, *command: str, stdin: str = "", container: str = "", seconds: float = 60) -> str:
        chosen = ("--container", container) if container else ()
        return await self.kubectl("exec", "--stdin", *chosen, pod, "--", *command, stdin=stdin, seconds=seconds)

    async def running(self, component: str) -> list[Any]:
        """The pods of a component that serve and are not on their way out."""
        return [pod for pod in await self.get("pods", component=component) if _is_ready(pod)]

    async def run_cronjob(self, cronjob: str, job: str) -> str:
        """Runs a CronJob's Job now, to its end; returns its log."""
        await self.kubectl("create", "job", job, f"--from=cronjob/{cronjob}")

        async def ended() -> str | None:
            status = json.loads(await self.kubectl("get", "job", job, "--output", "json")).get("status", {})
            kinds = {each["type"] for each in status.get("conditions", []) if each["status"] == "True"}
            return next(iter(kinds & {"Complete", "Failed"}), None)

        outcome = await eventually(ended, 120)
        log = await self.kubectl("logs", f"job/{job}")
        assert outcome == "Complete", log
        await self.kubectl("delete", "job", job, "--wait")
        return log


def _is_ready(pod: Any) -> bool:
    true = {each["type"] for each in pod.get("status", {}).get("conditions", []) if each["status"] == "True"}
    return "Ready" in true and "deletionTimestamp" not in pod["metadata"]
