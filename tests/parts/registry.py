"""A running registry, and what a test asks of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.parts.polling import eventually
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]


class Registry:
    def __init__(self, process: Service) -> None:
        self.process = process

    @classmethod
    async def start(cls, launch: Launch, restate: RestateServer, **env: str) -> "Registry":
        return cls(await launch("registry", RESTATE_ADMIN_URL=restate.admin_url, **env))

    async def status(self) -> dict[str, Any]:
        return (await request("GET", f"{self.process.url}/status")).json()

    async def tools(self) -> dict[str, dict[str, Any]]:
        reply = await request("GET", f"{self.process.url}/tools")
        return {tool["name"]: tool for tool in reply.json()["tools"]} if reply.status_code == 200 else {}

    async def registered(self, name: str, seconds: float = 10) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return (await self.status())["registered"].get(name)

        return await eventually(look, seconds)

    async def failure(self, name: str, words: str, seconds: float = 10) -> str:
        async def look() -> str | None:
            reason = (await self.status())["failed"].get(name, "")
            return reason if words in reason else None

        return await eventually(look, seconds)

    async def tool(self, name: str, seconds: float = 5) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return (await self.tools()).get(name)

        return await eventually(look, seconds)

    async def stuck(self, service: str, seconds: float = 10) -> dict[str, int]:
        async def look() -> dict[str, int] | None:
            return (await self.status())["ended_stuck"].get(service)

        return await eventually(look, seconds)
