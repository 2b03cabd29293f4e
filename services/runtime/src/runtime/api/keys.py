"""API keys, as a door reads them: who keeps them is asked for each, and believed for some seconds."""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from runtime.api.problems import Problem

AWAY_SECONDS = 300.0
"""For how long a key that was good is believed while nobody can be asked."""
KEPT_KEYS = 10_000
ASKED_AT_A_TIME = 20


class Expiring(Protocol):
    @property
    def expires_at(self) -> datetime: ...


Key = TypeVar("Key", bound=Expiring)


@dataclass
class Known(Generic[Key]):
    """What was told of a key that is good, and when."""

    key: Key
    at: float


class Keys(Generic[Key]):
    """Keys that begin with `start`. `ask` tells what a key is whose digest is given, None for one that is not good, and
    raises `Problem` when nobody answers; what it told is believed for `seconds`."""

    def __init__(self, start: str, ask: Callable[[str], Awaitable[Key | None]], seconds: float) -> None:
        self._shape = re.compile(start + r"[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
        self._ask, self._seconds = ask, seconds
        self._known: OrderedDict[str, Known[Key]] = OrderedDict()
        self._asking = 0

    async def read(self, token: str) -> Key:
        """The key that this is. Raises: `Problem` 401 for one that is not good, 503 when nobody can tell."""
        if not self._shape.fullmatch(token):
            raise Problem("token_invalid")
        key = await self._find(hashlib.sha256(token.encode()).hexdigest())
        if key is None:
            raise Problem("token_invalid")
        if key.expires_at.timestamp() <= time.time():
            raise Problem("token_expired")
        return key

    async def _find(self, digest: str) -> Key | None:
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

    def _note(self, digest: str, key: Key | None, now: float) -> None:
        """Only good keys are kept: whoever tries others makes none of them forgotten."""
        self._known.pop(digest, None)
        if key is not None:
            self._known[digest] = Known(key, now)
        if len(self._known) > KEPT_KEYS:
            self._known.popitem(last=False)

    async def _ask_of_unknown(self, digest: str) -> Key | None:
        """Raises: `Problem` when too many are asked for: whoever tries keys slows nobody whose key is known."""
        if self._asking >= ASKED_AT_A_TIME:
            raise Problem("unavailable")
        self._asking += 1
        try:
            return await self._ask(digest)
        finally:
            self._asking -= 1
