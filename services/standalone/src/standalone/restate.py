"""The real `restate-server`, on loopback, with settings for a small machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from standalone.process import Process, Program, StartError

VERSION = "1.7.12"


@dataclass(frozen=True)
class Ports:
    ingress: int = 8080
    admin: int = 9070
    node: int = 5122


class Restate:
    """One server: its data folder and its ports."""

    def __init__(
        self, data_dir: Path, tools_dir: Path, ports: Ports, partitions: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = (data_dir / "restate").resolve()
        self.ingress_url = f"http://127.0.0.1:{ports.ingress}"
        self.admin_url = f"http://127.0.0.1:{ports.admin}"
        program = Program(
            name="restate",
            command=[str(binary(tools_dir)), "--node-name", "switchboard", "--base-dir", str(self.folder)],
            env={**environment(ports, partitions), **(env or {})},
            ready=self._answers,
        )
        self.process = Process(program, data_dir)

    async def start(self) -> None:
        await self.process.start()
        await self.process.wait_ready()

    async def stop(self) -> None:
        await self.process.stop()

    async def kill(self) -> None:
        await self.process.kill()

    async def _answers(self) -> bool:
        """Its health pages turn green before every partition has a leader; a query needs them all."""
        return await answers(f"{self.ingress_url}/restate/health") and await self._has_leaders()

    async def _has_leaders(self) -> bool:
        query = {"query": "SELECT count(1) FROM sys_invocation"}
        return await answers(f"{self.admin_url}/query", query)


def environment(ports: Ports, partitions: int) -> dict[str, str]:
    """Less memory than the defaults, which are made for servers, and a third of their CPU.

    Each partition costs; so does the replicated log, which one machine cannot replicate (the local one syncs each
    batch to disk before it acknowledges, too); so do RocksDB's inner counters.
    """
    return {
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{ports.node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{ports.node}/",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ports.ingress}",
        "RESTATE_INGRESS__ADVERTISED_ADDRESS": f"http://127.0.0.1:{ports.ingress}/",
        "RESTATE_INGRESS__REQUEST_SIZE_LIMIT": "2 MiB",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{ports.admin}",
        "RESTATE_DEFAULT_NUM_PARTITIONS": str(partitions),
        "RESTATE_BIFROST__DEFAULT_PROVIDER": "local",
        "RESTATE_ROCKSDB_PERF_LEVEL": "disable",
        "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "128 MiB",
        "RESTATE_ADMIN__QUERY_ENGINE__MEMORY_SIZE": "128 MiB",
        "RESTATE_WORKER__INVOKER__MEMORY_LIMIT": "256 MiB",
        "RESTATE_BIFROST__RECORD_CACHE_MEMORY_SIZE": "32 MiB",
        "RESTATE_LOG_FORMAT": "compact",
        "RESTATE_LOG_DISABLE_ANSI_CODES": "true",
        "RESTATE_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def tracing(collector: str) -> dict[str, str]:
    """Its own spans to a collector, whose base URL this is, by the same OTLP over HTTP as ours.

    The filter is for its inner spans, which it makes and then sends nowhere; those of invocations pass it.
    """
    return {
        "RESTATE_TRACING_ENDPOINT": f"otlp+{collector.rstrip('/')}/v1/traces",
        "RESTATE_TRACING_FILTER": "warn",
    }


def binary(tools_dir: Path) -> Path:
    """The program that `make install` put under the tools folder."""
    system = platform.system().lower()
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = tools_dir / "node_modules" / "@restatedev" / f"restate-server-{system}-{machine}"
    found = package / "bin" / "restate-server"
    if not found.is_file():
        raise StartError(f"restate-server is missing in {tools_dir}: run `make install` (TOOLS_DIR names the folder)")
    return found.resolve()


async def answers(url: str, body: Mapping[str, str] | None = None) -> bool:
    """Whether this URL answers 200 now: to a GET, or to a POST of a body."""
    method = "GET" if body is None else "POST"
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.request(method, url, json=body) as reply:
            await reply.read()
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
