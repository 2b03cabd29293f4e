"""What a console asks: which conversations, waits and approvals have changed, so that it fetches them anew; and whether
an API key is good."""

import asyncio
import json
import time
from collections.abc import Mapping

from aiohttp import web

from conversations.settings import ConversationSettings
from conversations.staff_keys import find_staff_key
from conversations.watch.changes import ChangeHub, News, Seen, Watcher
from conversations.watch.reading import digest_asked, key_told
from conversations.watch.sending import RETRY_MS, begin, break_off, end, wait, write
from runtime.errors import Refused
from runtime.postgres import Pool
from runtime.proof import prove_staff

ROLES = frozenset({"agent", "approver", "admin"})
"""Who may read at the desk."""


class DeskWatching:
    def __init__(self, hub: ChangeHub, settings: ConversationSettings, pool: Pool) -> None:
        self._hub = hub
        self._settings = settings
        self._pool = pool

    async def key(self, request: web.Request) -> web.Response:
        """Whether a key of the staff's tools is good. Whoever asks must know the digest of the key."""
        await self._let_in(request)
        return key_told(await find_staff_key(self._pool, await digest_asked(request)))

    async def watch(self, request: web.Request) -> web.StreamResponse:
        await self._let_in(request)
        after = _after(request)
        async with self._hub.watching(after) as watcher:
            response = await begin(request)
            try:
                await self._stream(response, watcher, after or watcher.seen)
            except (OSError, TimeoutError):
                break_off(request)
        return response

    async def _let_in(self, request: web.Request) -> None:
        """Raises: `Refused` 401 for who is no member of staff, 403 for one without a role at the desk."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        now = time.time()

        async def accepted_at() -> float:
            return now

        staff = await prove_staff(token.strip() if kind.lower() == "bearer" else "", self._settings, now, accepted_at)
        if not ROLES & set(staff.roles):
            raise Refused(403, "staff_role", "this needs a role at the desk")

    async def _stream(self, response: web.StreamResponse, watcher: Watcher, seen: Seen) -> None:
        """The first frame tells where the watcher is when the stream begins."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._settings.watch_seconds
        await write(response, f"retry: {RETRY_MS}\n\n".encode() + _frame("here", {}, seen))
        while True:
            news = watcher.told()
            if news.changes or not news.is_whole:
                await write(response, _frames(news))
            elif self._hub.ending or clock() > until:
                await end(response, "restart" if self._hub.ending else "renew")
                return
            else:
                await wait(response, watcher.changed)


def _frames(news: News) -> bytes:
    """Only the last names the place after all of them: who has read less asks for all of them again."""
    if not news.is_whole:
        return _frame("all", {}, news.seen)
    *before, last = news.changes
    return b"".join(_frame("change", each._asdict()) for each in before) + _frame("change", last._asdict(), news.seen)


def _frame(event: str, data: Mapping[str, object], seen: Seen | None = None) -> bytes:
    named = f"id: {seen}\n" if seen else ""
    return f"{named}event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def _after(request: web.Request) -> Seen | None:
    told = request.headers.get("Last-Event-ID")
    try:
        return Seen.read(told) if told else None
    except ValueError:
        raise Refused(422, "invalid_place", "Last-Event-ID is the id of a frame", "Last-Event-ID") from None
