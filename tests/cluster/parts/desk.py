"""A member of staff, who decides, takes conversations over and undoes what was done."""

import time
import uuid
from typing import Any

import aiohttp
import jwt

from tests.cluster.parts.product import STAFF_KEY, Product
from tests.cluster.parts.talks import Talk
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, request

_AWAY = (aiohttp.ClientError, TimeoutError, OSError)
_WAITING = "SELECT approval_id || ' ' || digest FROM conversations.approvals WHERE conversation_id = '{}'"


class Desk:
    """What is asked is asked again, under the same idempotency key, until the product has answered."""

    def __init__(self, product: Product) -> None:
        self._product = product

    async def approve(self, talk: Talk) -> None:
        """Say yes to the call that waits in this conversation."""
        approval_id, digest = (await eventually(lambda: self.waiting(talk), 60)).split()
        told = {"approval_id": approval_id, "digest": digest, "choice": "approve"}
        assert (await self._ask("Approvals/decide", **told))["status"] == "approved"

    async def waiting(self, talk: Talk) -> str:
        return (await self._product.sql(_WAITING.format(talk.key))).strip()

    async def take(self, talk: Talk) -> None:
        await self._ask(f"Conversation/{talk.key}/take")

    async def say(self, talk: Talk, text: str) -> None:
        await self._ask(f"Conversation/{talk.key}/say", text=text, say_id=uuid.uuid4().hex)

    async def give_back(self, talk: Talk) -> None:
        await self._ask(f"Conversation/{talk.key}/return")

    async def undo(self, talk: Talk) -> None:
        assert (await self._ask(f"Conversation/{talk.key}/undo"))["effects"] == ["refund_invoice"]

    async def _ask(self, target: str, **body: Any) -> dict[str, Any]:
        url = f"{self._product.ingress.url}/restate/call/{target}"
        told, once = {"staff_token": _token()} | body, {"Idempotency-Key": uuid.uuid4().hex}

        async def answer() -> HttpReply | None:
            try:
                reply = await request("POST", url, told, once)
            except _AWAY:
                return None
            return None if reply.headers.get("x-restate-error-source") == "ingress" else reply

        reply = await eventually(answer, 120)
        assert reply.status_code == 200, reply.text
        return reply.json()


def _token() -> str:
    now = int(time.time())
    claims = {"sub": "anna", "aud": "switchboard-staff", "iat": now, "exp": now + 600, "roles": ["approver"]}
    return jwt.encode(claims, STAFF_KEY, "HS256")
