"""The whole desk as one ASGI app."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from console.api import app as api
from console.api.app import PATHS
from console.outer import MAX_URL_BYTES, Outer
from console.parts import Parts
from console.problems import Problem
from console.restate import Refusal
from console.routes import approvals, audit, changes, conversations, login, queue, runs, sign_in, tickets, tools
from console.visits import parts_of, render
from runtime.asgi import is_longer, is_text
from runtime.defects import expect, tell
from runtime.ingress import Away
from runtime.telemetry.logs import get_logger

log = get_logger(__name__)
expect("console", "request")


def build(parts: Parts) -> Starlette:
    door = sign_in.routes() if parts.oidc else login.routes()
    rooms = (queue, approvals, conversations, runs, tickets, tools, audit, changes)
    pages = [*door, *(route for each in rooms for route in each.routes())]
    routes = [
        Route("/", first),
        *pages,
        Route("/static/{name}", asset),
        Route("/livez", livez),
        Route("/health", livez),
        Route("/readyz", readyz),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(Outer, body_seconds=parts.settings.body_seconds),
            Middleware(Doors, api=api.build(parts) if parts.keys else None),
            Middleware(Inner, routes=routes),
        ],
        exception_handlers={
            Problem: told_problem,
            Refusal: told_refusal,
            Away: told_away,
            HTTPException: no_route,
            ClientDisconnect: gone,
        },
    )
    app.router.redirect_slashes = False
    app.state.parts = parts
    return app


class Doors:
    """Sends tools to the API, and browsers to the pages: a session opens nothing there, and a key nothing here."""

    def __init__(self, app: ASGIApp, api: ASGIApp | None) -> None:
        self._app, self._api = app, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_api = self._api and scope["type"] == "http" and scope["path"].startswith(PATHS)
        await (self._api if is_for_api and self._api else self._app)(scope, receive, send)


class Inner:
    """Says which route it is, for the metrics; and answers by a page what nobody has foreseen."""

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        for route in self._routes:
            if route.matches(scope)[0] is not Match.NONE:
                scope["state"]["route"] = route.path
                break
        try:
            if is_longer(scope, MAX_URL_BYTES) or not is_text(scope):
                await self._refuse(404, scope, receive, send)
            else:
                await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - told, and whoever asked gets an answer
            tell("console", "request", error)
            if not scope["state"]["begun"]:
                await self._refuse(500, scope, receive, send)

    async def _refuse(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        response = await told_problem(Request(scope, receive), Problem(status))
        await response(scope, receive, send)


async def first(_: Request) -> Response:
    return RedirectResponse(login.FIRST_PAGE, 303)


async def asset(request: Request) -> Response:
    found = parts_of(request).pages.assets.get(request.path_params["name"])
    if found is None:
        raise Problem(404)
    is_of_now = f"{request.url.path}?{request.url.query}" == found.url
    kept = "public, max-age=31536000, immutable" if is_of_now else "no-cache"
    return Response(found.body, media_type=found.media_type, headers={"Cache-Control": kept})


async def livez(_: Request) -> Response:
    """This process is at work."""
    return JSONResponse({"status": "up"})


async def readyz(request: Request) -> Response:
    """What this process needs is there; which of it is not stands in the answer."""
    found = {"restate": await parts_of(request).restate.is_there()}
    ready = all(found.values())
    return JSONResponse({"ready": ready, **found}, 200 if ready else 503)


async def told_problem(request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, Problem) else Problem(500)
    session = parts_of(request).sessions.read(request)
    return render(request, session, "problem.html", problem.status, said=problem.said, detail=problem.detail)


async def told_refusal(request: Request, error: Exception) -> Response:
    """What a room has refused and no page has told by itself."""
    assert isinstance(error, Refusal)
    if error.status == 401:
        log.error("staff_token_refused", extra={"code": error.code})
        return await told_problem(request, Problem(502))
    if error.field in ("approval_id", "key", "ticket_id") and error.status == 422:
        return await told_problem(request, Problem(404))
    known = error.status in (403, 404, 409, 413, 422)
    return await told_problem(request, Problem(error.status if known else 500))


async def told_away(request: Request, error: Exception) -> Response:
    response = await told_problem(request, Problem(503))
    response.headers["Retry-After"] = "2"
    return response


async def no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    response = await told_problem(request, Problem(405 if status == 405 else 404))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


async def gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)
