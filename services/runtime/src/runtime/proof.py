"""Who is asking: a signed token, or a plain user id where that is trusted."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, Self

import jwt
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from contracts import USER_ID, Caller
from runtime.caller_keys import Algorithm, parse
from runtime.clock import SKEW
from runtime.errors import Refused
from runtime.settings import RestateServiceSettings, Words

MAX_LIFE_SECONDS = 600
LEEWAY_SECONDS = 5
"""How far the clocks of whoever signs and of this process may be apart."""

AcceptedAt = Callable[[], Awaitable[float]]
"""Says when Restate accepted the question, in seconds since the epoch."""

_Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class Asking(Protocol):
    """What comes from a client and says who sent it."""

    @property
    def user_id(self) -> str | None: ...

    @property
    def caller_token(self) -> str | None: ...


class CallerSettings(RestateServiceSettings):
    """A service that clients reach, and that has to know them."""

    trust_user_id: bool = Field(default=False, description="Believe a plain `user_id`; for demos and tests alone")
    caller_algorithm: Algorithm = Field(default="HS256", description="How caller tokens are signed")
    caller_keys: Words = Field(
        default=(), description="Keys that sign caller tokens: shared secrets or PEM public keys"
    )
    caller_issuer: str = Field(default="", description="Required `iss` of caller tokens; empty: not checked")
    caller_audience: str = Field(default="switchboard", description="Required `aud` of caller tokens")

    @field_validator("caller_keys")
    @classmethod
    def _fit_the_algorithm(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        algorithm = info.data.get("caller_algorithm")
        for number, key in enumerate(keys if algorithm else (), start=1):
            try:
                parse(key, algorithm)
            except ValueError as problem:
                raise ValueError(f"key {number}: {problem}") from None
        return keys

    @model_validator(mode="after")
    def _callers_can_be_known(self) -> Self:
        if not self.trust_user_id and not self.caller_keys:
            raise ValueError("set CALLER_KEYS, or TRUST_USER_ID=true for a demo: no caller could be believed")
        return self


class Claims(BaseModel):
    """What a caller token says; a token that could live for longer than ten minutes says nothing."""

    sub: USER_ID
    roles: list[str] = []
    iat: _Seconds
    nbf: _Seconds = 0
    exp: _Seconds

    @model_validator(mode="after")
    def _is_short_lived(self) -> Self:
        if not 0 <= self.exp - self.iat <= MAX_LIFE_SECONDS:
            raise ValueError(f"a caller_token lives for at most {MAX_LIFE_SECONDS} seconds")
        return self


async def prove(asking: Asking, settings: CallerSettings, read_at: float, accepted_at: AcceptedAt) -> Caller:
    """Who sent it. A token has to be good when Restate accepts what it came with, however late it is read (`read_at`).

    Raises: `Refused` 401 when the caller is not proven; never says more than that about a token.
    """
    if asking.caller_token is not None:
        return await _from_token(asking.caller_token, settings, read_at, accepted_at)
    if not settings.trust_user_id:
        raise Refused(401, "caller_unknown", "a caller_token is required", "caller_token")
    if asking.user_id is None:
        raise Refused(401, "caller_unknown", "say who asks: user_id or caller_token", "user_id")
    return Caller(user_id=asking.user_id)


async def _from_token(token: str, settings: CallerSettings, read_at: float, accepted_at: AcceptedAt) -> Caller:
    claims = _signed(token, settings)
    now = read_at + max(0, SKEW.ahead)  # our clock may be behind
    if claims is None or max(claims.iat, claims.nbf) > now + LEEWAY_SECONDS:
        raise Refused(401, "caller_token_invalid", "the caller_token is not valid", "caller_token")
    good_until = claims.exp + LEEWAY_SECONDS
    if good_until < read_at and good_until < await accepted_at():
        raise Refused(401, "caller_token_expired", "the caller_token has expired", "caller_token")
    return Caller(user_id=claims.sub, roles=claims.roles)


def _signed(token: str, settings: CallerSettings) -> Claims | None:
    """What the token says, if one of the keys signed it; its times are the caller's of this to judge."""
    for key in settings.caller_keys:
        try:
            return Claims.model_validate(_decode(token, key, settings))
        except (jwt.PyJWTError, ValidationError, RecursionError):
            continue
    return None


def _decode(token: str, key: str, settings: CallerSettings) -> object:
    return jwt.decode(
        token,
        parse(key, settings.caller_algorithm),
        algorithms=[settings.caller_algorithm],
        audience=settings.caller_audience,
        issuer=settings.caller_issuer or None,
        options={
            "require": ["exp", "iat", "sub", "aud"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
