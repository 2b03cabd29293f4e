"""One request of a member of staff: who it is, what they may, and what their form says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.desk import Desk
from console.members import READERS, Member
from console.parts import Parts
from console.posted import is_from_here, read_form
from console.problems import Problem
from console.rendering import CONVERSATION
from console.restate import Refusal
from console.sessions import Session
from console.visible import plain
from runtime.ingress import Away

TOKEN = "form_token"  # noqa: S105 - the name of a field


@dataclass(frozen=True)
class Visit:
    request: Request
    parts: Parts
    session: Session
    form: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def member(self) -> Member:
        return self.session.member

    @property
    def is_refresh(self) -> bool:
        """Whether a page fetches what is new: that is nobody who does something."""
        return "x-refresh" in self.request.headers

    def others(self, topic: str) -> list[str]:
        """Who else has this page open now, as far as this process knows."""
        return [plain(each) for each in self.parts.following.who(topic, self.member)]

    @property
    def desk(self) -> Desk:
        return self.parts.desk(self.member)

    async def customer_name(self, user_id: str) -> str:
        """What the account calls them; empty while nobody can say."""
        try:
            return (await self.desk.account_of(user_id)).name
        except (Away, Refusal):
            return ""

    def page(self, template: str, status: int = 200, **told: Any) -> Response:
        return render(self.request, self.session, template, status, **told)

    def keep(self) -> Response:
        """The room did not answer: what was written can be sent again, and is done once."""
        return self.page("again.html", 503, **_kept(self.request, self.form), is_away=True)

    def go(self, address: str) -> Response:
        """After something was done: a reload does not do it again."""
        return RedirectResponse(address, 303)


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def for_staff(handler: Handler, allowed: frozenset[str] = READERS) -> Endpoint:
    """The endpoint of a page, or of a form, for whoever is signed in and has one of these roles."""

    async def answer(request: Request) -> Response:
        parts = parts_of(request)
        request.state.place = parts.following.place  # before the rooms are read
        is_form = request.method == "POST"
        form: Mapping[str, str] = await read_form(request) if is_form else dict[str, str]()
        session = parts.sessions.read(request)
        if session is None:
            return _sign_in_again(request, form) if is_form and is_from_here(request) else _to_sign_in(request)
        request.state.member = session.member.name
        if not session.member.may(allowed):
            raise Problem(403)
        if is_form and not is_from_here(request):
            raise Problem(403, "The form was not sent by one of our pages.")
        if is_form and not parts.sessions.is_form_token(session.id, form.get(TOKEN, "")):
            return render(request, session, "again.html", 403, **_kept(request, form))
        visit = Visit(request, parts, session, form)
        try:
            response = await handler(visit)
        except (Away, Refusal) as error:
            if not is_form or (isinstance(error, Refusal) and error.status < 500):
                raise
            response = visit.keep()
        if not visit.is_refresh:
            parts.sessions.renew(response, session)
        return response

    return answer


def render(request: Request, session: Session | None, template: str, status: int = 200, **told: Any) -> Response:
    parts = parts_of(request)
    usual = {
        "path": request.url.path,
        "nonce": request.state.nonce,
        "member": session.member if session else None,
        "form_token": parts.sessions.form_token(session.id) if session else "",
        "is_demo": bool(parts.settings.demo_staff),
        "notice": "",
        "is_away": False,
        "place": getattr(request.state, "place", ""),
    }
    return parts.pages.render(template, usual | told, status)


def key_of(visit: Visit) -> str:
    """The conversation that the address names."""
    key = visit.request.path_params["key"]
    if not CONVERSATION.fullmatch(key):
        raise Problem(404)
    return key


def parts_of(request: Request) -> Parts:
    return request.app.state.parts


def _to_sign_in(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(path, safe='')}" if path != "/" else "/login", 303)


def _sign_in_again(request: Request, form: Mapping[str, str]) -> Response:
    """The session is over: what was written is not."""
    return render(request, None, "again.html", 401, **_kept(request, form))


def _kept(request: Request, form: Mapping[str, str]) -> dict[str, Any]:
    return {"action": request.url.path, "fields": {name: value for name, value in form.items() if name != TOKEN}}
