"""Conversations: opened, spoken in, watched, read, given out and removed."""

from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from contracts import Disposition, History, ListPage
from gateway.api.asked import CONVERSATION, SIGNED_IN, ConversationId, Here, Who
from gateway.api.shapes import Conversation, Conversations, Disposed, Line, Listed, Opened, Opening, Said
from gateway.events import Stream, Watched
from gateway.names import fresh
from runtime.api.asked import API, BODY, COMMON, Key, body_of, described, is_named, optional_body_of, problems
from runtime.api.problems import Problem
from runtime.proof import FOR_THE_LIST, for_conversation

PATH = f"{API}/conversations"
MAX_PLACE_CHARACTERS = 200

EVENT = 'id: 1\nevent: input\ndata: {"body": {"position": 1, "type": "message", "text": "My API calls fail."}}\n\n'
EXPORT: dict[str, Any] = {
    "conversation": "conv_0123456789abcdef0123456789abcdef",
    "user_id": "user_12345",
    "opened_at": "2026-01-02T03:04:05Z",
    "changed_at": "2026-01-02T03:04:05Z",
    **{name: [] for name in ("entries", "runs", "events", "approvals", "effects", "summaries", "tickets")},
}

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"example": EVENT}}},
}

router = APIRouter(prefix=API, tags=["conversations"], dependencies=[SIGNED_IN])


@router.post(
    "/conversations",
    status_code=201,
    responses=problems(*BODY, *COMMON),
    openapi_extra=described(Opening, required=False),
    summary="Open a conversation",
)
async def open_one(
    response: Response, here: Here, who: Who, key: Key, _: Annotated[Opening, Depends(optional_body_of(Opening))]
) -> Opened:
    """Say something in it by `POST /conversations/{id}/inputs`."""
    conversation = f"conv_{here.names.of_request(who.user_id, 'POST', PATH, key) if key else fresh()}"
    token = here.token(who, for_conversation(conversation))
    opened = await here.restate.call(f"Conversation/{conversation}/open", {"caller_token": token})
    if key and opened.get("repeated"):
        response.headers["Idempotency-Replayed"] = "true"
    response.headers["Location"] = f"{PATH}/{conversation}"
    return Opened(id=conversation)


@router.get("/conversations", responses=problems(*COMMON, "invalid_request"), summary="List your conversations")
async def list_them(
    here: Here,
    who: Who,
    after: Annotated[
        str | None,
        Query(max_length=MAX_PLACE_CHARACTERS, description="`next` of the page before.", examples=["a place"]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, examples=[50])] = 50,
) -> Conversations:
    """The latest word first."""
    query = {"limit": str(limit)} | ({"after": after} if after else {})
    page = ListPage.model_validate(await here.rooms.read("/conversations", here.token(who, FOR_THE_LIST), query))
    listed = [Listed(id=each.conversation, **each.model_dump(exclude={"conversation"})) for each in page.conversations]
    return Conversations(conversations=listed, next=page.next)


@router.get(
    "/conversations/{id}",
    responses=problems(*COMMON, "invalid_request"),
    summary="Read a conversation",
)
async def read(
    here: Here,
    who: Who,
    conversation: ConversationId,
    after: Annotated[
        int, Query(ge=0, le=2**53, description="The position behind which the page begins.", examples=[0])
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=200, examples=[50])] = 50,
) -> Conversation:
    """What was said and done in it, in order."""
    token = here.token(who, for_conversation(is_named(CONVERSATION, conversation)))
    query = {"after": str(after), "limit": str(limit)}
    page = History.model_validate(await here.rooms.read(f"/conversations/{conversation}", token, query))
    return Conversation(
        id=conversation, messages=[Line.model_validate(each.model_dump()) for each in page.entries], next=page.next
    )


@router.post(
    "/conversations/{id}/inputs",
    status_code=202,
    responses=problems(*BODY, *COMMON, "busy", "run_changed", "queue_full"),
    openapi_extra=described(Said),
    summary="Say something, or stop what runs",
)
async def say(
    response: Response,
    here: Here,
    who: Who,
    conversation: ConversationId,
    key: Key,
    said: Annotated[Said, Depends(body_of(Said))],
) -> Disposed:
    """Tells at once what becomes of it; the answer comes as an event."""
    path = f"{PATH}/{is_named(CONVERSATION, conversation)}/inputs"
    if said.type == "message" and not said.text.strip():
        raise Problem("invalid_request", "text: it says nothing", field="text")
    if said.type == "stop" and said.text:
        raise Problem("invalid_request", "text: a stop has no text", field="text")
    name = f"key_{here.names.of_request(who.user_id, 'POST', path, key)}" if key else said.input_id or fresh()
    sent = said.model_dump(exclude={"input_id"}, exclude_none=True) | {
        "input_id": name,
        "opens": False,
        "tells_repeats": True,
    }
    token = here.token(who, for_conversation(conversation))
    told = await here.restate.call(f"Conversation/{conversation}/input", {**sent, "caller_token": token})
    disposition = Disposition.model_validate(told)
    if disposition.repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return Disposed(**disposition.model_dump(exclude={"repeated", "event"}))


@router.get(
    "/conversations/{id}/events",
    response_class=StreamingResponse,
    responses=STREAM | problems(*COMMON, "invalid_request"),
    openapi_extra={
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "description": "The `id` of the last event that came: goes on behind it.",
                "schema": {"type": "string", "maxLength": MAX_PLACE_CHARACTERS},
                "example": "17",
            }
        ]
    },
    summary="Watch a conversation",
)
async def watch(request: Request, here: Here, who: Who, conversation: ConversationId) -> Response:
    """What happens in it, as it happens, from its beginning or behind an event."""
    after = request.headers.get("last-event-id", "")
    if len(after) > MAX_PLACE_CHARACTERS or not after.isprintable() or not after.isascii():
        raise Problem("invalid_request", "Last-Event-ID: no id of an event", field="Last-Event-ID")
    token = here.token(who, for_conversation(is_named(CONVERSATION, conversation)))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.limits.held("streams", who.user_id))
        opened = Stream.opened(here.rooms, conversation, token, after, who.until, here.leaving)
        stream = await stack.enter_async_context(opened)
        kept = stack.pop_all()
    return Watched(stream.frames(), kept)


@router.delete(
    "/conversations/{id}",
    status_code=204,
    responses=problems(*COMMON),
    summary="Delete a conversation",
)
async def remove(here: Here, who: Who, conversation: ConversationId) -> None:
    """Removes what was said, for good. Tickets stay."""
    token = here.token(who, for_conversation(is_named(CONVERSATION, conversation)))
    await here.restate.call(f"Conversation/{conversation}/remove", {"caller_token": token})


@router.get(
    "/conversations/{id}/export",
    responses={200: {"content": {"application/json": {"example": EXPORT}}}} | problems(*COMMON),
    summary="Download a conversation",
)
async def export(response: Response, here: Here, who: Who, conversation: ConversationId) -> dict[str, Any]:
    """All that is kept of it."""
    token = here.token(who, for_conversation(is_named(CONVERSATION, conversation)))
    response.headers["Content-Disposition"] = f'attachment; filename="{conversation}.json"'
    return await here.rooms.read(f"/conversations/{conversation}/export", token, {})
