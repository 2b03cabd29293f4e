"""The keys that caller tokens are checked with, parsed once, at start."""

from functools import cache
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
Key = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

MIN_SECRET_BYTES = 32
MIN_RSA_BITS = 2048


@cache
def parse(text: str, algorithm: Algorithm) -> Key:
    """The key of this text; for `HS256` a shared secret, for all others a public key in PEM, or a certificate, of which
    the key alone counts.

    Raises: ValueError, without a word of the key, if it is none or does not fit the algorithm.
    """
    return _secret(text) if algorithm == "HS256" else _public_key(text, algorithm)


def _secret(text: str) -> bytes:
    if "-----BEGIN" in text:
        raise ValueError("a key in PEM cannot be the shared secret that HS256 needs; set CALLER_ALGORITHM to fit it")
    secret = text.encode()
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"a secret for HS256 has at least {MIN_SECRET_BYTES} bytes, this one has {len(secret)}")
    return secret


def _public_key(text: str, algorithm: Algorithm) -> Key:
    try:
        if "-----BEGIN CERTIFICATE-----" in text:
            key = load_pem_x509_certificate(text.encode()).public_key()
        else:
            key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{algorithm} needs a public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
    match key:
        case RSAPublicKey() if algorithm == "RS256" and key.key_size >= MIN_RSA_BITS:
            return key
        case EllipticCurvePublicKey() if algorithm == "ES256" and isinstance(key.curve, SECP256R1):
            return key
        case Ed25519PublicKey() | Ed448PublicKey() if algorithm == "EdDSA":
            return key
        case _:
            raise ValueError(f"{algorithm} needs {_NEEDED[algorithm]}, not this kind of key")


_NEEDED = {
    "RS256": f"an RSA key of at least {MIN_RSA_BITS} bits",
    "ES256": "a key on the curve P-256",
    "EdDSA": "an Ed25519 or Ed448 key",
}
