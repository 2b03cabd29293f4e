"""The door for machines, such as an operator's own backend or a chat UI: by an API key, which the conversations know.

A key with the scope `act-for-users` names in a header for whom it asks; any other is a caller of its own, and may name
nobody. What is known of a key is good for some seconds, so that one that is revoked soon opens nothing.
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from contracts import USER_ID_PATTERN, ApiKey, KeyQuery
from gateway.callers import MACHINES, Visitor, is_reserved
from gateway.problems import Problem
from gateway.reading import Conversations
from gateway.signing import Signer
from runtime.proof import FOR_KEYS

START = "sb_"
AWAY_SECONDS = 300.0
"""For how long a key that was good is believed while nobody can be asked."""
KEPT_KEYS = 10_000
ASKED_AT_A_TIME = 20

_KEY = re.compile(START + r"[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_ITSELF = Visitor("gateway")


@dataclass
class Known:
    """What was told of a key that is good, and when."""

    key: ApiKey
    at: float


class KeyDoor:
    """Lets in whoever has a key. `users` are headers in which a user may be named: a key that may not act for users is
    refused with any of them, or all users of a chat UI would be one. What is known is believed for `seconds`."""

    def __init__(self, rooms: Conversations, signer: Signer, users: Sequence[str], seconds: float) -> None:
        self._rooms, self._signer, self._users, self._seconds = rooms, signer, users, seconds
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._asking = 0

    async def visitor(self, token: str, headers: Headers) -> Visitor | None:
        if not token.startswith(START):
            return None
        if not _KEY.fullmatch(token):
            raise Problem("token_invalid")
        key = await self._find(hashlib.sha256(token.encode()).hexdigest())
        if key is None:
            raise Problem("token_invalid")
        if key.expires_at.timestamp() <= time.time():
            raise Problem("token_expired")
        return self._of(key, headers)

    def _of(self, key: ApiKey, headers: Headers) -> Visitor:
        """Raises: `Problem` 403 when the key may not name the user that it names."""
        may, until = frozenset(key.scopes), key.expires_at.timestamp()
        if "act-for-users" not in may:
            if any(name in headers for name in self._users):
                raise Problem("forbidden", "this key may not name a user")
            return Visitor(MACHINES + key.name, key.name, until=until, may=may)
        named = headers.getlist(key.user_header)
        if not named:
            return Visitor("", key.name, until=until, may=may, lacks=key.user_header)
        user_id = f"{key.prefix}.{named[0]}" if key.prefix else named[0]
        if len(named) > 1 or not re.fullmatch(USER_ID_PATTERN, user_id) or is_reserved(user_id):
            raise Problem("forbidden", f"{key.user_header}: one user id, of letters, digits and _.@-")
        return Visitor(user_id, until=until, may=may)

    async def _find(self, digest: str) -> ApiKey | None:
        known, now = self._known.get(digest), time.monotonic()
        if known is not None and now - known.at < self._seconds:
            return known.key
        try:
            key = await (self._ask_of_unknown(digest) if known is None else self._ask(digest))
        except Problem as problem:
            if known is None or now - known.at > AWAY_SECONDS:
                raise Problem("unavailable") from problem
            return known.key
        self._note(digest, key, now)
        return key

    def _note(self, digest: str, key: ApiKey | None, now: float) -> None:
        """Only good keys are kept: whoever tries others makes none of them forgotten."""
        self._known.pop(digest, None)
        if key is not None:
            self._known[digest] = Known(key, now)
        if len(self._known) > KEPT_KEYS:
            self._known.popitem(last=False)

    async def _ask_of_unknown(self, digest: str) -> ApiKey | None:
        """Raises: `Problem` when too many are asked for: whoever tries keys slows nobody whose key is known."""
        if self._asking >= ASKED_AT_A_TIME:
            raise Problem("unavailable")
        self._asking += 1
        try:
            return await self._ask(digest)
        finally:
            self._asking -= 1

    async def _ask(self, digest: str) -> ApiKey | None:
        """Raises: `Problem` when nobody answers."""
        try:
            told = await self._rooms.ask("/api-keys", self._signer.token(_ITSELF, FOR_KEYS), KeyQuery(digest=digest))
        except Problem as problem:
            if problem.code != "not_found":
                raise
            return None
        return ApiKey.model_validate(told)
