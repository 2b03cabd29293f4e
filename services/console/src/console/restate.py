"""The other rooms, as staff use them. A call that a cut connection leaves open is made again under the same key."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from runtime.ingress import Away, Ingress, Reply

CALL_SECONDS = 15.0


class Refusal(Exception):
    """A room has refused what was asked. `code` is stable, `message` is for people."""

    def __init__(self, status: int, code: str, message: str, field: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.field = status, code, message, field


class Restate:
    def __init__(self, http: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self._ingress = Ingress(http, url, token)
        self.is_there = self._ingress.is_there

    async def call(self, target: str, body: Mapping[str, Any], *, once: str = "") -> dict[str, Any]:
        """The result of a handler. `once` names what changes something: a repeat is told the same, and changes nothing.

        Raises: `Refusal`, `Away`.
        """
        headers = {"Idempotency-Key": once} if once else {}
        try:
            return _result(await self._ingress.post(f"/restate/call/{target}", body, headers, CALL_SECONDS))
        except TimeoutError:
            raise Away from None


class Registry:
    """The registry's port for the desk, which answers as Restate's ingress does."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._door = Ingress(http, url)

    async def call(self, target: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers. What changes something has a name of its own. Raises: `Refusal`, `Away`."""
        try:
            return _result(await self._door.post(f"/desk/{target}", body, {}, CALL_SECONDS))
        except TimeoutError:
            raise Away from None


def _result(reply: Reply) -> dict[str, Any]:
    if reply.status < 300:
        return reply.body
    told: dict[str, Any] = reply.body.get("metadata") or {}
    code = str(told.get("code") or "")
    if not code:
        raise Away if reply.status == 404 else Refusal(reply.status, "failed", "something went wrong")
    message = str(reply.body.get("message", ""))
    raise Refusal(reply.status, code, message, str(told.get("field") or ""))
