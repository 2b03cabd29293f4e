"""`kubectl port-forward` to a free port of this machine."""

import asyncio
import contextlib

from standalone.ports import free_port
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import TOOL_ENVIRONMENT


class Forward:
    """Leads to a Service; begun again whenever the pod that it led to is gone."""

    def __init__(self, namespace: Namespace, service: str, port: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ports = f"{self.port}:{port}"
        where = ("--namespace", namespace.name, "--address", "127.0.0.1")
        self._command = ("kubectl", "port-forward", *where, f"service/{service}", ports)
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def _keep(self) -> None:
        nowhere = asyncio.subprocess.DEVNULL
        while True:
            child = await asyncio.create_subprocess_exec(
                *self._command, env=TOOL_ENVIRONMENT, stdin=nowhere, stdout=nowhere, stderr=nowhere
            )
            try:
                await child.wait()
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
            await asyncio.sleep(0.3)
