"""What a request says: the key that names it, a body that is what it must be; and what the document tells of both."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from runtime.api.problems import KINDS, MEDIA_TYPE, TYPE, Problem
from runtime.checked import MAX_BODY_BYTES, parse
from runtime.errors import Refused

Body = TypeVar("Body", bound=BaseModel)

API = "/api/v1"
"""Before every address of an API, in the routes themselves: they are what metrics and logs name."""

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


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


def optional_body_of(model: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """The same of a body that may be left out, where every field may."""

    async def read(request: Request) -> Body:
        return await body_of(model)(request) if await request.body() else model()

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
