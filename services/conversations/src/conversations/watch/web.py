"""The port for who watches and reads: for the gateway and the console, never for the internet."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web
from restate import TerminalError
from restate.exceptions import RetryableError

from conversations.settings import ConversationSettings
from conversations.store import ConversationStore, unknown_conversation
from conversations.watch.changes import ChangeHub
from conversations.watch.desk import DeskWatching
from conversations.watch.hub import Hub, TooMany, Watched
from conversations.watch.log import Asked
from conversations.watch.place import Line, Place, Text, frames_of
from conversations.watch.reading import ID, Reading, reader
from conversations.watch.sending import RETRY_MS, begin, break_off, end, wait, write
from runtime.errors import Refused
from runtime.postgres import UNUSABLE
from runtime.proof import for_conversation
from runtime.serving import at_the_end
from runtime.telemetry.logs import get_logger
from runtime.terminal import leave

log = get_logger(__name__)


class Watching:
    """Answers watchers."""

    def __init__(self, hub: Hub, settings: ConversationSettings) -> None:
        self._hub = hub
        self._settings = settings

    def application(self, reading: Reading, desk: DeskWatching) -> web.Application:
        application = web.Application(middlewares=[_refusals])
        application.add_routes(
            [
                web.get(rf"/conversations/{ID}/events", self.watch),
                web.get("/desk/events", desk.watch),
                web.post("/desk/keys", desk.key),
                *reading.routes(),
                web.get("/health", _health),
            ]
        )
        return application

    async def watch(self, request: web.Request) -> web.StreamResponse:
        conversation, place = request.match_info["id"], _place(request)
        user_id = (await reader(request, self._settings, for_conversation(conversation))).user_id
        end = await self._hub.events.end(conversation, user_id)
        if end is None:
            raise unknown_conversation()
        if place.position > end:  # of a log that is no more
            place = Place()
        with self._hub.watching(conversation, user_id, place) as watched:
            response = await begin(request)
            try:
                await self._stream(response, watched, place)
            except (OSError, TimeoutError, RetryableError):
                break_off(request)
        return response

    async def _stream(self, response: web.StreamResponse, watched: Watched, place: Place) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._settings.watch_seconds
        await write(response, f"retry: {RETRY_MS}\n\n".encode())
        while True:
            changed = watched.changed
            place, lines, text = await self._next(watched, place)
            frames, place = frames_of(place, lines, text)
            if frames:
                await write(response, frames)
            elif self._hub.ending or watched.gone or clock() > until:
                reason = "restart" if self._hub.ending else "gone" if watched.gone else "renew"
                await end(response, reason)
                return
            else:
                await wait(response, changed)

    async def _next(self, watched: Watched, place: Place) -> tuple[Place, list[Line], Text | None]:
        """What follows on a place, from the database where it is not here any more. What is not even there is over."""
        here = watched.after(place)
        if here is not None:
            return (place, *here)
        asked = Asked(watched.conversation, watched.user_id, place.position)
        news = (await self._hub.events.news([asked])).get(0)
        if news is None or not news.lines:
            return Place(watched.asked.after), [], None
        return place, news.lines, None


@asynccontextmanager
async def serve_watchers(
    settings: ConversationSettings, hub: Hub, changes: ChangeHub, store: ConversationStore
) -> AsyncGenerator[None]:
    """Answer until the end, or until SIGTERM: then each watcher is told to come again, and nobody is let in."""
    runner = web.AppRunner(
        Watching(hub, settings).application(Reading(store, settings), DeskWatching(changes, settings, store.pool)),
        access_log=None,
        shutdown_timeout=1,
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.watch_port, backlog=1024)
        await site.start()
    except OSError as error:
        leave(f"setting WATCH_PORT: cannot listen on {settings.host}:{settings.watch_port}: {error.strerror}")
    log.info("watchers_served", extra={"port": settings.watch_port})
    leaving: list[asyncio.Task[None]] = []

    def leave_all() -> None:
        hub.end()
        changes.end()
        leaving.append(asyncio.create_task(site.stop()))

    at_the_end(leave_all)
    forgetting = asyncio.create_task(hub.forget(timedelta(hours=settings.events_hours), changes.log.forget))
    try:
        yield
    finally:
        forgetting.cancel()
        hub.end()
        changes.end()
        await runner.cleanup()


def _place(request: web.Request) -> Place:
    told = request.headers.get("Last-Event-ID") or request.query.get("after")
    try:
        return Place.read(told) if told else Place()
    except ValueError:
        raise Refused(422, "invalid_place", "Last-Event-ID is the id of a frame", "Last-Event-ID") from None


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="up")


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _no(refused.status_code, refused.code, refused.message)
    except TooMany as many:
        return _no(429, "too_many_watchers", "you watch too much") if many.of_caller else _full()
    except (RetryableError, TerminalError, *UNUSABLE):
        return _no(503, "database_away", "come again in a moment")


def _full() -> web.Response:
    return _no(503, "full", "no more watchers are let in here: come again in a moment")


def _no(status: int, code: str, message: str) -> web.Response:
    response = web.json_response({"code": code, "message": message}, status=status)
    if status in (429, 503):
        response.headers["Retry-After"] = "2"
    return response
