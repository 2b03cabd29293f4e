"""The pages: the chat page, where it has been built, and the description of the API for people."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.settings import GatewaySettings
from runtime.api.docs import STYLE, docs_page

BUILT = Path(__file__).parent / "static"
"""Where the build of `services/gateway/page` puts it."""


def policy(frame_ancestors: tuple[str, ...]) -> str:
    """What a page of ours may load: what is served here, and nothing else."""
    ancestors = " ".join(frame_ancestors) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        f" font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors};"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )


class Page(StaticFiles):
    """Files that may be kept for a moment, under a policy that lets them load nothing from elsewhere."""

    def __init__(self, folder: Path, allowed: str) -> None:
        super().__init__(directory=folder, html=True, follow_symlink=False)
        self._policy = allowed

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        # A script that is pinned to its hash is loaded by CORS; there is no secret in any of these files.
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response


def add_to(app: FastAPI, settings: GatewaySettings) -> None:
    """`/docs`; and at `/chat/` the chat page, if it is there, to which `/` leads."""
    allowed = policy(settings.frame_ancestors)

    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": allowed})

    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    folder = settings.page_dir or BUILT
    has_page = (folder / "index.html").is_file()

    async def first() -> RedirectResponse:
        return RedirectResponse("/chat/" if has_page else "/docs")

    app.add_api_route("/", first, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/docs/style.css", style, include_in_schema=False)
    if has_page:
        app.mount("/chat", Page(folder, allowed), name="chat")
