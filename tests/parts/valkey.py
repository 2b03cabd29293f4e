"""A real Valkey, or the Redis that it comes from."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from standalone.ports import free_port, is_free
from standalone.process import Process, Program
from tests.parts.certificates import certified

PROGRAM = shutil.which("valkey-server") or shutil.which("redis-server") or ""


def need_valkey() -> None:
    """Skips the test on a machine without it; fails it there if REQUIRE_VALKEY=1."""
    if not PROGRAM:
        missing = "neither valkey-server nor redis-server is on the PATH (Debian package `redis-server`)"
        pytest.fail(missing) if os.environ.get("REQUIRE_VALKEY") == "1" else pytest.skip(missing)


class ValkeyServer(Process):
    """Keeps nothing on disk. Its one password is that of the user `default`; by `tls` it speaks TLS alone."""

    def __init__(self, folder: Path, password: str = "", tls: Path | None = None) -> None:
        self.port, self.password = free_port(), password
        folder.mkdir(parents=True, exist_ok=True)
        told = ["--port", str(self.port)]
        if tls:
            certified(tls)
            told = ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            told += ["--tls-cert-file", str(tls / "cert.pem"), "--tls-key-file", str(tls / "key.pem")]
        if password:
            told += ["--requirepass", password]
        command = [PROGRAM, *told, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        super().__init__(Program(f"valkey-{self.port}", command, {"PATH": os.environ["PATH"]}, self._ready), folder)

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    async def start(self) -> None:
        await super().start()
        await self.wait_ready()

    async def _ready(self) -> bool:
        return not is_free(self.port)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Redis]:
        async with Redis(port=self.port, password=self.password or None, decode_responses=True, protocol=2) as server:
            yield server

    async def calls(self) -> dict[str, int]:
        """How often each command was called since it started."""
        async with self.opened() as server:
            told = await server.info("commandstats")
        return {name.removeprefix("cmdstat_"): row["calls"] for name, row in told.items()}
