"""Restate's ingress, as the gateway uses it: a few handlers, each told by a token for whom it is called.

Every call may be made twice: a message has a name of its own, and so has a question.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp

from runtime.api.problems import Problem, told_by_a_room
from runtime.ingress import Away, Ingress, Reply

CALL_SECONDS = 15.0
NOT_READY = 470
ROUTE = {"target": "idempotentInvocation", "service": "ToolRouter", "handler": "route"}


_SAID_BY_RESTATE = {404: "unavailable", 409: "cancelled", 429: "too_many"}
"""What the status means of an answer that is no room's: nothing is registered, somebody cancelled it, Restate is full.
With any other it was tried in vain."""


class Restate:
    def __init__(self, http: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self._ingress = Ingress(http, url, token)
        self.is_there = self._ingress.is_there

    async def call(self, target: str, body: Mapping[str, Any], seconds: float = CALL_SECONDS) -> dict[str, Any]:
        """The result of a handler. Raises: `Problem` for what it refuses, or when there is none in time."""
        try:
            return _result(await self._post(f"/restate/call/{target}", body, {}, seconds))
        except TimeoutError:
            raise Problem("unavailable") from None

    async def send_question(self, key: str, body: Mapping[str, Any]) -> bool:
        """Start a question; whether it had been started before, by somebody else than this call."""
        try:
            reply = await self._post("/restate/send/ToolRouter/route", body, {"Idempotency-Key": key}, CALL_SECONDS)
        except TimeoutError:
            raise Problem("unavailable") from None
        return _result(reply).get("status") == "PreviouslyAccepted" and not reply.asked_again

    async def ask(self, key: str, body: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        """Start a question and wait for its answer. None if there is none within so many seconds, and then it may not
        have been started."""
        try:
            return _result(await self._post("/restate/call/ToolRouter/route", body, {"Idempotency-Key": key}, seconds))
        except TimeoutError:
            return None

    async def answer(self, key: str, seconds: float) -> dict[str, Any] | None:
        """What a question was answered, or None if it is not within so many seconds. Raises: `Problem`, such as for a
        question that there is none of."""
        target = {**ROUTE, "idempotencyKey": key}
        try:
            if seconds > 0:
                reply = await self._post("/restate/attach", target, {}, seconds)
            else:
                reply = await self._post("/restate/output", target, {}, CALL_SECONDS)
        except TimeoutError:
            if seconds > 0:
                return None
            raise Problem("unavailable") from None
        if reply.status == 404 and not reply.body.get("metadata"):
            raise Problem("not_found")
        return None if reply.status == NOT_READY else _result(reply)

    async def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> Reply:
        """Raises: TimeoutError when there is no answer in time, `Problem` when Restate is away."""
        try:
            return await self._ingress.post(path, body, headers, seconds)
        except Away:
            raise Problem("unavailable") from None


def _result(reply: Reply) -> dict[str, Any]:
    if reply.status < 300:
        return reply.body
    metadata: dict[str, Any] = reply.body.get("metadata") or {}
    code = metadata.get("code")
    message = str(reply.body.get("message", ""))
    if code is None:
        raise Problem("unavailable" if message == "killed" else _SAID_BY_RESTATE.get(reply.status, "given_up"))
    raise told_by_a_room(reply.status, code, message, metadata.get("field"), metadata.get("run"))
