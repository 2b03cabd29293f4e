"""Sessions: who is signed in, in a signed cookie. Nothing is kept but which sessions were ended here."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import jwt
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from console.members import READERS, Member

ALGORITHM = "HS256"
AUDIENCE = "switchboard-console"
KEPT_ENDED = 100_000


class Session(NamedTuple):
    """`id` is new at each sign-in, `began` and `until` are seconds since the epoch."""

    id: str
    member: Member
    began: float
    until: float


class Sessions:
    """`idle` seconds without a request end a session, and so do `longest` seconds of it. `door` is by what people came
    in: a session of a demo, or of another identity provider, opens nothing here."""

    def __init__(self, secret: SecretStr, idle: float, longest: float, *, secure: bool, door: str = "") -> None:
        self._secret = secret.get_secret_value().encode()
        self._idle, self._longest, self._secure = idle, longest, secure
        self._audience = f"{AUDIENCE} {door}" if door else AUDIENCE
        self._ended: OrderedDict[str, float] = OrderedDict()

    @property
    def cookie(self) -> str:
        return "__Host-desk" if self._secure else "desk"

    def begin(self, response: Response, member: Member) -> Session:
        """Sign somebody in: under an id that nobody has known before."""
        now = time.time()
        session = Session(secrets.token_urlsafe(16), member, now, now + self._longest)
        self._set(response, session, now)
        return session

    def read(self, request: Request) -> Session | None:
        """Who asks; None for nobody, or for a session that is over."""
        return self.parse(request.cookies.get(self.cookie, ""))

    def parse(self, cookie: str) -> Session | None:
        try:
            told: dict[str, Any] = jwt.decode(
                cookie, self._secret, [ALGORITHM], audience=self._audience, options={"require": ["exp", "iat", "sub"]}
            )
            member = Member(told["sub"], told["shown"], tuple(told["roles"]))
            session = Session(told["sid"], member, float(told["began"]), float(told["until"]))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError):
            return None
        over = session.id in self._ended or time.time() > session.until or not member.may(READERS)
        return None if over else session

    def renew(self, response: Response, session: Session) -> None:
        """Whoever does something stays signed in, unless it was to sign out."""
        if session.id not in self._ended:
            self._set(response, session, time.time())

    def end(self, response: Response, session: Session | None) -> None:
        """A copy of the cookie opens nothing any more, in this process."""
        if session is not None:
            self._ended[session.id] = session.until
            if len(self._ended) > KEPT_ENDED:
                self._ended.popitem(last=False)
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="lax")

    def form_token(self, session_id: str) -> str:
        """What a form of this session carries, and no other site can know."""
        return hmac.new(self._secret, f"form/{session_id}".encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session_id: str, told: str) -> bool:
        return hmac.compare_digest(self.form_token(session_id).encode(), told.encode())

    def _set(self, response: Response, session: Session, now: float) -> None:
        member, until = session.member, min(session.until, now + self._idle)
        claims = {
            "sub": member.name,
            "shown": member.shown,
            "roles": list(member.roles),
            "sid": session.id,
            "began": session.began,
            "until": session.until,
            "aud": self._audience,
            "iat": int(now),
            "exp": int(until),
        }
        told = jwt.encode(claims, self._secret, ALGORITHM)
        seconds = max(0, int(until - now))
        response.set_cookie(self.cookie, told, max_age=seconds, secure=self._secure, httponly=True, samesite="lax")
