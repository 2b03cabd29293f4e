"""Faults: every way in which a model's reply goes wrong, as data, and the few manners of sending one."""

import asyncio
import copy
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from demo_model.double.malformed import generate
from demo_model.wire.replies import Completion, chunks, encode, error_event

Params = dict[str, Any]
Manner = Literal["whole", "reset", "half", "early_end", "stall", "error", "hang", "drip"]

_JSON = {"Content-Type": "application/json"}
_HANG_SECONDS = 3600.0
_DRIP_SECONDS = 0.1
_HUGE_CHARACTERS = 2_000_000


@dataclass(frozen=True, slots=True)
class Wire:
    """What goes over the wire, and how. Where it is a `completion` it can be sent as a stream."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(_JSON))
    manner: Manner = "whole"
    seconds: float = 0.0
    completion: Completion | None = None


@dataclass(slots=True)
class Armed:
    """A fault that waits for its calls; `fired` proves that it met them."""

    name: str
    times: int = 1
    match: str = ""
    turn: int | None = None
    params: Params = field(default_factory=Params)
    fired: int = 0

    def hits(self, first: str, turns: int) -> bool:
        return self.fired < self.times and self.match in first and self.turn in (None, turns)


@dataclass(frozen=True, slots=True)
class Honest:
    """The reply that would have been sent, and the names of the tools on offer: what a fault spoils."""

    completion: Completion
    tools: tuple[str, ...]


Make = Callable[[Honest, Params], Wire]


# --- statuses ------------------------------------------------------------------------------------------------------


def _status(status: int, kind: str, code: str | None, message: str) -> Make:
    def make(_: Honest, params: Params) -> Wire:
        retry_after = params.get("retry_after", 1 if code == "rate_limit_exceeded" else None)
        headers = _JSON if retry_after is None else {**_JSON, "Retry-After": str(retry_after)}
        return Wire(status, encode(error_body(message, kind, code)), dict(headers))

    return make


def error_body(
    message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> Any:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _html(_: Honest, __: Params) -> Wire:
    page = b"<html><head><title>503</title></head><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
    return Wire(503, page, {"Content-Type": "text/html"})


# --- transport -----------------------------------------------------------------------------------------------------


def _wire(completion: Completion, manner: Manner = "whole", seconds: float = 0.0) -> Wire:
    return Wire(body=encode(completion), completion=completion, manner=manner, seconds=seconds)


def _sent(manner: Manner, seconds: float = 0.0) -> Make:
    def make(honest: Honest, params: Params) -> Wire:
        seconds_between = float(params.get("seconds", seconds))
        return _wire(honest.completion, manner=manner, seconds=seconds_between)

    return make


# --- bodies --------------------------------------------------------------------------------------------------------


def _body(body: bytes, kind: str = "application/json") -> Make:
    return lambda _, __: Wire(body=body, headers={"Content-Type": kind})


def _value(value: Any) -> Make:
    return _body(json.dumps(value).encode())


def _truncated(honest: Honest, _: Params) -> Wire:
    body = encode(honest.completion)
    return Wire(body=body[: len(body) * 2 // 3])


def _bad_utf8(honest: Honest, _: Params) -> Wire:
    whole = _with_text(honest.completion, "caf@")
    return Wire(body=encode(whole).replace(b"caf@", b"caf\xe9 \xff\xfe"))


def _spoilt(spoil: Callable[[Completion, Params], None], *, call: bool = False) -> Make:
    """The honest completion, spoilt in one place; with `call` it has at least one tool call to spoil."""

    def make(honest: Honest, params: Params) -> Wire:
        whole = copy.deepcopy(honest.completion)
        if call:
            _ensure_call(whole, honest.tools)
        spoil(whole, params)
        return _wire(whole)

    return make


def _choice(whole: Completion) -> dict[str, Any]:
    return whole["choices"][0]


def _message(whole: Completion) -> dict[str, Any]:
    return _choice(whole)["message"]


def _calls(whole: Completion) -> list[dict[str, Any]]:
    return _message(whole)["tool_calls"]


def _ensure_call(whole: Completion, tools: tuple[str, ...]) -> None:
    if not _message(whole).get("tool_calls"):
        function = {"name": tools[0] if tools else "look_up", "arguments": "{}"}
        _message(whole).update(content=None, tool_calls=[{"id": "call_x", "type": "function", "function": function}])
        _choice(whole)["finish_reason"] = "tool_calls"


def _with_text(whole: Completion, text: str | None, finish: str = "stop", **more: Any) -> Completion:
    """The completion as one that says a text and calls nothing."""
    changed = copy.deepcopy(whole)
    message = _message(changed)
    message.pop("tool_calls", None)
    message.update(content=text, **more)
    _choice(changed)["finish_reason"] = finish
    return changed


def _says(text: str | None, finish: str = "stop", **more: Any) -> Make:
    def make(honest: Honest, params: Params) -> Wire:
        return _wire(_with_text(honest.completion, params.get("text", text), finish, **more))

    return make


def _huge(honest: Honest, params: Params) -> Wire:
    text = "all work and no play " * (int(params.get("characters", _HUGE_CHARACTERS)) // 21)
    return _wire(_with_text(honest.completion, text))


def _arguments(arguments: Any) -> Make:
    def spoil(whole: Completion, params: Params) -> None:
        for call in _calls(whole):
            call["function"]["arguments"] = params.get("arguments", arguments)

    return _spoilt(spoil, call=True)


def _in_call(**fields: Any) -> Make:
    def spoil(whole: Completion, params: Params) -> None:
        for call in _calls(whole):
            place = call["function"] if "name" in fields else call
            place.update({key: params.get(key, value) for key, value in fields.items()})

    return _spoilt(spoil, call=True)


def _duplicate_ids(whole: Completion, _: Params) -> None:
    calls = _calls(whole)
    if len(calls) == 1:
        calls.append(copy.deepcopy(calls[0]))
    for call in calls:
        call["id"] = "call_same"


def _set_finish(finish: str) -> Callable[[Completion, Params], None]:
    return lambda whole, _: _choice(whole).update(finish_reason=finish)


def _malformed(honest: Honest, params: Params) -> Wire:
    _, status, headers, body = generate(int(params.get("seed", 0)), honest.tools)
    return Wire(status, body, headers)


UNPAID: dict[str, Make] = {
    "rate_limited": _status(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "insufficient_quota": _status(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "server_error": _status(500, "server_error", None, "The server had an error while processing your request."),
    "html_503": _html,
    "bad_request": _status(400, "invalid_request_error", None, "Invalid request."),
    "unauthorized": _status(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "forbidden": _status(403, "invalid_request_error", "unsupported_country_region_territory", "Not allowed."),
    "not_found": _status(404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "context_length": _status(
        400, "invalid_request_error", "context_length_exceeded", "Maximum context length exceeded."
    ),
}
"""What a provider does not charge for."""

FAULTS: dict[str, Make] = {
    **UNPAID,
    "reset": _sent("reset"),
    "half_body": _sent("half"),
    "early_end": _sent("early_end"),
    "stall": _sent("stall", _HANG_SECONDS),
    "error_within": _sent("error"),
    "broken_off": _spoilt(_set_finish("error")),
    "hang": _sent("hang", _HANG_SECONDS),
    "drip": _sent("drip", _DRIP_SECONDS),
    "not_json": _body(b"Sorry, something odd happened here."),
    "empty_body": _body(b""),
    "truncated_json": _truncated,
    "bad_utf8": _bad_utf8,
    "null": _value(None),
    "array": _value([]),
    "error_object": _value(error_body("The server is overloaded.", "server_error")),
    "no_choices": _spoilt(lambda whole, _: whole.update(choices=[])),
    "missing_choices": _spoilt(lambda whole, _: whole.pop("choices")),
    "null_choices": _spoilt(lambda whole, _: whole.update(choices=None)),
    "no_message": _spoilt(lambda whole, _: _choice(whole).pop("message")),
    "content_null": _says(None),
    "refusal": _says(None, refusal="I'm sorry, I can't assist with that."),
    "content_filter": _says("", "content_filter"),
    "length": _says("The answer begins, but it is cut in the mid", "length"),
    "unknown_finish": _spoilt(_set_finish("eos_token")),
    "args_not_json": _arguments('{"query": "unclosed'),
    "args_object": _arguments({"query": "an object, not a string"}),
    "args_wrong_schema": _arguments('{"no_such_parameter": [1, 2, 3]}'),
    "unknown_tool": _in_call(name="no_such_tool"),
    "name_null": _in_call(name=None),
    "id_null": _in_call(id=None),
    "duplicate_ids": _spoilt(_duplicate_ids, call=True),
    "tool_calls_with_stop": _spoilt(_set_finish("stop"), call=True),
    "lone_surrogate": _says("Half a pair: \ud83d."),
    "nul_character": _says("Nothing\x00 in between."),
    "huge_text": _huge,
    "malformed": _malformed,
}
"""Every fault by its name in `POST /admin/fault`."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """How a stream is sent: whether it ends with the tokens, and the seconds between its events."""

    with_usage: bool = False
    pause: float = 0.0


async def send(request: web.Request, wire: Wire, streaming: Streaming | None = None) -> web.StreamResponse:
    """Sends a reply in its manner, as a stream if that is wanted and it can be one."""
    if wire.manner == "hang":
        await asyncio.sleep(wire.seconds)
    if wire.manner in ("hang", "reset"):
        return _reset(request)
    if streaming is not None and wire.completion is not None:
        return await _stream(request, wire, list(chunks(wire.completion, with_usage=streaming.with_usage)), streaming)
    if wire.manner == "drip":
        return await _drip(request, wire)
    if wire.manner == "error":
        failed = error_body("The server failed within its reply.", "server_error")
        return web.Response(body=encode(failed), headers=_JSON)
    if wire.manner == "whole":
        return web.Response(status=wire.status, body=wire.body, headers=wire.headers)
    return await _half(request, wire)


async def _stream(request: web.Request, wire: Wire, events: list[bytes], streaming: Streaming) -> web.StreamResponse:
    """All events, or the first half of them and then what the manner says."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    if wire.manner == "drip":
        events, pause = [bytes([byte]) for byte in b"".join(events)], wire.seconds
    else:
        pause = streaming.pause
    for place, event in enumerate(events if wire.manner in ("whole", "drip") else events[: len(events) // 2]):
        if place and pause:
            await asyncio.sleep(pause)
        await response.write(event)
    if wire.manner == "error":
        await response.write(error_event("The server failed within its reply."))
    if wire.manner in ("half", "stall"):
        await _leave(request, wire)
        return response
    await response.write_eof()
    return response


def _reset(request: web.Request) -> web.Response:
    """Drops the connection; lingering for no time makes it a reset rather than an orderly end."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _begun(request: web.Request, wire: Wire) -> web.StreamResponse:
    response = web.StreamResponse(status=wire.status, headers=wire.headers)
    response.content_length = len(wire.body)
    await response.prepare(request)
    return response


async def _half(request: web.Request, wire: Wire) -> web.StreamResponse:
    response = await _begun(request, wire)
    await response.write(wire.body[: len(wire.body) // 2])
    await _leave(request, wire)
    return response


async def _leave(request: web.Request, wire: Wire) -> None:
    """In the middle of a reply: at once, or after a silence."""
    await asyncio.sleep(wire.seconds if wire.manner == "stall" else 0.01)  # lets the half leave before the connection
    if request.transport is not None:
        request.transport.abort()


async def _drip(request: web.Request, wire: Wire) -> web.StreamResponse:
    response = await _begun(request, wire)
    for place in range(len(wire.body)):
        await response.write(wire.body[place : place + 1])
        await asyncio.sleep(wire.seconds)
    return response
