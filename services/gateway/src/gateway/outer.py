"""Around everything: a request's id, its bounds, the headers of every answer, and an answer for whatever goes wrong."""

import json
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import cors
from gateway.api.asked import MAX_CHAT_BYTES
from gateway.limits import Room
from gateway.openai_errors import envelope, status_for_openai
from gateway.signals import TABLE
from runtime.api.around import HEADERS, METHODS, check_head
from runtime.api.problems import MEDIA_TYPE, Problem
from runtime.asgi import Bounded, complete, raw
from runtime.checked import MAX_BODY_BYTES
from runtime.defects import expect, tell
from runtime.telemetry.logs import get_logger

PROBES = frozenset({"/livez", "/readyz", "/health"})
REPLAYED = b"idempotency-replayed"
"""The header of an answer that is given once more."""
OPENAI = "/v1/"
"""Whoever asks here reads errors in OpenAI's envelope."""

log = get_logger(__name__)

_requests = TABLE.counter("switchboard_gateway_requests_total")
_seconds = TABLE.histogram("switchboard_gateway_request_seconds")
_problems = TABLE.counter("switchboard_gateway_problems_total")
_replays = TABLE.counter("switchboard_gateway_replays_total")
_in_flight = TABLE.gauge("switchboard_gateway_in_flight")
expect("gateway", "request")


class Outer:
    """`body_seconds` is how long a body may take to come, `origins` whose pages may call, `room` for how many."""

    def __init__(self, app: ASGIApp, body_seconds: float, origins: tuple[str, ...], room: Room) -> None:
        self._app, self._body_seconds, self._origins, self._room = app, body_seconds, origins, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope.setdefault("state", {})["request_id"] = f"req_{uuid.uuid4().hex}"
        headers = dict(scope["headers"])
        shown = cors.allowed(headers, self._origins)
        answer = Answer(scope, send, request_id, shown)
        try:
            beforehand = cors.preflight(scope["method"], headers, self._origins)
            if beforehand is not None:
                await answer.plain(204, beforehand)
                return
            check_head(scope)
            is_probe = scope["path"] in PROBES
            with self._place(answer, is_probe):
                most = MAX_CHAT_BYTES if scope["path"].startswith(OPENAI) else MAX_BODY_BYTES
                await self._app(
                    scope, Bounded(scope, receive, self._body_seconds, partial(too_much, most), most), answer
                )
        except Problem as problem:
            await answer.refuse(problem)
        except Exception as error:  # noqa: BLE001 - told, and the client gets an answer
            tell("gateway", "request", error)
            await answer.refuse(Problem("failed"))
        finally:
            answer.note()

    @contextmanager
    def _place(self, answer: "Answer", is_probe: bool) -> Generator[None]:
        """A place in the room until the answer begins, so that streams hold none; probes need none."""
        if is_probe:
            yield
            return
        self._room.enter()
        _in_flight.inc()
        answer.begins = self._leave
        try:
            yield
        finally:
            answer.begun()

    def _leave(self) -> None:
        self._room.leave()
        _in_flight.dec()


class Answer:
    """Sends an answer with the headers of all, and notes it. `begins` is called once when it does."""

    def __init__(self, scope: Scope, send: Send, request_id: str, shown: Mapping[str, str]) -> None:
        self._scope, self._send, self._request_id, self._shown = scope, send, request_id, shown
        self._began = time.perf_counter()
        self._status, self._seconds, self._is_replayed = 0, 0.0, False
        self.begins: Callable[[], None] | None = None

    def begun(self) -> None:
        begins, self.begins = self.begins, None
        if begins is not None:
            begins()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._seconds = message["status"], time.perf_counter() - self._began
            self._is_replayed = any(name.lower() == REPLAYED for name, _ in message.get("headers", ()))
            self.begun()
            more = {**self._shown, **self._scope["state"].get("limits", {}), "X-Request-Id": self._request_id}
            message = {**message, "headers": complete(message.get("headers", ()), {**HEADERS, **more})}
        await self._send(message)

    async def plain(self, status: int, headers: Mapping[str, str]) -> None:
        await self({"type": "http.response.start", "status": status, "headers": raw(headers)})
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, problem: Problem) -> None:
        """Of an answer that has begun nothing is left to say."""
        if self._status:
            return
        _problems.labels(problem.code).inc()
        body, media_type, status = problem.body(self._request_id), MEDIA_TYPE, problem.kind.status
        if self._scope["path"].startswith(OPENAI):
            body, media_type = json.dumps(envelope(problem)).encode(), "application/json"
            status = status_for_openai(problem)
        headers = {"content-type": media_type, "content-length": str(len(body)), **problem.headers}
        await self({"type": "http.response.start", "status": status, "headers": raw(headers)})
        await self._send({"type": "http.response.body", "body": body})

    def note(self) -> None:
        route, status = route_of(self._scope), self._status
        _requests.labels(route, str(status)).inc()
        _seconds.labels(route).observe(self._seconds)
        if self._is_replayed:
            _replays.labels(route).inc()
        log.info(
            "request_answered",
            extra={
                "request_id": self._request_id,
                "method": self._scope["method"] if self._scope["method"] in METHODS else "other",
                "route": route,
                "status": status,
                "seconds": round(self._seconds, 3),
            },
        )


def too_much(most_bytes: int, code: Literal["too_large", "body_too_slow"]) -> Problem:
    return Problem(code, f"the body is larger than {most_bytes} bytes" if code == "too_large" else "")


def route_of(scope: Scope) -> str:
    """The pattern of the route, of which there are few; never the address itself."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "none"))
