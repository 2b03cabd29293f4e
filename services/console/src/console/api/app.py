"""The API of the desk as one ASGI app, beside the pages."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.api import approvals, audit, conversations, queue, tickets
from console.api.refusals import problem_of
from console.parts import Parts
from console.problems import Problem as PageProblem
from console.restate import Refusal
from runtime.api.around import HEADERS, check_head
from runtime.api.docs import STYLE, docs_page
from runtime.api.document import tell_by_problems
from runtime.api.problems import MEDIA_TYPE, Problem
from runtime.asgi import complete
from runtime.defects import tell
from runtime.ingress import Away

PATHS = ("/api/", "/docs", "/openapi.json")
"""Where the API is. All else are pages."""
TITLE = "Switchboard: the desk"
DESCRIPTION = """\
What staff do at the desk, for tools of their own: conversations, tickets, approvals, who did what. Every request says
by which key it comes: `Authorization: Bearer <API key>`. Whatever goes wrong is told by a problem document (RFC 9457)
with a stable `type`.
"""
MAY_LOAD = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"


def build(parts: Parts) -> FastAPI:
    app = FastAPI(
        title=TITLE, version="1", description=DESCRIPTION, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.parts = parts
    for router in (queue.router, conversations.router, tickets.router, approvals.router, audit.router):
        app.include_router(router)

    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": MAY_LOAD})

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/docs/style.css", style, include_in_schema=False)
    app.add_exception_handler(ClientDisconnect, gone)
    tell_by_problems(app)
    app.add_middleware(Around)
    return app


async def style() -> Response:
    return Response(STYLE, media_type="text/css")


async def gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


class Around:
    """Tells what is not done by a problem document, and which route it is, for the metrics."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                usual = {**HEADERS, **state.get("limits", {})}
                message = {**message, "headers": complete(message.get("headers", ()), usual)}
            await send(message)

        try:
            check_head(scope)
            await self._app(scope, receive, told)
        except Exception as error:  # noqa: BLE001 - told, and the client gets an answer
            problem = _problem(error)
            if not state["begun"]:
                body, headers = problem.body(state["request_id"]), problem.headers
                await Response(body, problem.kind.status, headers, MEDIA_TYPE)(scope, receive, told)
        finally:
            state["route"] = getattr(scope.get("route"), "path", "none")


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case Refusal():
            return problem_of(error)
        case Away():
            return Problem("unavailable")
        case PageProblem(status=413):
            return Problem("too_large")
        case PageProblem(status=408):
            return Problem("body_too_slow")
        case _:
            tell("console", "request", error)
            return Problem("failed")
