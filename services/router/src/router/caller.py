"""Who is asking: a signed token, or a plain user id where that is trusted."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Self

import jwt
from pydantic import BaseModel, Field, ValidationError, model_validator

from contracts import Caller, Question
from contracts.question import USER_ID
from router.keys import parse
from router.settings import RouterSettings
from router.steps import Moment
from runtime.errors import Refused

MAX_LIFE_SECONDS = 600
LEEWAY_SECONDS = 5
"""How far the clocks of whoever signs and of this process may be apart."""

AcceptedAt = Callable[[], Awaitable[float]]
"""Says when Restate accepted the question, in seconds since the epoch."""

_Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


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


async def prove(question: Question, settings: RouterSettings, moment: Moment, accepted_at: AcceptedAt) -> Caller:
    """The caller of a question. A token has to be good when Restate accepts the question, however late it is read.

    Raises: `Refused` 401 when the caller is not proven; never says more than that about a token.
    """
    if question.caller_token is not None:
        return await _from_token(question.caller_token, settings, moment, accepted_at)
    if not settings.trust_user_id:
        raise Refused(401, "caller_unknown", "a caller_token is required", "caller_token")
    if question.user_id is None:
        raise Refused(401, "caller_unknown", "say who asks: user_id or caller_token", "user_id")
    return Caller(user_id=question.user_id)


async def _from_token(token: str, settings: RouterSettings, moment: Moment, accepted_at: AcceptedAt) -> Caller:
    claims = _signed(token, settings)
    read_at = moment.first_started_at
    if claims is None or max(claims.iat, claims.nbf) > read_at + LEEWAY_SECONDS:
        raise Refused(401, "caller_token_invalid", "the caller_token is not valid", "caller_token")
    good_until = claims.exp + LEEWAY_SECONDS
    if good_until < read_at and good_until < await accepted_at():
        raise Refused(401, "caller_token_expired", "the caller_token has expired", "caller_token")
    return Caller(user_id=claims.sub, roles=claims.roles)


def _signed(token: str, settings: RouterSettings) -> Claims | None:
    """What the token says, if one of the keys signed it; its times are the caller's of this to judge."""
    for key in settings.caller_keys:
        try:
            return Claims.model_validate(_decode(token, key, settings))
        except (jwt.PyJWTError, ValidationError, RecursionError):
            continue
    return None


def _decode(token: str, key: str, settings: RouterSettings) -> object:
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
