"""Signing in by an identity provider, and out of here and there."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.logins import Login
from console.oidc import CALLBACK, NoRole, NotBelieved, Oidc
from console.problems import Problem
from console.routes.login import address_of_ours
from console.visits import Visit, for_staff, parts_of, render
from runtime.issuer import IssuerAway
from runtime.telemetry.logs import get_logger

SAID = {
    "access_denied": "The identity provider did not let you in.",
    "again": "This sign-in is over, or was begun in another browser. Begin again.",
    "not_believed": "What the identity provider said could not be believed, so nobody was signed in.",
    "no_role": "You have no role at this desk. Ask whoever gives roles at your identity provider.",
}

log = get_logger(__name__)


def routes() -> list[Route]:
    return [
        Route("/login", show, methods=["GET"]),
        Route("/login/start", start, methods=["GET"]),
        Route(CALLBACK, come_back, methods=["GET"]),
        Route("/logout", for_staff(sign_out), methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    parts = parts_of(request)
    return render(
        request,
        parts.sessions.read(request),
        "sign_in.html",
        provider=urlsplit(parts.settings.oidc_issuer).netloc,
        next=address_of_ours(request.query_params.get("next", "")),
    )


async def start(request: Request) -> Response:
    """Off to the provider."""
    logins = parts_of(request).logins
    login = logins.begin(address_of_ours(request.query_params.get("next", "")))
    try:
        response = RedirectResponse(await _oidc(request).address(login), 303)
    except IssuerAway as away:
        return _away(request, away)
    logins.keep(response, login)
    return response


async def come_back(request: Request) -> Response:
    """Back from the provider: under a new session, if it was this browser that went there."""
    parts = parts_of(request)
    try:
        response = await _signed_in(request, _login(request))
    except NotBelieved as error:
        log.warning("login_refused", extra={"reason": error.reason})
        said = {"provider_access_denied": "access_denied", "state": "again", "token_invalid_grant": "again"}
        response = render(request, None, "not_signed_in.html", 403, said=SAID[said.get(error.reason, "not_believed")])
    except NoRole:
        log.warning("login_refused", extra={"reason": "no_role"})
        response = render(request, None, "not_signed_in.html", 403, said=SAID["no_role"])
    except IssuerAway as away:
        response = _away(request, away)
    parts.logins.forget(response)
    return response


async def _signed_in(request: Request, login: Login) -> Response:
    """Raises: `NotBelieved`, `NoRole`, `IssuerAway`."""
    parts = parts_of(request)
    member = await _oidc(request).member(login, _answer(request))
    response = RedirectResponse(address_of_ours(login.next), 303)
    parts.sessions.end(response, parts.sessions.read(request))
    parts.sessions.begin(response, member)
    request.state.member = member.name
    return response


async def sign_out(visit: Visit) -> Response:
    there = await _oidc(visit.request).address_to_sign_out()
    response = render(visit.request, None, "signed_out.html", there=there)
    visit.parts.sessions.end(response, visit.session)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    if there:
        response.headers["Refresh"] = f"0; url={there}"
    return response


def _login(request: Request) -> Login:
    """The login that this answer is of: begun in this browser, and answered once. Raises: `NotBelieved`."""
    logins = parts_of(request).logins
    login, told = logins.read(request), request.query_params.get("state", "")
    if login is None or not login.is_state(told):
        raise NotBelieved("state")
    logins.end(login)
    return login


def _answer(request: Request) -> dict[str, str]:
    """Raises: `NotBelieved` for an answer that says something twice."""
    told = request.query_params.multi_items()
    if len({name for name, _ in told}) < len(told):
        raise NotBelieved("answer_twice")
    return dict(told)


def _oidc(request: Request) -> Oidc:
    oidc = parts_of(request).oidc
    if oidc is None:
        raise Problem(404)
    return oidc


def _away(request: Request, away: IssuerAway) -> Response:
    log.error("login_failed", extra={"issuer": parts_of(request).settings.oidc_issuer, "reason": str(away)})
    response = render(request, None, "provider_away.html", 503, why=str(away))
    response.headers["Retry-After"] = "5"
    return response
