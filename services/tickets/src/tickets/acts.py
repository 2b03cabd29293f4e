"""What the staff's command changes: through `TicketDesk`, as whoever the staff token names."""

import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pydantic import SecretStr

from runtime.ingress import Away, Ingress, Reply
from tickets.desk import Declined
from tickets.settings import ActingSettings

_SECONDS = 30.0
_WITHOUT = "setting STAFF_TOKEN: whoever changes something needs a staff token of their own"
_AWAY = "setting RESTATE_INGRESS_URL: Restate does not answer there"
_LATE = "it is not done yet, but Restate goes on with it: look again"
_FORMER = "the ticket services that run are of a former version, which does not know this"


class Acts:
    """Each raises `Declined` when nothing was changed; the text says why."""

    def __init__(self, ingress: Ingress, token: str) -> None:
        self._ingress, self._token = ingress, token

    async def assign(self, ticket_id: str, to: str, *, reassign: bool) -> None:
        await self._do("assign", ticket_id=ticket_id, to=to, reassign=reassign)

    async def close(self, ticket_id: str, note: str) -> None:
        await self._do("change", ticket_id=ticket_id, state="closed", note=note)

    async def resend(self, ticket_id: str | None, *, again: bool) -> list[str]:
        """The tickets whose notifications are going to be sent again."""
        return (await self._do("resend", ticket_id=ticket_id, again=again))["tickets"]

    async def drop(self, ticket_id: str, note: str) -> None:
        await self._do("drop", ticket_id=ticket_id, note=note)

    async def _do(self, handler: str, **asked: Any) -> Mapping[str, Any]:
        key = {"Idempotency-Key": uuid.uuid4().hex}
        body = {"staff_token": self._token, **asked}
        try:
            reply = await self._ingress.post(f"/restate/call/TicketDesk/{handler}", body, key, _SECONDS)
        except Away:
            raise Declined(_AWAY) from None
        except TimeoutError:
            raise Declined(_LATE) from None
        if reply.status != 200:
            raise Declined(_why_not(reply, asked.get("ticket_id") or ""))
        return reply.body


def _why_not(reply: Reply, ticket_id: str) -> str:
    told: Mapping[str, Any] = reply.body.get("metadata") or {}
    if reply.status == 404 and not told:
        return _FORMER
    why = str(reply.body.get("message") or f"status {reply.status}")
    hint = "; --reassign gives it to somebody else" if told.get("code") == "assigned" else ""
    return f"{ticket_id}: {why}{hint}".removeprefix(": ")


@asynccontextmanager
async def acting(settings: ActingSettings, token: SecretStr) -> AsyncGenerator[Acts]:
    """Raises: `Declined` without a staff token."""
    if not token:
        raise Declined(_WITHOUT)
    async with aiohttp.ClientSession() as http:
        ingress = Ingress(http, settings.restate_ingress_url, settings.restate_ingress_token.get_secret_value())
        yield Acts(ingress, token.get_secret_value())
