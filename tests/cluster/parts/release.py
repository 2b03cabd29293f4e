"""One Helm release of the chart, by `helm`."""

import json
from collections.abc import Mapping
from typing import Any

from tests.cluster.parts.command import run
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import CHART, SETTINGS
from tests.parts.values import Values, merge

TIMEOUT_SECONDS = 300
DEMO_VALUES = "k8s/demo-values.yaml"


class Release:
    """`values` stand above the images' values file, and above the demo's when it is a demo."""

    def __init__(self, namespace: Namespace, values: Values, *, demo: bool = True, name: str = "switchboard") -> None:
        self.namespace = namespace
        self.name = name
        self.values = values
        self._files = [str(SETTINGS.images_file), *([DEMO_VALUES] if demo else [])]

    async def install(self, *options: str) -> None:
        await self._apply("install", {}, *options)

    async def upgrade(self, values: Mapping[str, Any] | None = None, *options: str) -> None:
        """Upgrades to the usual values with these on top."""
        await self._apply("upgrade", values or {}, *options)

    async def _apply(self, verb: str, values: Mapping[str, Any], *options: str) -> None:
        files = [part for file in (*self._files, "-") for part in ("--values", file)]
        merged = json.dumps(merge(self.values, values))
        await self._helm(verb, self.name, str(CHART), *files, *options, "--wait", stdin=merged)

    async def rollback(self, revision: int | None = None) -> None:
        """To the last revision that was deployed, or to this one."""
        await self._helm("rollback", self.name, *([str(revision)] if revision else []), "--wait")

    async def test(self) -> str:
        return await self._helm("test", self.name, "--logs")

    async def uninstall(self) -> None:
        await self._helm("uninstall", self.name, "--wait")

    async def revision(self) -> int:
        """The number of the latest revision that was deployed."""
        history = json.loads(await run("helm", "history", self.name, *self._where, "--output", "json"))
        return max(each["revision"] for each in history if each["status"] == "deployed")

    @property
    def _where(self) -> tuple[str, ...]:
        return ("--namespace", self.namespace.name)

    async def _helm(self, *arguments: str, stdin: str = "") -> str:
        timeout = ("--timeout", f"{TIMEOUT_SECONDS}s")
        return await run("helm", *arguments, *self._where, *timeout, stdin=stdin, seconds=TIMEOUT_SECONDS * 2)
