"""Who comes in at the API: a tool of the staff's own, by a key that the conversations know. No session opens it."""

import json
from typing import Any, NamedTuple, cast

import aiohttp
from starlette.datastructures import Headers

from console.members import Member
from console.settings import ConsoleSettings
from console.tokens import Signer
from console.upstream import BY
from contracts import KeyQuery, StaffKey, StaffScope
from runtime.api.keys import Keys
from runtime.api.problems import Problem
from runtime.api.rates import Rate, Requests
from runtime.telemetry.logs import get_logger

START = "sbd_"
ASK_SECONDS = 5.0
MAX_TOKEN_CHARACTERS = 200

log = get_logger(__name__)


class Visitor(NamedTuple):
    """Whoever uses a key: the member of staff as whom it acts, and what it may of what they may."""

    key: StaffKey
    member: Member

    def may(self, scope: StaffScope) -> bool:
        return scope in self.key.scopes


class KeyDoor:
    """Lets in whoever has a key, so often in a minute."""

    def __init__(self, http: aiohttp.ClientSession, settings: ConsoleSettings, signer: Signer) -> None:
        self._http, self._url, self._signer = http, f"{settings.conversations_url.rstrip('/')}/desk/keys", signer
        self._keys = Keys(START, self._ask, settings.api_key_seconds)
        self._requests = Requests(Rate(settings.requests_per_minute, settings.burst))

    async def visitor(self, headers: Headers) -> Visitor:
        """Raises: `Problem` 401 when this is no key; it says nothing about why."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            raise Problem("caller_unknown", "send Authorization: Bearer <API key>")
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Problem("token_invalid")
        key = await self._keys.read(token)
        return Visitor(key, Member(key.acts_as, key.name, tuple(key.roles)))

    async def take(self, visitor: Visitor) -> dict[str, str]:
        """One request of a key; the headers that tell how much is left. Raises: `Problem` 429 for one too many."""
        return await self._requests.take(visitor.key.key_id)

    async def _ask(self, digest: str) -> StaffKey | None:
        """Raises: `Problem` when nobody can tell."""
        headers = {"Authorization": f"Bearer {self._signer.token(BY)}"}
        timeout, asked = aiohttp.ClientTimeout(total=ASK_SECONDS), KeyQuery(digest=digest).model_dump()
        try:
            async with self._http.post(self._url, json=asked, headers=headers, timeout=timeout) as reply:
                told: Any = json.loads(await reply.read() or b"{}")
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise Problem("unavailable") from None
        code = str(cast(dict[str, Any], told).get("code", "")) if isinstance(told, dict) else ""
        if status == 200:
            return StaffKey.model_validate(told)
        if status == 404 and code == "unknown_key":
            return None
        if status == 401:
            log.error("staff_token_refused", extra={"code": code})
        raise Problem("unavailable")
