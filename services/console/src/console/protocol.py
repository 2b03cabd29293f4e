# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""The words of OpenID Connect, by Authlib, which has no types: what is asked, and what a token must say."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken

from console.logins import Login

FORM = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


class Client(NamedTuple):
    """What we are there: a client without a secret shows its verifier alone."""

    id: str
    secret: str
    callback: str


def address_to_sign_in(endpoint: str, client: Client, scopes: str, login: Login) -> str:
    """Where a browser goes to sign in (OpenID Connect Core 3.1.2.1, RFC 7636)."""
    told = prepare_grant_uri(
        endpoint,
        client.id,
        "code",
        redirect_uri=client.callback,
        scope=scopes,
        state=login.state,
        nonce=login.nonce,
        code_challenge=create_s256_code_challenge(login.verifier),
        code_challenge_method="S256",
    )
    return cast(str, told)


def request_of_tokens(
    endpoint: str, client: Client, methods: object, login: Login, code: str
) -> tuple[str, dict[str, str], str]:
    """What is posted for a code: where, with which headers, and the form. `methods` is how the provider lets a client
    show its secret."""
    wanted = prepare_token_request(
        "authorization_code", redirect_uri=client.callback, code=code, code_verifier=login.verifier
    )
    shows = ClientAuth(client.id, client.secret, _method(client, methods))
    return cast(tuple[str, dict[str, str], str], shows.prepare("POST", endpoint, dict(FORM), wanted))


def check_id_token(
    claims: Mapping[str, Any], header: Mapping[str, Any], login: Login, client: Client, access: object, leeway: int
) -> None:
    """Raises, among others what `joserfc` does, unless the token is of this login, for us, and of this access token."""
    of_this = {"nonce": login.nonce, "client_id": client.id, "access_token": access}
    CodeIDToken(claims, header, params=of_this).validate(leeway=leeway)


def _method(client: Client, methods: object) -> str:
    """By the secret in a header, unless the provider takes it in the body alone."""
    if not client.secret:
        return "none"
    takes = cast(list[object], methods) if isinstance(methods, list) else ["client_secret_basic"]
    return "client_secret_basic" if "client_secret_basic" in takes else "client_secret_post"
