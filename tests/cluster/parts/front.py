"""Stands before the desk and speaks TLS, as a proxy of the cluster does."""

import asyncio
import contextlib
import ssl
from pathlib import Path

from standalone.ports import free_port


class Front:
    """`folder` has its certificate and key."""

    def __init__(self, folder: Path, leads_to: int) -> None:
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._leads_to = leads_to
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port, ssl=self._context)

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            inner, outer = await asyncio.open_connection("127.0.0.1", self._leads_to)
            with contextlib.closing(outer):
                await asyncio.gather(copy(reader, outer), copy(inner, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, and then its end."""
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
