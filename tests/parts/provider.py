"""An OpenID provider of a test's own, over HTTP: it signs in `person` without asking, and can be told to go wrong."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import BasicAuth, web
from aiohttp.test_utils import TestServer

from tests.parts.issuer import RSA, FakeIssuer

CLIENT_ID = "switchboard-desk"
CLIENT_SECRET = "a secret: of the desk/+"


def half_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


class Asked:
    """What one request of authorization said, and the code that it got."""

    def __init__(self, told: dict[str, str]) -> None:
        self.told, self.code = told, secrets.token_urlsafe(16)


class FakeProvider(FakeIssuer):
    """`person` is who signs in; `answer` changes what a browser brings back, `sign` the ID token, `tokens` the tokens;
    `info` is what is told beside the ID token."""

    def __init__(self) -> None:
        super().__init__()
        self.person: dict[str, Any] = {}
        self.info: dict[str, Any] = {}
        self.answer: Callable[[dict[str, str]], dict[str, str]] = dict
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.tokens: Callable[[dict[str, Any]], dict[str, Any]] = dict
        self.token_status = 200
        self.secret = CLIENT_SECRET
        self.redirect_uris: set[str] = set()
        self.asks: list[Asked] = []
        self.refused: list[str] = []
        self.codes: dict[str, Asked] = {}
        self.access: set[str] = set()
        self.be_good()

    def be_good(self) -> None:
        self.person = {"sub": "ben", "name": "Ben Osei", "roles": ["agent", "approver"]}
        self.info, self.answer, self.sign, self.tokens, self.token_status = {}, dict, self.signed, dict, 200
        self.discovered = {}

    def signed(self, claims: dict[str, Any]) -> str:
        return self.token(**claims)

    async def discovery(self, _: web.Request) -> web.Response:
        addresses = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "end_session_endpoint": "end",
            "jwks_uri": "keys",
        }
        told: dict[str, Any] = {name: f"{self.url}/{path}" for name, path in addresses.items()}
        return web.json_response(
            {"issuer": self.url, "authorization_response_iss_parameter_supported": True, **told, **self.discovered}
        )

    async def authorize(self, request: web.Request) -> web.Response:
        asked = Asked(dict(request.query))
        told = asked.told
        assert told["client_id"] == CLIENT_ID
        assert told["redirect_uri"] in self.redirect_uris, "an open redirect, if it were let through"
        assert told["response_type"] == "code"
        assert "openid" in told["scope"].split()
        assert told["code_challenge_method"] == "S256"
        self.asks.append(asked)
        self.codes[asked.code] = asked
        answer = self.answer({"code": asked.code, "state": told["state"], "iss": self.url})
        raise web.HTTPFound(f"{told['redirect_uri']}?{urlencode(answer)}")

    async def exchange(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        wrong = self._wrong(request, form)
        if wrong or self.token_status != 200:
            self.refused.append(wrong)
            status = self.token_status if self.token_status != 200 else 400
            return web.json_response({"error": wrong or "server_error"}, status=status)
        asked, access = self.codes.pop(form["code"]), secrets.token_urlsafe(16)
        self.access.add(access)
        now = int(time.time())
        claims = {"aud": CLIENT_ID, "nonce": asked.told["nonce"], "iat": now, "exp": now + 300}
        token = self.sign(claims | {"at_hash": half_hash(access)} | self.person)
        return web.json_response(
            self.tokens({"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token})
        )

    def _wrong(self, request: web.Request, form: dict[str, str]) -> str:
        """As RFC 6749 and 7636 name it; empty for what is right."""
        if not self._is_client(request, form):
            return "invalid_client"
        asked = self.codes.get(form.get("code", ""))
        if asked is None or form.get("redirect_uri") != asked.told["redirect_uri"]:
            return "invalid_grant"
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return "" if challenge == asked.told["code_challenge"] else "invalid_grant"

    def _is_client(self, request: web.Request, form: dict[str, str]) -> bool:
        told = request.headers.get("Authorization")
        if told is None:
            return (form.get("client_id"), form.get("client_secret", "")) == (CLIENT_ID, self.secret)
        basic = BasicAuth.decode(told)
        return unquote(basic.login) == CLIENT_ID and self.secret in (basic.password, unquote(basic.password))

    async def userinfo(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.access:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"sub": self.person["sub"], **self.info})

    def forged(self, key: Any = RSA, algorithm: str = "RS256", **more: Any) -> Callable[[dict[str, Any]], str]:
        """Signs ID tokens that say something else; None leaves a claim out."""
        headers = more.pop("headers", None)
        return lambda claims: self.token(key, algorithm, headers, **(claims | more))


def application(provider: FakeProvider) -> web.Application:
    """What it answers."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/.well-known/openid-configuration", provider.discovery),
            web.get("/keys", provider.tell),
            web.get("/authorize", provider.authorize),
            web.post("/token", provider.exchange),
            web.get("/userinfo", provider.userinfo),
        ],
    )
    return app


@asynccontextmanager
async def fake_provider() -> AsyncGenerator[FakeProvider]:
    provider = FakeProvider()
    async with TestServer(application(provider)) as server:
        provider.url = str(server.make_url("")).rstrip("/")
        yield provider
