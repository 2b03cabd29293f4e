"""A second PostgreSQL that follows a first one by streaming replication, and one address that leads to either."""

import asyncio
import contextlib
import subprocess
from pathlib import Path

from standalone.ports import free_port
from standalone.postgres import SUPERUSER, as_unprivileged, binaries
from tests.parts.postgres import PostgresServer


class Follower(PostgresServer):
    """Begins as a copy of `primary`, by `pg_basebackup`; with its password."""

    def __init__(self, data_dir: Path, primary: PostgresServer, password: str) -> None:
        super().__init__(data_dir, free_port(), password)
        self._primary = primary

    async def _initialise(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.parent.chmod(0o777)
        command = [str(binaries() / "pg_basebackup"), "-D", str(self.folder), "-d", self._primary.admin_url, "-R"]
        command += ["-X", "stream", "-c", "fast", "--no-sync"]
        done = await asyncio.to_thread(
            subprocess.run, as_unprivileged(command), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def follow(server: PostgresServer, primary: PostgresServer) -> None:
    """From its next start on, a stopped server is a standby of `primary`."""
    about = f"host=127.0.0.1 port={primary.port} user={SUPERUSER} password=test-password"
    with (server.folder / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{about}'\nrecovery_target_timeline = 'latest'\n")
    (server.folder / "standby.signal").touch()
    (server.folder / "standby.signal").chmod(0o666)


class Address:
    """One TCP address that leads to one port after another. What is connected stays where it is."""

    def __init__(self, leads_to: int) -> None:
        self.port = free_port()
        self.leads_to = leads_to

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def close(self) -> None:
        self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            further = await asyncio.open_connection("127.0.0.1", self.leads_to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, further[1]), _pass_on(further[0], writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
