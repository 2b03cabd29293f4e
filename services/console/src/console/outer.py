"""Around everything: a request's id, its bounds, the headers of every answer, and a page for whatever goes wrong."""

import secrets
import time
import uuid
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.problems import Problem
from console.signals import TABLE
from runtime.asgi import Bounded, complete
from runtime.telemetry.logs import get_logger

MAX_URL_BYTES = 4096
METHODS = frozenset({"GET", "HEAD", "POST"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
"""Of every answer; one that says another value keeps it."""

log = get_logger(__name__)

_requests = TABLE.counter("switchboard_console_requests_total")
_seconds = TABLE.histogram("switchboard_console_request_seconds")


def policy(nonce: str) -> str:
    """What a page may load: our own style, and our scripts by a number that is good for this answer alone."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types desk"
    )


class Outer:
    """`body_seconds` is how long a body may take to come."""

    def __init__(self, app: ASGIApp, body_seconds: float) -> None:
        self._app, self._body_seconds = app, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        told = {"request_id": f"req_{uuid.uuid4().hex}", "nonce": nonce, "member": "", "key": "", "route": "none"}
        scope["state"] = told | {"begun": False}
        answer = Answer(scope, send)
        try:
            await self._app(scope, Bounded(scope, receive, self._body_seconds, too_much), answer)
        finally:
            answer.note()


class Answer:
    """Sends an answer with the headers of all, and notes it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._began, self._status, self._seconds = time.perf_counter(), 0, 0.0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._seconds = message["status"], time.perf_counter() - self._began
            state = self._scope["state"]
            state["begun"] = True
            more = {"X-Request-Id": state["request_id"], "Content-Security-Policy": policy(state["nonce"])}
            message = {**message, "headers": complete(message.get("headers", ()), HEADERS | more)}
        await self._send(message)

    def note(self) -> None:
        route, state = route_of(self._scope), self._scope["state"]
        _requests.labels(route, str(self._status)).inc()
        _seconds.labels(route).observe(self._seconds)
        log.info(
            "page_answered",
            extra={
                "request_id": state["request_id"],
                "method": self._scope["method"] if self._scope["method"] in METHODS else "other",
                "route": route,
                "status": self._status,
                "seconds": round(self._seconds, 3),
                "by": state["member"],
                "key": state["key"],
            },
        )


def too_much(code: Literal["too_large", "body_too_slow"]) -> Problem:
    return Problem(413 if code == "too_large" else 408)


def route_of(scope: Scope) -> str:
    """The pattern of the route, of which there are few; never the address itself."""
    return scope["state"]["route"]
