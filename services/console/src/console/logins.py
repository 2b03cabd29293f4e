"""A login that has begun: what a browser keeps while somebody is at the identity provider.

The cookie holds an id alone. `state`, the nonce and the verifier follow from it by our secret, so that whoever reads
the cookie knows none of them.
"""

import base64
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

ALGORITHM = "HS256"
AUDIENCE = "switchboard-console-login"
LOGIN_SECONDS = 600
"""How long somebody may take at the identity provider."""
KEPT_ENDED = 100_000


class Login(NamedTuple):
    """One try to sign in; `next` is the page to which somebody wanted."""

    id: str
    next: str
    state: str
    nonce: str
    verifier: str

    def is_state(self, told: str) -> bool:
        return hmac.compare_digest(self.state.encode(), told.encode())


class Logins:
    def __init__(self, secret: SecretStr, *, secure: bool) -> None:
        self._secret, self._secure = secret.get_secret_value().encode(), secure
        self._ended: OrderedDict[str, None] = OrderedDict()

    @property
    def cookie(self) -> str:
        return "__Host-desk_login" if self._secure else "desk_login"

    def begin(self, next_page: str) -> Login:
        return self._login(secrets.token_urlsafe(24), next_page)

    def keep(self, response: Response, login: Login) -> None:
        until = int(time.time()) + LOGIN_SECONDS
        claims = {"jti": login.id, "next": login.next, "aud": AUDIENCE, "exp": until}
        response.set_cookie(
            self.cookie,
            jwt.encode(claims, self._secret, ALGORITHM),
            max_age=LOGIN_SECONDS,
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def read(self, request: Request) -> Login | None:
        """What this browser has begun, unless that is too long ago or was ended."""
        try:
            told: dict[str, Any] = jwt.decode(
                request.cookies.get(self.cookie, ""),
                self._secret,
                [ALGORITHM],
                audience=AUDIENCE,
                options={"require": ["exp", "jti"]},
            )
            login = self._login(told["jti"], told["next"])
        except (jwt.PyJWTError, KeyError, TypeError):
            return None
        return None if login.id in self._ended else login

    def end(self, login: Login) -> None:
        """It is good for one answer, in this process; the provider takes a code once in any."""
        self._ended[login.id] = None
        if len(self._ended) > KEPT_ENDED:
            self._ended.popitem(last=False)

    def forget(self, response: Response) -> None:
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="lax")

    def _login(self, login_id: str, next_page: str) -> Login:
        return Login(login_id, next_page, *(self._derived(what, login_id) for what in ("state", "nonce", "verifier")))

    def _derived(self, what: str, login_id: str) -> str:
        digest = hmac.new(self._secret, f"login/{what}/{login_id}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
