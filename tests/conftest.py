"""Real parts for the durable tests: PostgreSQL, restate-server and our services, on free ports."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from standalone import ports
from standalone.ports import free_port
from standalone.process import Process, StartError
from tests.parts.postgres import PostgresServer
from tests.parts.prometheus import PrometheusServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service

ALWAYS_REPLAY = os.environ.get("ALWAYS_REPLAY") == "1"
ONCE = pytest.mark.skipif(ALWAYS_REPLAY, reason="it is not about runs that could be replayed")
REQUIRED = ("REQUIRE_PROMETHEUS", "REQUIRE_PGBOUNCER", "REQUIRE_VALKEY", "REQUIRE_CHROMIUM")
SETTINGS_OF_TOOLS = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "LANG", "ALWAYS_REPLAY", *REQUIRED)

WORKER, WORKERS = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
ports.FREE_PORTS = ports.FREE_PORTS[int(WORKER.removeprefix("gw")) :: WORKERS]
"""Ports of this worker alone: two could take the same one before either listens on it."""

_watched: list[Process] = []
"""Whose logs a failing test shows."""


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """What happens to be set on this machine must not decide what a test sees."""
    kept = {name: os.environ[name] for name in SETTINGS_OF_TOOLS if name in os.environ}
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
async def postgres(data_dir: Path) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(data_dir, free_port(), "test-password")
    await start(server)
    yield server
    await server.stop("immediate")


@pytest.fixture(scope="session")
async def restate(data_dir: Path) -> AsyncIterator[RestateServer]:
    try:
        server = RestateServer(data_dir, always_replay=ALWAYS_REPLAY)
    except StartError as error:
        pytest.fail(str(error), pytrace=False)
    await start(server)
    yield server
    await server.kill()


async def start(server: PostgresServer | PrometheusServer | RestateServer) -> None:
    _watched.append(server.process)
    try:
        await server.start()
    except StartError as error:
        pytest.fail(f"{error}\n{server.process.tail()}", pytrace=False)


@pytest.fixture(scope="session")
async def service(data_dir: Path) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Starts a service: `users = await service("users", DATABASE_URL=url)`. What still runs at the end is ended."""
    started: list[Service] = []

    async def launch(module: str, *, name: str = "", port: int = 0, **env: str) -> Service:
        child = Service(module, data_dir, env, name=name, port=port)
        started.append(child)
        _watched.append(child)
        try:
            await child.start()
        except StartError as error:
            pytest.fail(f"{error}\n{child.tail()}", pytrace=False)
        return child

    yield launch
    for child in reversed(started):
        await child.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        for process in _watched:
            state = "runs" if process.running else "ended"
            report.sections.append((f"end of the log of {process.program.name} ({state})", process.tail(25)))
    return report
