"""Who is asking: a signed token, or a plain user id where that is trusted."""

from typing import Any

import jwt
from pydantic import TypeAdapter, ValidationError

from contracts import Caller, Question
from contracts.question import USER_ID
from router.settings import RouterSettings
from router.steps import Moment
from runtime.errors import Refused

_USER_ID: TypeAdapter[str] = TypeAdapter(USER_ID)
_LEEWAY_SECONDS = 5


def prove(question: Question, settings: RouterSettings, moment: Moment) -> Caller:
    """The caller of a question. A token that was good when the question was first looked at is good in later attempts.

    Raises: `Refused` 401 when the caller is not proven; never says more than that about a token.
    """
    if question.caller_token is not None:
        return _from_token(question.caller_token, settings, moment.seconds_since_first())
    if not settings.trust_user_id:
        raise Refused(401, "caller_unknown", "a caller_token is required", "caller_token")
    if question.user_id is None:
        raise Refused(401, "caller_unknown", "say who asks: user_id or caller_token", "user_id")
    return Caller(user_id=question.user_id)


def _from_token(token: str, settings: RouterSettings, ago: float) -> Caller:
    for key in settings.caller_keys:
        try:
            claims = _decode(token, key, settings, ago)
            roles: Any = claims.get("roles", [])
            return Caller(user_id=_USER_ID.validate_python(claims["sub"]), roles=roles)
        except jwt.ExpiredSignatureError:
            raise Refused(401, "caller_token_expired", "the caller_token has expired", "caller_token") from None
        except (jwt.PyJWTError, ValidationError):
            continue
    raise Refused(401, "caller_token_invalid", "the caller_token is not valid", "caller_token")


def _decode(token: str, key: str, settings: RouterSettings, ago: float) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=[settings.caller_algorithm],
        audience=settings.caller_audience,
        issuer=settings.caller_issuer or None,
        leeway=_LEEWAY_SECONDS + ago,
        options={"require": ["exp", "sub", "aud"]},
    )
