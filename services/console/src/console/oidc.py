"""Signing in by an identity provider: OpenID Connect, the code flow with PKCE, `state` and a nonce.

The words of the protocol are Authlib's (`protocol.py`); what a provider tells is fetched and kept by `runtime.issuer`.
Nothing that an answer says chooses an address, an algorithm that needs a shared secret, or somebody else's audience.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, cast, get_args
from urllib.parse import urlencode

import aiohttp
import jwt
from joserfc.errors import JoseError

from console.logins import Login
from console.members import ROLES, Member
from console.protocol import Client, address_to_sign_in, check_id_token, request_of_tokens
from console.settings import ConsoleSettings
from contracts import KEYS, STAFF_NAME_PATTERN, StaffRole
from runtime.issuer import FETCH_SECONDS, UNUSABLE, Algorithm, IssuerAway, Provider, read_json, read_object

ALGORITHMS = frozenset(get_args(Algorithm))
LEEWAY_SECONDS = 30
MAX_AGE_SECONDS = 600
"""How old an ID token may be: it is made for this login."""
MAX_SHOWN = 100
CALLBACK = "/login/callback"
SIGNED_OUT = "/login"
METHODS = "token_endpoint_auth_methods_supported"
_CODE = re.compile(r"[a-z_]{1,40}", re.ASCII)


class NotBelieved(Exception):
    """Nobody is signed in by this; `reason` is a word of ours for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoRole(Exception):
    """It is somebody, who has no role at this desk."""


class Oidc:
    """One identity provider, for which this desk is a client."""

    def __init__(self, settings: ConsoleSettings, http: aiohttp.ClientSession) -> None:
        self._settings, self._http = settings, http
        self._provider = Provider(settings.oidc_issuer, http)
        secret, callback = settings.oidc_client_secret.get_secret_value(), settings.base_url.rstrip("/") + CALLBACK
        self._client = Client(settings.oidc_client_id, secret, callback)

    async def look(self) -> None:
        """Ask once at start: what is wrong stands in the log before anybody comes."""
        await self._provider.is_known()

    async def address(self, login: Login) -> str:
        """Where somebody signs in. Raises: `IssuerAway`."""
        document = await self._provider.document()
        endpoint = self._address(document, "authorization_endpoint")
        return address_to_sign_in(endpoint, self._client, self._settings.oidc_scopes, login)

    async def address_to_sign_out(self) -> str:
        """Where the session at the provider is ended, too; empty where it offers that not, or is away."""
        try:
            document = await self._provider.document()
            address = self._provider.address(document, "end_session_endpoint")
        except (IssuerAway, ValueError):
            return ""
        back = self._settings.base_url.rstrip("/") + SIGNED_OUT
        told = {"client_id": self._client.id, "post_logout_redirect_uri": back}
        return f"{address}{'&' if '?' in address else '?'}{urlencode(told)}"

    async def member(self, login: Login, answer: Mapping[str, str]) -> Member:
        """Who came back with this answer. Raises: `NotBelieved`, `NoRole`, `IssuerAway`."""
        document = await self._provider.document()
        code = self._code(document, answer)
        tokens = await self._exchange(document, login, code)
        access = tokens.get("access_token")
        claims = await self._claims(login, tokens.get("id_token"), access)
        if not self._names_all(claims) and "userinfo_endpoint" in document:
            claims = await self._more(document, access, claims["sub"]) | claims
        return self._member(claims)

    def _code(self, document: Mapping[str, Any], answer: Mapping[str, str]) -> str:
        """The answer's code, if it is of this provider (RFC 9207)."""
        told_by = answer.get("iss")
        if told_by is None and document.get("authorization_response_iss_parameter_supported") is True:
            raise NotBelieved("answer_without_issuer")
        if told_by is not None and told_by != self._settings.oidc_issuer:
            raise NotBelieved("answer_of_another_issuer")
        if "error" in answer:
            raise NotBelieved(f"provider_{answer['error']}" if _CODE.fullmatch(answer["error"]) else "provider_error")
        if not answer.get("code"):
            raise NotBelieved("no_code")
        return answer["code"]

    async def _exchange(self, document: Mapping[str, Any], login: Login, code: str) -> dict[str, Any]:
        """The tokens for this code: the provider takes it once, with the verifier of its login."""
        endpoint, methods = self._address(document, "token_endpoint"), document.get(METHODS)
        url, headers, body = request_of_tokens(endpoint, self._client, methods, login, code)
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        try:
            async with self._http.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                if reply.status >= 500:
                    raise IssuerAway(f"its token endpoint answers {reply.status}")
                told = await read_object(reply) if reply.status in (200, 400, 401) else {}
        except (aiohttp.ClientError, TimeoutError) as error:
            raise IssuerAway(f"its token endpoint: {type(error).__name__}") from None
        except ValueError:
            raise NotBelieved("token_answer_unreadable") from None
        if reply.status != 200:
            word = told.get("error")
            known = isinstance(word, str) and _CODE.fullmatch(word)
            raise NotBelieved(f"token_{word}" if known else f"token_status_{reply.status}")
        return told

    async def _claims(self, login: Login, token: object, access: object) -> dict[str, Any]:
        """What the ID token says, if the provider has signed it for us, for now, for this login."""
        if not isinstance(token, str):
            raise NotBelieved("no_id_token")
        try:
            header = jwt.get_unverified_header(token)
        except UNUSABLE:
            raise NotBelieved("id_token_unreadable") from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or "crit" in header or not isinstance(kid, str | None):
            raise NotBelieved("id_token_algorithm")
        key = await self._provider.key(kid, cast(str, algorithm))
        if key is None:
            raise NotBelieved("id_token_key")
        return self._verified(login, token, key, header, access)

    def _verified(self, login: Login, token: str, key: Any, header: dict[str, Any], access: object) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=self._client.id,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
            check_id_token(claims, header, login, self._client, access, LEEWAY_SECONDS)
            is_young = time.time() - float(claims["iat"]) <= MAX_AGE_SECONDS
        except (JoseError, *UNUSABLE) as error:
            raise NotBelieved(f"id_token_{type(error).__name__}") from None
        if not is_young:
            raise NotBelieved("id_token_old")
        return claims

    def _names_all(self, claims: Mapping[str, Any]) -> bool:
        wanted = (self._settings.oidc_name_claim, self._settings.oidc_roles_claim)
        return all(claim(claims, name) is not None for name in wanted)

    async def _more(self, document: Mapping[str, Any], access: object, subject: str) -> dict[str, Any]:
        """What the provider tells of them beside the ID token."""
        if not isinstance(access, str) or not re.fullmatch(r"[\x21-\x7e]+", access):
            raise NotBelieved("no_access_token")
        try:
            address = self._address(document, "userinfo_endpoint")
            found = await read_json(self._http, address, {"Authorization": f"Bearer {access}"})
        except (aiohttp.ClientError, TimeoutError) as error:
            raise IssuerAway(f"its userinfo endpoint: {type(error).__name__}") from None
        except ValueError:
            raise NotBelieved("userinfo_unreadable") from None
        if found.get("sub") != subject:
            raise NotBelieved("userinfo_of_another")
        return found

    def _member(self, claims: Mapping[str, Any]) -> Member:
        settings = self._settings
        name = claim(claims, settings.oidc_name_claim)
        if not isinstance(name, str) or not re.fullmatch(STAFF_NAME_PATTERN, name):
            raise NotBelieved("name_unusable")
        if name.lower().startswith(KEYS):
            raise NotBelieved("name_of_a_key")
        if settings.oidc_name_claim == "email" and claims.get("email_verified") is not True:
            raise NotBelieved("email_not_verified")
        roles = roles_of(claim(claims, settings.oidc_roles_claim), settings.oidc_roles)
        if not roles:
            raise NoRole
        shown = claim(claims, settings.oidc_shown_claim)
        return Member(name, shown[:MAX_SHOWN] if isinstance(shown, str) and shown else name, roles)

    def _address(self, document: Mapping[str, Any], name: str) -> str:
        try:
            return self._provider.address(document, name)
        except ValueError as error:
            raise IssuerAway(str(error)) from None


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name; where there is none, by a path such as `realm_access.roles`. None for nothing."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = cast(Mapping[str, Any], found).get(part) if isinstance(found, dict) or found is claims else None
    return found


def roles_of(told: Any, values: Mapping[StaffRole, tuple[str, ...]]) -> tuple[StaffRole, ...]:
    """The roles here of whoever has these values there; a text is several, with spaces between."""
    words = told.split() if isinstance(told, str) else cast(list[Any], told) if isinstance(told, list) else []
    has = {each for each in words if isinstance(each, str)}
    return tuple(role for role in ROLES if has & set(values.get(role, ()) if values else (role,)))
