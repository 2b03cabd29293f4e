"""The real Prometheus for tests, with what a test asks of it."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from standalone.ports import free_port
from standalone.prometheus import Prometheus, is_installed
from tests.parts.restate import request

Sample = tuple[dict[str, str], float]
"""Labels and value."""


def need_prometheus() -> None:
    """Skips the test on a machine without Prometheus; fails it there if REQUIRE_PROMETHEUS=1."""
    if not is_installed():
        missing = "prometheus is not on the PATH (Debian package `prometheus`)"
        pytest.fail(missing) if os.environ.get("REQUIRE_PROMETHEUS") == "1" else pytest.skip(missing)


class Queries:
    """What a Prometheus at `url` has to say."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """The samples of an instant query, now or at a time; a scalar is one sample without labels."""
        data = await self._ask("query", query=expression, **({} if at is None else {"time": str(at)}))
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def query_range(self, expression: str, start: float, end: float, step: float = 1) -> list[dict[str, Any]]:
        """The series of a range query: `metric` and `values`."""
        return (await self._ask("query_range", query=expression, start=start, end=end, step=step))["result"]

    async def wait_for(self, expression: str, seconds: float = 60) -> list[Sample]:
        """What the query returns, once it returns something."""
        deadline = time.monotonic() + seconds
        while not (found := await self.query(expression)):
            assert time.monotonic() < deadline, f"no data after {seconds} s: {expression}"
            await asyncio.sleep(0.2)
        return found

    async def value(self, expression: str, seconds: float = 60) -> float:
        """The value of a query that returns one sample, once it does."""
        ((_, value),) = await self.wait_for(expression, seconds)
        return value

    async def alerts(self, state: str = "firing") -> dict[str, list[dict[str, str]]]:
        """The labels of each alert in that state, by its name."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in (await self._ask("alerts"))["alerts"]:
            if alert["state"] == state:
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def rules(self) -> list[dict[str, Any]]:
        """All alerting rules: name, query, health, lastError, ..."""
        groups = (await self._ask("rules", type="alert"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def exemplars(self, expression: str, since: float = 3600) -> list[dict[str, Any]]:
        """Series with their exemplars (labels, value, timestamp)."""
        now = time.time()
        return await self._ask("query_exemplars", query=expression, start=now - since, end=now + 60)

    async def metadata(self) -> dict[str, list[dict[str, str]]]:
        """Type, help and unit of every metric that was scraped, by its name."""
        return await self._ask("metadata")

    async def series(self, *selectors: str) -> list[dict[str, str]]:
        """The labels of every series that was ever scraped."""
        return await self._ask("series", **{"match[]": list(selectors), "start": 0, "end": time.time() + 60})

    async def _ask(self, path: str, **parameters: Any) -> Any:
        reply = await request("GET", f"{self.url}/api/v1/{path}?{urlencode(parameters, doseq=True)}")
        assert reply.status_code == 200, f"{parameters}: {reply.text}"
        return reply.json()["data"]


class PrometheusServer(Prometheus, Queries):
    """Scrapes these ports, by job, each second: `PrometheusServer(tmp_path, {"users": service.metrics_port})`."""

    def __init__(
        self, data_dir: Path, jobs: Mapping[str, int], rules: Sequence[Path] = (), *, interval: str = "1s"
    ) -> None:
        need_prometheus()
        super().__init__(data_dir, free_port(), jobs, rules, interval=interval)

    async def scraped(self, seconds: float = 60) -> None:
        """Returns when every target has been scraped at least once from now on, and without an error."""
        began = time.time()
        jobs = len(self.configuration["scrape_configs"])
        await self.wait_for(f"count(up == 1 and timestamp(up) > {began}) == {jobs}", seconds)
