"""The whole door as one ASGI app."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gateway import chat_completions, pages
from gateway.api import conversations, people, questions
from gateway.api.shapes import Problem as ProblemShape
from gateway.limits import Room
from gateway.outer import Outer
from gateway.parts import Parts
from gateway.problems import Problem
from gateway.signals import TABLE

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
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(RequestValidationError, not_as_it_must_be)
    settings = parts.settings
    room = Room(settings.max_in_flight)
    _in_flight_limit.set(settings.max_in_flight)
    app.add_middleware(Outer, body_seconds=settings.body_seconds, origins=settings.allowed_origins, room=room)
    app.openapi = lambda: described(app)
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


async def no_route(request: Request, error: Exception) -> JSONResponse:
    """Whatever the framework itself refuses: an address that is none, a method that is none of its."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    problem = Problem("method_not_allowed" if status == 405 else "not_found")
    if isinstance(error, HTTPException) and error.headers:
        problem.headers.update(error.headers)
    raise problem


async def not_as_it_must_be(request: Request, error: Exception) -> JSONResponse:
    """A parameter of the address; its value is not repeated."""
    first: dict[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    field = str(first.get("loc", ("", ""))[-1])
    raise Problem("invalid_request", f"{field}: {first.get('msg', '')}", field=field)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: with problems where something is not as it must be."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components: dict[str, Any] = schema.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = ProblemShape.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for operations in schema["paths"].values():
            for operation in operations.values():
                invalid = operation["responses"].get("422", {}).get("content", {})
                if "application/json" in invalid:
                    del operation["responses"]["422"]
        app.openapi_schema = schema
    return app.openapi_schema
