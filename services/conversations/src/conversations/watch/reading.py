"""What a customer reads of their conversations: the list, the transcript, all that is kept. No journal is told."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts import USER_ID, Caller, KeyQuery
from conversations.api_keys import find_api_key
from conversations.settings import ConversationSettings
from conversations.store import HIDDEN, ConversationStore, Export, Place
from runtime.errors import Refused
from runtime.proof import FOR_KEYS, FOR_THE_LIST, for_conversation, prove

ID = "{id:conv_[A-Za-z0-9]{16,64}}"
MOST_LINES = 200
MOST_LISTED = 100


class Reader(BaseModel):
    """Who wants to read: a caller token, or a plain user id where that is trusted."""

    model_config = ConfigDict(frozen=True)

    user_id: USER_ID | None = None
    caller_token: str | None = Field(default=None, max_length=4096)

    @classmethod
    def of(cls, request: web.Request) -> "Reader":
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        told = token.strip() if kind.lower() == "bearer" else None
        try:
            return cls(user_id=request.headers.get("X-User-Id"), caller_token=told)
        except ValidationError:
            raise Refused(401, "caller_unknown", "say who asks: Authorization: Bearer <caller_token>") from None


async def reader(request: web.Request, settings: ConversationSettings, purpose: str) -> Caller:
    """Raises: `Refused` 401 when the caller is not proven, for this purpose and at this moment."""
    now = time.time()

    async def accepted_at() -> float:
        return now

    return await prove(Reader.of(request), settings, now, accepted_at, purpose)


class Reading:
    """Answers readers, each with what the database shows to them."""

    def __init__(self, store: ConversationStore, settings: ConversationSettings) -> None:
        self._store = store
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        pages: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "/conversations": self.list,
            f"/conversations/{ID}": self.history,
            f"/conversations/{ID}/export": self.export,
        }
        return [*(web.get(path, answer) for path, answer in pages.items()), web.post("/api-keys", self.key)]

    async def list(self, request: web.Request) -> web.Response:
        caller = await reader(request, self._settings, FOR_THE_LIST)
        told = request.query.get("after")
        try:
            before = Place.read(told) if told else None
        except ValueError:
            raise Refused(422, "invalid_place", "after is the next of a page", "after") from None
        return _json(await self._store.of_customer(caller, before, _number(request, "limit", 50, 1, MOST_LISTED)))

    async def key(self, request: web.Request) -> web.Response:
        """Whether a key is good, for the gateway. Whoever asks must know the digest of the key."""
        await reader(request, self._settings, FOR_KEYS)
        return key_told(await find_api_key(self._store.pool, await digest_asked(request)))

    async def history(self, request: web.Request) -> web.Response:
        conversation = request.match_info["id"]
        caller = await reader(request, self._settings, for_conversation(conversation))
        after, limit = _number(request, "after", 0, 0, 2**53), _number(request, "limit", 50, 1, MOST_LINES)
        return _json(await self._store.history(conversation, caller, after, limit))

    async def export(self, request: web.Request) -> web.Response:
        conversation = request.match_info["id"]
        caller = await reader(request, self._settings, for_conversation(conversation))
        return _json(shown_to_customer(await self._store.export(conversation, caller)))


OF_STAFF = frozenset({"stop_id", "stopped_by", "stopped_why"})
"""Of a run, what is for staff alone."""


def shown_to_customer(export: Export) -> Export:
    """Without what is for staff alone, and without the names of staff."""
    kinds, names = HIDDEN
    entries = [each for each in export.entries if each["kind"] not in kinds]
    runs = [{name: each for name, each in run.items() if name not in OF_STAFF} for run in export.runs]
    told = {"entries": entries, "events": export.events}
    return export.model_copy(
        update={"runs": runs, "steps": []}
        | {
            name: [
                {**line, "body": {key: each for key, each in line["body"].items() if key not in names}}
                for line in lines
            ]
            for name, lines in told.items()
        }
    )


async def digest_asked(request: web.Request) -> bytes:
    """Of which key somebody wants to know whether it is good. Raises: `Refused` 422."""
    try:
        return bytes.fromhex(KeyQuery.model_validate_json(await request.read()).digest)
    except ValidationError:
        raise Refused(422, "invalid_request", "digest: 64 hexadecimal digits", "digest") from None


def key_told(found: BaseModel | None) -> web.Response:
    """Raises: `Refused` 404 for a key that is not good."""
    if found is None:
        raise Refused(404, "unknown_key", "there is no such key")
    return _json(found)


def _number(request: web.Request, name: str, usual: int, least: int, most: int) -> int:
    told = request.query.get(name, str(usual))
    if not (told.isascii() and told.isdecimal() and len(told) < 20 and least <= int(told) <= most):
        raise Refused(422, "invalid_request", f"{name}: a number from {least} to {most}", name)
    return int(told)


def _json(told: BaseModel) -> web.Response:
    return web.Response(body=told.model_dump_json().encode(), content_type="application/json")
