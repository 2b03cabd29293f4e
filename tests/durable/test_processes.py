"""Our services as containers run them: no signal vanishes, they listen where they are told, metrics hold nothing up."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts.polling import eventually
from tests.parts.signed import KEYS

pytestmark = ONCE

ROOMS = ("router", "users", "tickets", "conversations", "registry", "demo_model", "gateway", "console")
ENDED_BY_SIGTERM = 128 + signal.SIGTERM
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"
ROLES = (
    *("USERS_OWNER", "USERS_APP", "TICKETS_OWNER", "TICKETS_APP", "TICKETS_STAFF"),
    *("CONVERSATIONS_OWNER", "CONVERSATIONS_APP", "CONVERSATIONS_ROUTER"),
)
PASSWORDS = {f"{role}_PASSWORD": "secret" for role in ROLES}
DATABASES = dict.fromkeys(("DATABASE_URL", "MIGRATION_DATABASE_URL", "ADMIN_DATABASE_URL"), NO_DATABASE)


@asynccontextmanager
async def started(command: str, log: Path, **env: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """`python -m <command>` with SIGTERM ignored until it has a handler: so the kernel treats process 1."""
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", "trap '' TERM; exec \"$@\"", "sh", sys.executable, "-m", *command.split()),
            env=os.environ | {"TRUST_USER_ID": "true"} | KEYS | env,
            stdout=output,
            stderr=output,
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def exit_code(child: asyncio.subprocess.Process) -> int:
    """Of a process that was told to leave."""
    child.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(child.wait(), 60)


async def logged(log: Path, event: str) -> bool:
    return event in log.read_text()


@pytest.mark.parametrize("room", ROOMS)
async def test_sigterm_ends_a_service_that_is_still_importing(room: str, tmp_path: Path) -> None:
    mark, log = tmp_path / "importing", tmp_path / "log"
    (tmp_path / "pydantic.py").write_text(
        f"import pathlib, time\npathlib.Path({str(mark)!r}).touch()\ntime.sleep(60)\n"
    )
    async with started(room, log, PYTHONPATH=str(tmp_path)) as child:
        await eventually(lambda: exists(mark))
        assert await exit_code(child) == ENDED_BY_SIGTERM, log.read_text()


async def exists(path: Path) -> bool:
    return path.exists()


@pytest.mark.parametrize(
    "command",
    [
        *("users", "users provision", "users migrate", "users seed"),
        *("tickets", "tickets provision", "tickets migrate"),
        *("conversations", "conversations provision", "conversations migrate"),
    ],
)
async def test_sigterm_ends_what_waits_for_a_database(command: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with started(command, log, **DATABASES, **PASSWORDS, PORT=str(free_port())) as child:
        await eventually(lambda: logged(log, "waiting_for_database"))
        assert await exit_code(child) == ENDED_BY_SIGTERM


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
@pytest.mark.parametrize(
    ("room", "server"), [("router", "hypercorn"), ("router", "granian"), ("demo_model", ""), ("registry", "")]
)
async def test_it_listens_where_it_is_told_and_leaves_with_its_metrics_being_read(
    room: str, server: str, host: str, tmp_path: Path
) -> None:
    port, metrics_port, log = free_port(), free_port(), tmp_path / "log"
    env = {"HOST": host, "PORT": str(port), "METRICS_PORT": str(metrics_port), "SERVER": server}
    async with started(room, log, **env) as child:
        await eventually(lambda: answer(host, port, "health"))
        assert f'service="{room}"' in await eventually(lambda: answer(host, metrics_port, "metrics"))
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
        _, half_asked = await asyncio.open_connection(host, metrics_port)
        half_asked.write(b"GET /metrics HTTP/1.1\r\n")
        await half_asked.drain()
        assert await exit_code(child) == 0, log.read_text()
        half_asked.close()


async def answer(host: str, port: int, path: str) -> str | None:
    where = f"[{host}]" if ":" in host else host
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://{where}:{port}/{path}") as reply:
            return await reply.text() if reply.status == 200 else None
    except aiohttp.ClientError:
        return None
