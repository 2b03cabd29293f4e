"""Who is asking: a customer by a signed token, or by a plain user id where that is trusted; staff by tokens alone.

A token may say what it is good for (`purpose`): one question, one conversation. Then it is good for nothing else.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple, Protocol, Self

import jwt
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from contracts import STAFF_NAME_PATTERN, USER_ID, Caller
from runtime.caller_keys import Algorithm, parse
from runtime.clock import SKEW
from runtime.errors import Refused
from runtime.settings import RestateServiceSettings, Settings, Words

MAX_LIFE_SECONDS = 600
LEEWAY_SECONDS = 5
"""How far the clocks of whoever signs and of this process may be apart."""

AcceptedAt = Callable[[], Awaitable[float]]
"""Says when Restate accepted the question, in seconds since the epoch."""

_Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


FOR_THE_LIST = "conversations"
"""The purpose of a token that reads which conversations its customer has."""
FOR_TICKETS = "tickets"
FOR_KEYS = "api-keys"
"""The purpose of a token by which the gateway asks whether a machine's key is good."""


def for_question(message: str) -> str:
    """The purpose of a token that asks this one question."""
    return f"question/{hashlib.sha256(message.encode()).hexdigest()}"


def for_conversation(conversation: str) -> str:
    """The purpose of a token that reads, changes and watches this one conversation."""
    return f"conversation/{conversation}"


class Asking(Protocol):
    """What comes from a client and says who sent it."""

    @property
    def user_id(self) -> str | None: ...

    @property
    def caller_token(self) -> str | None: ...


class Staff(BaseModel):
    """A member of staff, with the roles that their token told."""

    name: str
    roles: list[str] = []


class TokenRules(NamedTuple):
    """What a token has to be signed with and meant for. `field` is where it stands in a request."""

    field: str
    algorithm: Algorithm
    keys: tuple[str, ...]
    issuer: str
    audience: str


class CallerRules(RestateServiceSettings):
    """By what a service knows callers. Without keys, and where no plain `user_id` is trusted, it believes nobody."""

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
        return fitting(keys, info.data.get("caller_algorithm"))

    @property
    def caller_rules(self) -> TokenRules:
        keys, issuer = self.caller_keys, self.caller_issuer
        return TokenRules("caller_token", self.caller_algorithm, keys, issuer, self.caller_audience)


class CallerSettings(CallerRules):
    """A service that clients reach, and that has to know them."""

    @model_validator(mode="after")
    def _callers_can_be_known(self) -> Self:
        if not self.trust_user_id and not self.caller_keys:
            raise ValueError("set CALLER_KEYS, or TRUST_USER_ID=true for a demo: no caller could be believed")
        return self


class StaffSettings(Settings):
    """A service that members of staff reach. Without keys it believes none of them."""

    staff_algorithm: Algorithm = Field(default="HS256", description="How staff tokens are signed")
    staff_keys: Words = Field(
        default=(), description="Keys that sign staff tokens: shared secrets or PEM public keys; none: no staff"
    )
    staff_issuer: str = Field(default="", description="Required `iss` of staff tokens; empty: not checked")
    staff_audience: str = Field(default="switchboard-staff", description="Required `aud` of staff tokens")

    @field_validator("staff_keys")
    @classmethod
    def _staff_keys_fit(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return fitting(keys, info.data.get("staff_algorithm"))

    @property
    def staff_rules(self) -> TokenRules:
        return TokenRules("staff_token", self.staff_algorithm, self.staff_keys, self.staff_issuer, self.staff_audience)


def fitting(keys: tuple[str, ...], algorithm: Algorithm | None) -> tuple[str, ...]:
    """Raises: ValueError for a key that the algorithm cannot use."""
    for number, key in enumerate(keys if algorithm else (), start=1):
        try:
            parse(key, algorithm)
        except ValueError as problem:
            raise ValueError(f"key {number}: {problem}") from None
    return keys


class Claims(BaseModel):
    """What a token says; one that could live for longer than ten minutes says nothing."""

    sub: USER_ID
    roles: list[str] = []
    purpose: str = ""
    iat: _Seconds
    nbf: _Seconds = 0
    exp: _Seconds

    @model_validator(mode="after")
    def _is_short_lived(self) -> Self:
        if not 0 <= self.exp - self.iat <= MAX_LIFE_SECONDS:
            raise ValueError(f"a token lives for at most {MAX_LIFE_SECONDS} seconds")
        return self


async def prove(
    asking: Asking, settings: CallerRules, read_at: float, accepted_at: AcceptedAt, purpose: str = ""
) -> Caller:
    """Who sent it. A token has to be good when Restate accepts what it came with, however late it is read (`read_at`),
    and one that was made for another purpose is not good here.

    Raises: `Refused` 401 when the caller is not proven; never says more than that about a token.
    """
    if asking.caller_token is not None:
        claims = await _proven(asking.caller_token, settings.caller_rules, read_at, accepted_at, purpose)
        return Caller(user_id=claims.sub, roles=claims.roles)
    if not settings.trust_user_id:
        raise Refused(401, "caller_unknown", "a caller_token is required", "caller_token")
    if asking.user_id is None:
        raise Refused(401, "caller_unknown", "say who asks: user_id or caller_token", "user_id")
    return Caller(user_id=asking.user_id)


async def prove_staff(token: str, settings: StaffSettings, read_at: float, accepted_at: AcceptedAt) -> Staff:
    """The member of staff who sent it. Raises: `Refused` 401 when that is not proven."""
    claims = await _proven(token, settings.staff_rules, read_at, accepted_at)
    if not re.fullmatch(STAFF_NAME_PATTERN, claims.sub):
        raise Refused(401, "staff_token_invalid", "the staff_token is not valid", "staff_token")
    return Staff(name=claims.sub, roles=claims.roles)


def must_be(role: str, staff: Staff) -> None:
    """Raises: `Refused` 403 for a member of staff without this role."""
    if role not in staff.roles:
        raise Refused(403, "staff_role", f"this is for staff with the role {role}", "staff_token")


async def _proven(token: str, rules: TokenRules, read_at: float, accepted_at: AcceptedAt, purpose: str = "") -> Claims:
    claims, name = _signed(token, rules), rules.field
    now = read_at + max(0, SKEW.ahead)  # our clock may be behind
    if claims is None or claims.purpose not in ("", purpose) or max(claims.iat, claims.nbf) > now + LEEWAY_SECONDS:
        raise Refused(401, f"{name}_invalid", f"the {name} is not valid", name)
    good_until = claims.exp + LEEWAY_SECONDS
    if good_until < read_at and good_until < await accepted_at():
        raise Refused(401, f"{name}_expired", f"the {name} has expired", name)
    return claims


def _signed(token: str, rules: TokenRules) -> Claims | None:
    """What the token says, if one of the keys signed it; its times are the caller's of this to judge."""
    for key in rules.keys:
        try:
            return Claims.model_validate(_decode(token, key, rules))
        except (jwt.PyJWTError, ValidationError, RecursionError):
            continue
    return None


def _decode(token: str, key: str, rules: TokenRules) -> object:
    return jwt.decode(
        token,
        parse(key, rules.algorithm),
        algorithms=[rules.algorithm],
        audience=rules.audience,
        issuer=rules.issuer or None,
        options={
            "require": ["exp", "iat", "sub", "aud"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
