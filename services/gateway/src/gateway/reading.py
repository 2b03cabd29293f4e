"""What is read and watched, at the conversations' own port: no journal is told of it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
from pydantic import BaseModel

from runtime.api.problems import Problem, told_by_a_room

READ_SECONDS = 10.0
SILENT_SECONDS = 40.0
"""After so much silence, heartbeats among it, a stream is taken for broken."""


class Conversations:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def read(self, path: str, token: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Raises: `Problem`, such as for what is not there."""
        return await self._told("GET", path, token, params=query)

    async def ask(self, path: str, token: str, asked: BaseModel) -> dict[str, Any]:
        """The same, of what is better not said in an address."""
        return await self._told("POST", path, token, json=asked.model_dump())

    async def _told(self, method: str, path: str, token: str, **sent: Any) -> dict[str, Any]:
        url, timeout = self._url + path, aiohttp.ClientTimeout(total=READ_SECONDS)
        try:
            async with self._http.request(
                method, url, headers=_signed(token), timeout=timeout, allow_redirects=False, **sent
            ) as reply:
                await _refuse(reply)
                return await reply.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise Problem("unavailable") from None

    @asynccontextmanager
    async def watch(self, conversation: str, token: str, after: str) -> AsyncGenerator[aiohttp.StreamReader]:
        """The frames of a conversation behind a place. Raises: `Problem` if it may not be watched."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=SILENT_SECONDS)
        headers = _signed(token) | ({"Last-Event-ID": after} if after else {})
        url = f"{self._url}/conversations/{conversation}/events"
        try:
            reply = await self._http.get(url, headers=headers, timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError):
            raise Problem("unavailable") from None
        async with reply:
            await _refuse(reply)
            yield reply.content

    async def is_there(self) -> bool:
        try:
            async with asyncio.timeout(2), self._http.get(f"{self._url}/health") as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


async def _refuse(reply: aiohttp.ClientResponse) -> None:
    if reply.status == 200:
        return
    try:
        told = cast(dict[str, Any], await reply.json())
    except (aiohttp.ClientError, ValueError):
        raise Problem("unavailable") from None
    raise told_by_a_room(reply.status, str(told.get("code", "")), str(told.get("message", "")))


def _signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
