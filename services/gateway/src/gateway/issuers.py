"""The door for customers of an identity provider: a JWT that one of the issuers has signed, for us, for now.

What a token says of itself chooses nothing but whose it is and which of that issuer's keys: the algorithms, the
audience and the claims that are read stand in the settings. Addresses in a token are never asked.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import jwt

from contracts import USER_ID_PATTERN
from gateway.callers import Visitor, is_reserved
from gateway.settings import Issuer
from runtime.api.problems import Problem
from runtime.issuer import UNUSABLE, IssuerAway, Provider

LEEWAY_SECONDS = 30
MAX_ROLES = 50
TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
"""What the `typ` of a token may be: others are no tokens of access."""


class IssuerDoor:
    """Lets in whom one of the issuers names."""

    def __init__(self, issuers: tuple[Issuer, ...], http: aiohttp.ClientSession) -> None:
        self._issuers = {each.issuer: each for each in issuers}
        self._providers = {each.issuer: Provider(each.issuer, http, each.jwks_url) for each in issuers}

    async def visitor(self, token: str, headers: object = None) -> Visitor | None:
        try:
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False})
            issuer = self._issuers[said["iss"]]
        except UNUSABLE:
            return None
        key = await self._key(issuer, header)
        claims = verified(token, key, header["alg"], issuer)
        return visitor_of(claims, issuer)

    async def _key(self, issuer: Issuer, header: Mapping[str, Any]) -> Any:
        """Raises: `Problem` 401 for a token that no key of the issuer can have signed, 503 while there are none."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
        fits = isinstance(kid, str | None) and isinstance(kind, str) and kind.lower() in TYPES
        if algorithm not in issuer.algorithms or "crit" in header or not fits:
            raise Problem("token_invalid")
        try:
            key = await self._providers[issuer.issuer].key(kid, cast(str, algorithm))
        except IssuerAway:
            raise Problem("unavailable") from None
        if key is None:
            raise Problem("token_invalid")
        return key

    async def is_ready(self) -> bool:
        """Whether there are keys of every issuer."""
        return all([await provider.is_known() for provider in self._providers.values()])


def verified(token: str, key: Any, algorithm: str, issuer: Issuer) -> dict[str, Any]:
    """Raises: `Problem` 401 unless it is signed, for us, for now, and not for too long."""
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "aud", "iss"]},
        )
        life = float(claims["exp"]) - float(claims["iat"])
        good = 0 <= life <= issuer.max_life_seconds and not isinstance(claims["exp"], bool)
    except jwt.ExpiredSignatureError:
        raise Problem("token_expired") from None
    except UNUSABLE:
        raise Problem("token_invalid") from None
    if not good:
        raise Problem("token_invalid")
    return claims


def visitor_of(claims: Mapping[str, Any], issuer: Issuer) -> Visitor:
    """Raises: `Problem` 403 when the claims name nobody whom the rooms could know."""
    user = claims.get(issuer.user_claim)
    parts = [issuer.prefix] if issuer.prefix else []
    if issuer.tenant_claim:
        tenant = claims.get(issuer.tenant_claim)
        if not isinstance(tenant, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", tenant):
            raise Problem("forbidden")
        parts.append(tenant)
    if not isinstance(user, str) or not user:
        raise Problem("forbidden")
    user_id = ".".join([*parts, user])
    if not re.fullmatch(USER_ID_PATTERN, user_id) or is_reserved(user_id):
        raise Problem("forbidden")
    return Visitor(user_id, roles=roles_of(claims, issuer), until=float(claims["exp"]) + LEEWAY_SECONDS)


def roles_of(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    told = claims.get(issuer.roles_claim) if issuer.roles_claim else None
    words = told.split() if isinstance(told, str) else cast(list[Any], told) if isinstance(told, list) else []
    roles = [each for each in words if isinstance(each, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", each)]
    return tuple(roles[:MAX_ROLES])
