"""Caller tokens: what the rooms behind the gateway know a caller by. Each is good for a minute, and for one purpose."""

import time
import uuid
from typing import Any

import jwt

from gateway.callers import Visitor
from gateway.settings import GatewaySettings
from runtime.call_tokens import ALGORITHM, private_key

LIFE_SECONDS = 60


class Signer:
    def __init__(self, settings: GatewaySettings) -> None:
        self._key = private_key(settings.signing_key.get_secret_value())
        self._audience, self._issuer = settings.caller_audience, settings.caller_issuer

    def token(self, visitor: Visitor, purpose: str) -> str:
        """Names the visitor to whoever does what `purpose` says, as `runtime.proof` spells it."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "sub": visitor.user_id,
            "aud": self._audience,
            "iat": now,
            "exp": now + LIFE_SECONDS,
            "jti": uuid.uuid4().hex,
            "purpose": purpose,
        }
        if visitor.roles:
            claims["roles"] = list(visitor.roles)
        if self._issuer:
            claims["iss"] = self._issuer
        return jwt.encode(claims, self._key, ALGORITHM)
