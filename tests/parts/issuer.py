"""An identity provider of a test's own: it tells its keys, and counts how often it was asked."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "switchboard-web"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()

_ALGORITHMS = jwt.get_algorithm_by_name


def jwk(key: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    public = key.public_key() if hasattr(key, "public_key") else key
    return {**_ALGORITHMS(algorithm).to_jwk(public, as_dict=True), "use": "sig", "alg": algorithm, **more}


class FakeIssuer:
    """`keys` is what it tells; `status` what it answers to whoever asks for them."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [jwk(RSA, "RS256", kid="rsa"), jwk(P256, "ES256", kid="ec")]
        self.status = 200
        self.asked = 0
        self.url = ""
        self.discovered: dict[str, Any] = {}

    async def discovery(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovered})

    async def tell(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.keys}, status=self.status)

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        told = {"iss": self.url, "sub": "user_12345", "aud": AUDIENCE, "iat": now, "exp": now + 600} | changed
        return {name: value for name, value in told.items() if value is not None}

    def token(
        self, key: Any = RSA, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        """Signed, whatever it says."""
        said = json.dumps(self.claims(**changed)).encode()
        return jwt.PyJWS().encode(said, key, algorithm, headers={"kid": "rsa"} if headers is None else headers)


@asynccontextmanager
async def fake_issuer() -> AsyncGenerator[FakeIssuer]:
    issuer = FakeIssuer()
    app = web.Application()
    app.add_routes(
        [web.get("/.well-known/openid-configuration", issuer.discovery), web.get("/keys", issuer.tell)],
    )
    async with TestServer(app) as server:
        issuer.url = str(server.make_url("")).rstrip("/")
        yield issuer
