"""Checked input: a handler never sees an invalid value, and a client gets 4xx with code and field.

The SDK parses input before the handler runs and turns every failure into a 500 that repeats the input, so the bytes
are taken as they are (`RAW`) and parsed inside the handler, where a `Refused` keeps its status.
"""

import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from restate import TerminalError
from restate.serde import Serde

from runtime.bounded import MAX_DEPTH, is_too_deep, is_utf8, texts
from runtime.errors import Refused
from runtime.telemetry.metrics import SHARED, is_live
from runtime.telemetry.tracing import below_caller

Input = TypeVar("Input", bound=BaseModel)
Output = TypeVar("Output")

MAX_BODY_BYTES = 64 * 1024
MAX_OWN_BODY_BYTES = 8 * 1024 * 1024
"""Of what one room of ours sends to another: a conversation's past, an answer as long as a model can write it."""

_attempts = SHARED.counter("switchboard_attempts_total")
_refusals = SHARED.counter("switchboard_refusals_total")


class _Raw(Serde[Any]):
    """Bytes in, as they came; models out, for typed calls of a checked handler."""

    def deserialize(self, buf: bytes) -> bytes:
        return bytes(buf)

    def serialize(self, obj: BaseModel | None) -> bytes:
        return b"" if obj is None else obj.model_dump_json(exclude_none=True).encode()


RAW = _Raw()


def checked(
    handler: Callable[[Any, Input], Awaitable[Output]], most_bytes: int = MAX_BODY_BYTES
) -> Callable[[Any, Input], Awaitable[Output]]:
    """Parse and validate the second argument of `handler` as strictly as JSON allows.

    Use it below `@service.handler(input_serde=RAW)`. The published schema is that of the annotated model.

    Raises (in the handler): `Refused` 400 for what is no JSON or nested too deep, 413 for a body over `most_bytes`,
    422 for a wrong value.
    """
    model = list(inspect.signature(handler, eval_str=True).parameters.values())[1].annotation

    @functools.wraps(handler)
    async def run(ctx: Any, body: Any) -> Output:
        target = (ctx.handler.service_tag.name, ctx.handler.name)
        _attempts.labels(*target).inc()
        try:
            with below_caller(ctx):
                return await handler(ctx, parse(model, body, most_bytes))
        except TerminalError as error:  # what a step refused comes back as this, with the code of its `Refused`
            code = (error.metadata or {}).get("code")
            if code and is_live():
                _refusals.labels(*target, code).inc()
            raise

    return run


def checked_own(
    handler: Callable[[Any, Input], Awaitable[Output]],
) -> Callable[[Any, Input], Awaitable[Output]]:
    """The same for a private handler that only rooms of ours call: what they send is larger."""
    return checked(handler, MAX_OWN_BODY_BYTES)


def parse(model: type[Input], body: bytes, most_bytes: int = MAX_BODY_BYTES) -> Input:
    """One JSON object as `model`; every way in which it can be wrong is a `Refused` that names the field."""
    if len(body) > most_bytes:
        raise Refused(413, "too_large", f"the body is larger than {most_bytes} bytes")
    value = _load(body)
    if not isinstance(value, dict):
        raise Refused(422, "invalid_request", "the body must be a JSON object")
    if is_too_deep(value):
        raise Refused(400, "too_deep", f"the body is nested more than {MAX_DEPTH} levels deep")
    if b"\\u" in body:
        _check_escapes(value)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None


def _check_escapes(value: Any) -> None:
    """An escape says what bytes of UTF-8 cannot, or what PostgreSQL cannot hold."""
    for text in texts(value):
        if not is_utf8(text):
            raise Refused(400, "invalid_json", "the body is not valid JSON in UTF-8: a surrogate stands alone")
        if "\0" in text:
            raise Refused(422, "invalid_text", "NUL characters are not text")


def _refusal(error: ValidationError) -> Refused:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if problem["type"] == "extra_forbidden":  # its location is a name that the client made up
        return Refused(422, "invalid_request", "body: it has a field that is not known here")
    field = ".".join(str(part) for part in problem["loc"]) or None
    message = problem["msg"].removeprefix("Value error, ")
    return Refused(422, "invalid_request", f"{field or 'body'}: {message}", field)


def _load(body: bytes) -> Any:
    if not body:
        raise Refused(400, "empty_body", "the body is empty; send a JSON object with content-type application/json")
    try:
        return json.loads(body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_json", "the body is not valid JSON in UTF-8") from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Refused(400, "duplicate_key", "a key occurs twice in one JSON object")
    return value


def _no_constant(_: str) -> NoReturn:
    raise Refused(422, "invalid_request", "NaN and Infinity are not JSON")
