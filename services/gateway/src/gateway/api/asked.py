"""What a request says: who asks, with which key, and a body that is what it must be."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from gateway.callers import ASKS, MACHINES, Visitor
from gateway.parts import Parts, parts_of
from gateway.problems import KINDS, MEDIA_TYPE, TYPE, Problem
from runtime.checked import MAX_BODY_BYTES, parse
from runtime.errors import Refused

Body = TypeVar("Body", bound=BaseModel)

API = "/api/v1"
"""Before every address of the API, in the routes themselves: they are what metrics and logs name."""
MAX_CHAT_BYTES = 1024 * 1024
"""Of a request of a chat client, which sends all that was said before every time."""

_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_BEARER = HTTPBearer(
    auto_error=False,
    description="A JWT of your identity provider, or the API key of a machine; in a demo, one of"
    " `GET /api/v1/demo/customers`",
)

Here = Annotated[Parts, Depends(parts_of)]
ConversationId = Annotated[
    str, Path(alias="id", description="As `POST /conversations` said.", examples=["conv_0123456789abcdef"])
]
QuestionId = Annotated[str, Path(alias="id", description="As `POST /questions` said.", examples=["q_0123456789abcdef"])]
TicketId = Annotated[str, Path(alias="id", examples=["TCK-000001"])]

CONVERSATION = re.compile(r"conv_[A-Za-z0-9]{16,64}")
QUESTION = re.compile(r"q_[0-9a-f]{32}")
TICKET = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def who_asks(request: Request, here: Here) -> Visitor:
    """Raises: `Problem` 403 for a machine that names no user, or may not do this; else as `who_knocks`."""
    visitor = await who_knocks(request, here)
    if visitor.lacks:
        raise Problem("forbidden", f"{visitor.lacks}: name the user for whom you ask")
    if request.method not in ("GET", "HEAD") and not visitor.may & ASKS:
        raise Problem("forbidden", "this key may only read")
    return visitor


async def who_knocks(request: Request, here: Here) -> Visitor:
    """Whoever is known; a machine need not say for whom it asks. Raises: `Problem` 401 for whoever nobody knows, 429
    for whoever asks too much."""
    visitor = await here.doors.visitor(request.headers)
    request.state.limits = await here.limits.take(visitor.user_id or MACHINES + visitor.name)
    return visitor


Who = Annotated[Visitor, Depends(who_asks)]
Known = Annotated[Visitor, Depends(who_knocks)]
SIGNED_IN = Security(_BEARER)


async def idempotency_key(request: Request) -> str | None:
    """What the client names this request by. Raises: `Problem` for what cannot be a name."""
    told = request.headers.getlist("idempotency-key")
    if not told:
        return None
    if len(told) > 1 or not _KEY.fullmatch(told[0]):
        raise Problem(
            "invalid_header", "Idempotency-Key: 1 to 128 visible characters of ASCII", field="Idempotency-Key"
        )
    return told[0]


Key = Annotated[str | None, Depends(idempotency_key)]


def body_of(model: type[Body], most_bytes: int = MAX_BODY_BYTES) -> Callable[[Request], Awaitable[Body]]:
    """Reads a body as strictly as JSON allows. Raises: `Problem` that names the field."""

    async def read(request: Request) -> Body:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if body and kind != "application/json":
            raise Problem("wrong_media_type")
        try:
            return parse(model, body, most_bytes)
        except Refused as refused:
            raise Problem(refused.code, refused.message, field=(refused.metadata or {}).get("field")) from None

    return read


def is_named(pattern: re.Pattern[str], name: str) -> str:
    """Raises: `Problem` 404 for what can be the name of nothing."""
    if not pattern.fullmatch(name):
        raise Problem("not_found")
    return name


def described(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The body and the key of a route, for the OpenAPI document."""
    body = {"required": required, "content": {"application/json": {"schema": model.model_json_schema()}}}
    return {"requestBody": body, "parameters": [KEY_PARAMETER]}


KEY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of yours for this request, 1 to 128 visible characters of ASCII, so that it may be sent"
    " again: it is done once. The same key with another body is refused with 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x21-\\x7e]+$"},
    "example": "6f1c2d1e-3b7a-4f8e-9d0a-6a1f0f5b2c11",
}


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, for the OpenAPI document, by status."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {status: _problem(names) for status, names in by_status.items()}


def _problem(codes: list[str]) -> dict[str, Any]:
    example = Problem(codes[0]).document("req_0123456789abcdef0123456789abcdef")
    schema = {"$ref": "#/components/schemas/Problem"}
    titles = "; ".join(f"`{TYPE}{code}`: {KINDS[code].title}" for code in codes)
    return {"description": titles, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


COMMON = (
    "caller_unknown",
    "token_invalid",
    "token_expired",
    "forbidden",
    "invalid_address",
    "not_found",
    "address_too_long",
    "too_many",
    "too_many_headers",
    "failed",
    "given_up",
    "unavailable",
)
"""Of every route."""
BODY = (
    "empty_body",
    "invalid_json",
    "duplicate_key",
    "too_deep",
    "invalid_header",
    "body_too_slow",
    "too_large",
    "wrong_media_type",
    "invalid_request",
    "invalid_text",
    "key_reused",
)
