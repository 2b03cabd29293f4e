"""Signed callers: the router tells a tool for whom it is called by a token that it makes for this one call.

Its service is the audience, so no tool can use the token of its caller against another. It is made inside the step that
plans the call and journaled with the plan: a replay sends the same one, whatever has become of the key.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError

from contracts import USER_ID
from runtime.errors import Refused
from runtime.settings import RestateServiceSettings

TOKEN_HEADER = "x-switchboard-token"  # noqa: S105 - the name of a header
ALGORITHM = "EdDSA"
MAX_TOKEN_CHARACTERS = 4096
LEEWAY_SECONDS = 5

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class CallClaims(BaseModel):
    """What the token says: for whom (`sub`), in which run, by which call and at which service (`aud`) it is good.

    `conversation` is the one that the run belongs to; empty for a single question.
    """

    sub: USER_ID
    run: str
    call: str
    conversation: str = ""
    aud: str
    iat: int
    exp: int


def private_key(pem: str) -> Ed25519PrivateKey:
    """Raises: ValueError, without a word of the key, for anything but one Ed25519 key in PEM."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("expected a private Ed25519 key in PEM (-----BEGIN PRIVATE KEY-----)")
    return key


def public_keys(pem: str) -> list[Ed25519PublicKey]:
    """The keys of one or more blocks of PEM, each a public key or a certificate, of which the key alone counts.

    Raises: ValueError if there is none, or one that is no Ed25519 key.
    """
    keys = [_public_key(block) for block in _PEM.finditer(pem)]
    if not keys:
        raise ValueError("expected public Ed25519 keys in PEM (-----BEGIN PUBLIC KEY-----), or their certificates")
    return keys


def _public_key(block: re.Match[str]) -> Ed25519PublicKey:
    pem, is_certificate = block[0].encode(), block[1] == "CERTIFICATE"
    try:
        key = load_pem_x509_certificate(pem).public_key() if is_certificate else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("one of them is no public Ed25519 key")
    return key


def _signs(pem: SecretStr) -> SecretStr:
    private_key(pem.get_secret_value())
    return pem


def _checks(pem: str) -> str:
    public_keys(pem)
    return pem


SigningKey = Annotated[
    SecretStr,
    AfterValidator(_signs),
    Field(description="Private Ed25519 key in PEM, which signs the token of each call"),
]
CheckingKeys = Annotated[
    str, AfterValidator(_checks), Field(description="Public keys of the router's `CALL_KEY`, in PEM, one after another")
]


class ToolSettings(RestateServiceSettings):
    """A service whose tools have to know their caller."""

    call_keys: CheckingKeys
    accepted_url: str = Field(
        default="http://127.0.0.1:9084/accepted", description="Where the registry says when Restate accepted a call"
    )


class CallSigner:
    """Makes the tokens."""

    def __init__(self, pem: SecretStr) -> None:
        self._key = private_key(pem.get_secret_value())

    def sign(self, claims: CallClaims) -> str:
        return jwt.encode(claims.model_dump(exclude_defaults=True), self._key, ALGORITHM)

    def secret(self, purpose: str) -> bytes:
        """A secret that follows from the key, another for each purpose."""
        return hmac.new(self._key.private_bytes_raw(), purpose.encode(), hashlib.sha256).digest()


class ProvenCallers:
    """Knows the caller of an invocation by its token, which has to be good when Restate accepts the call.

    An effect is retried for hours while the database is away, so a token that has expired by now is judged by the time
    that `accepted_at` says.
    """

    def __init__(self, pem: str, accepted_at: Callable[[str], Awaitable[float]]) -> None:
        self._keys = public_keys(pem)
        self._accepted_at = accepted_at

    async def of(self, ctx: Any) -> str:
        """The user id. Raises: `Refused` 401 without a good token for this service."""
        return (await self.claims(ctx)).sub

    async def claims(self, ctx: Any) -> CallClaims:
        """All that the token says. Raises: as `of` does."""
        request = ctx.request()
        claims = self._signed(request.headers.get(TOKEN_HEADER, ""), ctx.handler.service_tag.name)
        if claims is None:
            raise Refused(401, "call_token_invalid", "the call is not signed by the router, for this service")
        good_until = claims.exp + LEEWAY_SECONDS
        if good_until < time.time() and good_until < await self._accepted_at(request.id):
            raise Refused(401, "call_token_expired", "the token of the call had expired when the call was made")
        return claims

    def _signed(self, token: str, service: str) -> CallClaims | None:
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        for key in self._keys:
            try:
                return CallClaims.model_validate(_decode(token, key, service))
            except (jwt.PyJWTError, ValidationError, RecursionError):
                continue
        return None


def _decode(token: str, key: Ed25519PublicKey, service: str) -> object:
    return jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=service,
        options={"require": ["exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
