"""Signing in and out in a demo: by a choice of made-up members of staff."""

import re
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.members import Member
from console.posted import is_from_here, read_form
from console.problems import Problem
from console.settings import DemoMember
from console.visits import TOKEN, Visit, for_staff, parts_of, render

FIRST_PAGE = "/queue"
KNOCK = "desk_knock"
"""The cookie of whoever is about to sign in: no other site can send the form in their place."""
_ADDRESS = re.compile(r"/(?![/\\])[\w\-./?=&%:+,~]{0,1000}", re.ASCII)


def routes() -> list[Route]:
    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", sign_in, methods=["POST"]),
        Route("/logout", for_staff(sign_out), methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    parts, knock = parts_of(request), secrets.token_urlsafe(16)
    response = render(
        request,
        parts.sessions.read(request),
        "login.html",
        choices=parts.settings.demo_staff,
        next=address_of_ours(request.query_params.get("next", "")),
        knock_token=parts.sessions.form_token(knock),
        token_field=TOKEN,
    )
    secure = parts.settings.secure_cookies
    response.set_cookie(KNOCK, knock, max_age=3600, path="/login", secure=secure, httponly=True, samesite="lax")
    return response


async def sign_in(request: Request) -> Response:
    parts, form = parts_of(request), await read_form(request)
    knock = request.cookies.get(KNOCK, "")
    if not (is_from_here(request) and knock and parts.sessions.is_form_token(knock, form.get(TOKEN, ""))):
        raise Problem(403, "Open the page again, and sign in there.")
    chosen = next((each for each in parts.settings.demo_staff if each.name == form.get("name")), None)
    if chosen is None:
        raise Problem(422, "There is no such member of staff.")
    response = RedirectResponse(address_of_ours(form.get("next", "")), 303)
    parts.sessions.end(response, parts.sessions.read(request))
    response.delete_cookie(KNOCK, path="/login")
    parts.sessions.begin(response, member_of(chosen))
    return response


async def sign_out(visit: Visit) -> Response:
    response = render(visit.request, None, "signed_out.html", there="")
    visit.parts.sessions.end(response, visit.session)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def member_of(demo: DemoMember) -> Member:
    return Member(demo.name, demo.shown or demo.name, tuple(demo.roles))


def address_of_ours(told: str) -> str:
    """Where somebody wanted to go, if that is a page of ours."""
    return told if _ADDRESS.fullmatch(told) and not told.startswith(("/login", "/logout")) else FIRST_PAGE
