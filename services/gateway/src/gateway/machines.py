"""The door for machines, such as an operator's own backend or a chat UI: by an API key, which the conversations know.

A key with the scope `act-for-users` names in a header for whom it asks; any other is a caller of its own, and may name
nobody. What is known of a key is good for some seconds, so that one that is revoked soon opens nothing.
"""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers

from contracts import USER_ID_PATTERN, ApiKey, KeyQuery
from gateway.callers import MACHINES, Visitor, is_reserved
from gateway.reading import Conversations
from gateway.signing import Signer
from runtime.api.keys import Keys
from runtime.api.problems import Problem
from runtime.proof import FOR_KEYS

START = "sb_"
_ITSELF = Visitor("gateway")


class KeyDoor:
    """Lets in whoever has a key. `users` are headers in which a user may be named: a key that may not act for users is
    refused with any of them, or all users of a chat UI would be one. What is known is believed for `seconds`."""

    def __init__(self, rooms: Conversations, signer: Signer, users: Sequence[str], seconds: float) -> None:
        self._rooms, self._signer, self._users = rooms, signer, users
        self._keys = Keys(START, self._ask, seconds)

    async def visitor(self, token: str, headers: Headers) -> Visitor | None:
        if not token.startswith(START):
            return None
        return self._of(await self._keys.read(token), headers)

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

    async def _ask(self, digest: str) -> ApiKey | None:
        """Raises: `Problem` when nobody answers."""
        try:
            told = await self._rooms.ask("/api-keys", self._signer.token(_ITSELF, FOR_KEYS), KeyQuery(digest=digest))
        except Problem as problem:
            if problem.code != "not_found":
                raise
            return None
        return ApiKey.model_validate(told)
