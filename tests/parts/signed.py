"""Calls of tools as the router makes them: with a signed caller."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runtime.call_tokens import ALGORITHM, TOKEN_HEADER


def pem_of(key: Ed25519PrivateKey) -> tuple[str, str]:
    """The private and the public key in PEM."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


PRIVATE, PUBLIC = pem_of(Ed25519PrivateKey.generate())
KEYS = {"CALL_KEY": PRIVATE, "CALL_KEYS": PUBLIC}
"""What every service of a test is told; each takes its own."""


def token_for(service: str, user_id: str, *, key: str = PRIVATE, **claims: Any) -> str:
    """A token of the router's for one call of this service; `claims` are others than usual."""
    now = int(time.time())
    told = {"sub": user_id, "run": "inv_1", "call": "call_1_1", "aud": service, "iat": now, "exp": now + 180} | claims
    return jwt.encode(told, key, ALGORITHM)


def told_for(service: str, user_id: str, **claims: Any) -> dict[str, str]:
    """The header of such a call."""
    return {TOKEN_HEADER: token_for(service, user_id, **claims)}
