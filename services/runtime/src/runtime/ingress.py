"""Restate's ingress, as doors use it. Every call may be made twice: what changes something goes out under a key. So
what a cut connection leaves open is asked again, for a moment."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import aiohttp

AWAY_SECONDS = 3.0
"""For how long a Restate that does not answer is asked again, before the client is told to come again."""
PAUSE_SECONDS = 0.1


class Away(Exception):
    """Restate, or the room behind it, does not answer."""


class Reply(NamedTuple):
    """What the ingress answered; of an error, whose it is. `asked_again`: an earlier try may have come through."""

    status: int
    body: dict[str, Any]
    source: str = ""
    asked_again: bool = False


class Ingress:
    """`token` is the bearer token that it wants; empty: none."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._token = {"Authorization": f"Bearer {token}"} if token else dict[str, str]()

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Reply:
        """Raises: TimeoutError when there is no answer in time, `Away` when Restate does not answer at all."""
        away_since, again = 0.0, False
        async with asyncio.timeout(seconds):
            while True:
                try:
                    reply = await self._try(path, body, headers)
                    if reply.status < 500 or reply.source == "invocation":
                        return reply._replace(asked_again=again)
                except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                    pass
                away_since, again = away_since or time.monotonic(), True
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise Away
                await asyncio.sleep(PAUSE_SECONDS)

    async def is_there(self) -> bool:
        timeout = aiohttp.ClientTimeout(total=2)
        try:
            async with self._http.get(f"{self._url}/restate/health", headers=self._token, timeout=timeout) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _try(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
        url, timeout = self._url + path, aiohttp.ClientTimeout(total=None, sock_connect=2)
        told = {**headers, **self._token, "Content-Type": "application/json"}
        async with self._http.post(url, data=_in_utf8(body), headers=told, timeout=timeout) as reply:
            return Reply(reply.status, _object(await reply.read()), reply.headers.get("x-restate-error-source", ""))


def _in_utf8(body: Mapping[str, Any]) -> bytes:
    """Without escapes, which make three times as much of most scripts; no UTF-8 is left to the room to refuse."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _object(text: bytes) -> dict[str, Any]:
    try:
        told = json.loads(text or b"{}")
    except ValueError:
        return {}
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}
