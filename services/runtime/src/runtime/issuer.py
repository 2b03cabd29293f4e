"""An identity provider, as far as it tells of itself: its discovery document, and the public keys that it signs by."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Literal, cast

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import SHARED

FETCH_SECONDS = 5
MAX_DOCUMENT_BYTES = 256 * 1024
KEYS_SECONDS = 600.0
"""After how long an issuer's keys are asked for again."""
UNKNOWN_SECONDS = 60.0
"""How often at most, because a token names a key that is not known."""
AWAY_SECONDS = 5.0
"""How often at most, while no key is known at all."""
MIN_RSA_BITS = 2048

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""By what it may sign (RFC 7518, RFC 8037): never by a secret that somebody else has too, and never by nothing."""

UNUSABLE = (*(jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError),)
"""What may be raised because of what somebody else wrote into a token or a key."""

log = get_logger(__name__)

_reachable = SHARED.gauge("switchboard_issuer_reachable")
_keys_known = SHARED.gauge("switchboard_issuer_keys_known")


class IssuerAway(Exception):
    """Nothing is known of the issuer yet; says why, in one line."""


class Provider:
    """What one issuer tells: kept, asked for again now and then, and for a key that is not known. While the issuer is
    away the last good one stays. With `jwks_url` its keys are asked for there, and there is no document."""

    def __init__(self, issuer: str, http: aiohttp.ClientSession, jwks_url: str = "") -> None:
        self._issuer, self._http, self._jwks_url = issuer, http, jwks_url
        self._document: dict[str, Any] = {}
        self._known: list[dict[str, Any]] = []
        self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._reason = ""

    async def key(self, kid: str | None, algorithm: str) -> Any:
        """The key that is meant, or None. Raises: `IssuerAway` while no key is known."""
        await self._keep_fresh()
        found = self._find(kid, algorithm)
        if found is None and self._known:
            await self._refresh(UNKNOWN_SECONDS)
            found = self._find(kid, algorithm)
        if not self._known:
            raise IssuerAway(self._reason)
        return found

    async def document(self) -> Mapping[str, Any]:
        """Its discovery document. Raises: `IssuerAway` while there is none."""
        await self._keep_fresh()
        if not self._known:
            raise IssuerAway(self._reason)
        return self._document

    async def is_known(self) -> bool:
        await self._keep_fresh()
        return bool(self._known)

    def address(self, document: Mapping[str, Any], name: str) -> str:
        """One of the addresses in the document. Raises: ValueError unless it is as safe as the issuer's own."""
        url = document.get(name)
        if not isinstance(url, str) or url.partition("://")[0] != self._issuer.partition("://")[0]:
            raise ValueError(f"the discovered {name} is not as safe as the issuer's address")
        return url

    async def _keep_fresh(self) -> None:
        """Nobody waits for that but who comes before any key is known."""
        if not self._known:
            await self._refresh(AWAY_SECONDS)
        elif self._refreshing is None or self._refreshing.done():
            seconds = UNKNOWN_SECONDS if self._reason else KEYS_SECONDS
            self._refreshing = asyncio.create_task(self._refresh(seconds)) if self._is_due(seconds) else None

    def _is_due(self, seconds: float) -> bool:
        return time.monotonic() - self._tried_at >= seconds

    def _find(self, kid: str | None, algorithm: str) -> Any:
        """The one key that is meant; without a name, the only one that there is."""
        fitting = [each for each in self._known if kid is None or each.get("kid") == kid]
        usable = [key for each in fitting if (key := usable_key(each, algorithm)) is not None]
        return usable[0] if len(usable) == 1 else None

    async def _refresh(self, seconds: float) -> None:
        """Ask again, unless that was within so many seconds. Who knows nothing waits for what was asked already."""
        is_awaited = not self._known and self._asking.locked()
        if not self._is_due(seconds) and not is_awaited:
            return
        async with self._asking:
            if not self._is_due(seconds):
                return
            self._tried_at = time.monotonic()
            try:
                self._document, self._known = await self._fetch()
                self._reason = ""
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"[:200]
                if not self._reason:
                    log.warning("issuer_away", extra={"issuer": self._issuer, "reason": reason})
                self._reason = reason
            self._show()

    def _show(self) -> None:
        _reachable.labels(self._issuer).set(not self._reason)
        _keys_known.labels(self._issuer).set(bool(self._known))

    async def _fetch(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Raises: what aiohttp raises; ValueError for what is no document, or for what are no keys."""
        document: dict[str, Any] = {}
        url = self._jwks_url
        if not url:
            document = await read_json(self._http, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._issuer:
                raise ValueError("the discovered issuer is another one")
            url = self.address(document, "jwks_uri")
        keys = (await read_json(self._http, url)).get("keys")
        if not isinstance(keys, list):
            raise ValueError("no keys")
        found_keys = [cast(dict[str, Any], each) for each in cast(list[Any], keys) if isinstance(each, dict)]
        if not found_keys:
            raise ValueError("no keys")
        return document, found_keys


async def read_json(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Raises: what aiohttp raises; ValueError for what is no object of JSON, or too long."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with http.get(url, timeout=timeout, allow_redirects=False, headers=headers) as reply:
        if reply.status != 200:
            raise ValueError(f"status {reply.status}")
        return await read_object(reply)


async def read_object(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    """Raises: what aiohttp raises; ValueError for what is no object of JSON, or too long."""
    text = await reply.content.read(MAX_DOCUMENT_BYTES + 1)
    while not reply.content.at_eof() and len(text) <= MAX_DOCUMENT_BYTES:
        text += await reply.content.read(MAX_DOCUMENT_BYTES)
    if len(text) > MAX_DOCUMENT_BYTES:
        raise ValueError("too long")
    try:
        told = json.loads(text)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(told, dict):
        raise ValueError("no object")
    return cast(dict[str, Any], told)


def usable_key(jwk: Mapping[str, Any], algorithm: str) -> Any:
    """The key, if it is a public one that signs by this algorithm; never a shared secret."""
    if jwk.get("kty") not in ("RSA", "EC", "OKP") or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    if jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(dict(jwk), algorithm=algorithm).key
    except UNUSABLE:
        return None
    return None if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS else key
