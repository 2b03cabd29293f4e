"""The whole door as one ASGI app."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from gateway import chat_completions, pages
from gateway.api import conversations, people, questions
from gateway.limits import Room
from gateway.outer import Outer
from gateway.parts import Parts
from gateway.signals import TABLE
from runtime.api.document import tell_by_problems

_in_flight_limit = TABLE.gauge("switchboard_gateway_in_flight_limit")

TITLE = "Switchboard"
DESCRIPTION = """\
Ask a support agent, and talk with it. Every request but `GET /api/v1/demo/customers` says who asks by
`Authorization: Bearer <token>`. Whatever goes wrong is told by a problem document (RFC 9457) with a stable `type`.
"""


def build(parts: Parts) -> FastAPI:
    app = FastAPI(
        title=TITLE, version="1", description=DESCRIPTION, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.parts = parts
    for router in (people.router, questions.router, conversations.router):
        app.include_router(router)
    app.include_router(chat_completions.router)
    app.add_api_route("/livez", livez, include_in_schema=False)
    app.add_api_route("/health", livez, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    pages.add_to(app, parts.settings)
    tell_by_problems(app)
    settings = parts.settings
    room = Room(settings.max_in_flight)
    _in_flight_limit.set(settings.max_in_flight)
    app.add_middleware(Outer, body_seconds=settings.body_seconds, origins=settings.allowed_origins, room=room)
    return app


async def livez() -> dict[str, str]:
    """This process is at work."""
    return {"status": "up"}


async def readyz(request: Request) -> JSONResponse:
    """What this process needs is there; which of it is not stands in the answer."""
    parts: Parts = request.app.state.parts
    found = {
        "restate": await parts.restate.is_there(),
        "conversations": await parts.rooms.is_there(),
        "issuers": await parts.issuers.is_ready(),
    }
    ready = all(found.values()) and not parts.leaving.now.is_set()
    return JSONResponse({"ready": ready, **found}, 200 if ready else 503)
