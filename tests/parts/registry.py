"""A running registry, and what a test asks of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.parts.polling import eventually
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]


class Scrape:
    """What one scrape told."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = text_string_to_metric_families(text)
        self._samples = [each for family in families for each in family.samples]

    def of(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """The series of that name which have these labels, and their values; without the prefix `switchboard_`."""
        found = [each for each in self._samples if each.name == f"switchboard_{name}"]
        return [(each.labels, each.value) for each in found if labels.items() <= each.labels.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one such series; None if there is none."""
        series = self.of(name, **labels)
        assert len(series) <= 1, series
        return series[0][1] if series else None


class Registry:
    def __init__(self, process: Service) -> None:
        self.process = process

    @classmethod
    async def start(cls, launch: Launch, restate: RestateServer, **env: str) -> "Registry":
        return cls(await launch("registry", RESTATE_ADMIN_URL=restate.admin_url, **env))

    async def status(self) -> dict[str, Any]:
        return (await request("GET", f"{self.process.url}/status")).json()

    async def scrape(self) -> Scrape:
        """Needs a registry that was started with `METRICS_PORT`."""
        port = self.process.program.env["METRICS_PORT"]
        return Scrape((await request("GET", f"http://127.0.0.1:{port}/metrics")).text)

    async def told(self, value: float | None, name: str, seconds: float = 60, **labels: str) -> Scrape:
        """The first scrape in which this series has this value, or is missing for None."""

        async def look() -> Scrape | None:
            scrape = await self.scrape()
            return scrape if scrape.value(name, **labels) == value else None

        return await eventually(look, seconds)

    async def tools(self) -> dict[str, dict[str, Any]]:
        reply = await request("GET", f"{self.process.url}/tools")
        return {tool["name"]: tool for tool in reply.json()["tools"]} if reply.status_code == 200 else {}

    async def registered(self, name: str, seconds: float = 60) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return (await self.status())["registered"].get(name)

        return await eventually(look, seconds)

    async def failure(self, name: str, words: str, seconds: float = 60) -> str:
        async def look() -> str | None:
            reason = (await self.status())["failed"].get(name, "")
            return reason if words in reason else None

        return await eventually(look, seconds)

    async def tool(self, name: str, seconds: float = 60) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            return (await self.tools()).get(name)

        return await eventually(look, seconds)

    async def stuck(self, service: str, seconds: float = 60) -> dict[str, int]:
        async def look() -> dict[str, int] | None:
            return (await self.status())["ended_stuck"].get(service)

        return await eventually(look, seconds)

    async def logged(self, words: str, seconds: float = 60) -> None:
        """What it does is seen from outside a moment before its log has the line."""

        async def look() -> bool:
            return words in self.process.log.read_text()

        await eventually(look, seconds)
