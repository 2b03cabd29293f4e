"""What changes in what a page shows, for its script: events that name what to fetch anew, and who else looks."""

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.following import Following, Onlooker, TooMany
from console.members import Member
from console.parts import Parts
from console.visible import plain
from console.visits import parts_of

TOPIC = re.compile(r"(wait|approval|ticket|conversation|run)(:[A-Za-z0-9_-]{1,80})?", re.ASCII)
MOST_TOPICS = 8
HEARTBEAT_SECONDS = 10.0
"""Also how long a page may follow a session that is over, without being told anything."""
RETRY_MS = 1000


def routes() -> list[Route]:
    return [Route("/changes", follow, methods=["GET"])]


async def follow(request: Request) -> Response:
    """Whoever is not signed in, or has no role, gets nothing. While no room tells, pages look by themselves."""
    parts = parts_of(request)
    session = parts.sessions.read(request)
    if session is None:
        return Response(status_code=401)
    request.state.member = session.member.name
    topics = frozenset(request.query_params.getlist("on"))
    if not 0 < len(topics) <= MOST_TOPICS or not all(map(TOPIC.fullmatch, topics)):
        return Response(status_code=422)
    if not parts.following.is_on or parts.following.leaving:
        return Response(status_code=503, headers={"Retry-After": "5"})
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    cookie = request.cookies.get(parts.sessions.cookie, "")
    frames = _frames(parts, cookie, topics, session.member, after)
    return StreamingResponse(frames, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")


async def _frames(
    parts: Parts, cookie: str, topics: frozenset[str], member: Member, after: str
) -> AsyncGenerator[bytes]:
    try:
        with parts.following.looking(topics, member, after) as onlooker:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while True:
                over = "signed_out" if parts.sessions.parse(cookie) is None else _over(parts.following)
                if over:
                    yield _end(over)
                    return
                yield _told(onlooker)
                await _next(onlooker)
    except TooMany:
        yield _end("too_many")


def _over(following: Following) -> str:
    return "restart" if following.leaving else "" if following.is_on else "away"


async def _next(onlooker: Onlooker) -> None:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await onlooker.woken.wait()
    except TimeoutError:
        pass


def _told(onlooker: Onlooker) -> bytes:
    """The last frame names the place after all of them; where nothing is new, a heartbeat."""
    changes, place, is_lost, looking = onlooker.told()
    frames = [_frame("looking", {"on": on, "who": [plain(each) for each in who]}) for on, who in looking.items()]
    frames += [_frame("all", {})] if is_lost else [_frame("change", each._asdict()) for each in changes]
    if is_lost or changes:
        frames[-1] = f"id: {place}\n".encode() + frames[-1]
    return b"".join(frames) or b":\n\n"


def _frame(event: str, data: dict[str, object]) -> bytes:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()


def _end(reason: str) -> bytes:
    return f"retry: {RETRY_MS + random.randrange(RETRY_MS)}\n".encode() + _frame("end", {"reason": reason})
