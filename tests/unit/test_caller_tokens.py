"""Which keys the router takes for caller tokens, and which tokens it believes, at which time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from contracts import Question
from router.settings import RouterSettings
from runtime.errors import Refused
from runtime.proof import prove
from tests.parts.signed import PRIVATE

SECRET = "a-secret-of-32-bytes-for-the-tests"


def public(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def certificate(key: Any) -> str:
    """As the chart makes one, since Helm derives no public key; it ended long ago, which says nothing of the key."""
    name, begin = x509.Name([]), datetime(2020, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=1))
    return made.sign(key, None).public_bytes(Encoding.PEM).decode()


GARBAGE = "-----BEGIN PUBLIC KEY-----\nbm90IGEga2V5\n-----END PUBLIC KEY-----"


def configured(monkeypatch: pytest.MonkeyPatch, keys: str, algorithm: str) -> RouterSettings:
    monkeypatch.setenv("CALLER_KEYS", keys)
    monkeypatch.setenv("CALLER_ALGORITHM", algorithm)
    monkeypatch.setenv("CALL_KEY", PRIVATE)
    return RouterSettings.read()


@pytest.mark.parametrize(
    ("keys", "algorithm", "advice"),
    [
        ("a", "HS256", "at least 32 bytes"),
        ("x" * 31, "HS256", "at least 32 bytes"),
        (f"{SECRET},short", "HS256", "key 2"),
        (public(RSA), "HS256", "PEM"),
        (private(ED25519), "HS256", "PEM"),
        (SECRET, "RS256", "public key in PEM"),
        (GARBAGE, "RS256", "public key in PEM"),
        (GARBAGE, "EdDSA", "public key in PEM"),
        (GARBAGE.replace("PUBLIC KEY", "CERTIFICATE"), "EdDSA", "public key in PEM"),
        (certificate(ED25519), "RS256", "an RSA key"),
        (private(RSA), "RS256", "public key in PEM"),
        (public(ED25519), "RS256", "an RSA key"),
        (public(WEAK_RSA), "RS256", "2048 bits"),
        (public(P384), "ES256", "P-256"),
        (public(RSA), "ES256", "P-256"),
        (public(P256), "EdDSA", "Ed25519"),
        (f"{public(ED25519)},{public(RSA)}", "EdDSA", "key 2"),
    ],
)
def test_a_key_that_cannot_check_a_token_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, keys: str, algorithm: str, advice: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        configured(monkeypatch, keys, algorithm)
    assert "setting CALLER_KEYS: key " in str(ended.value)
    assert advice in str(ended.value)
    assert len(keys) < 10 or keys not in str(ended.value)


@pytest.mark.parametrize(
    ("signing", "keys", "algorithm"),
    [
        (SECRET, SECRET, "HS256"),
        (SECRET, f"the-next-secret-of-at-least-32-bytes,{SECRET}", "HS256"),
        (RSA, public(RSA), "RS256"),
        (P256, public(P256), "ES256"),
        (ED25519, f"{public(ED25519)},{public(ed25519.Ed25519PrivateKey.generate())}", "EdDSA"),
        (ED25519, f"{public(ed25519.Ed25519PrivateKey.generate())},{certificate(ED25519)}", "EdDSA"),
    ],
)
async def test_a_key_that_fits_checks_tokens(
    monkeypatch: pytest.MonkeyPatch, signing: Any, keys: str, algorithm: str
) -> None:
    settings = configured(monkeypatch, keys, algorithm)
    caller = await prove(asked(jwt.encode(claims(), signing, algorithm)), settings, at(), never_asked)
    assert (caller.user_id, caller.roles) == ("user_t", ["staff"])


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"sub": "user_t", "aud": "switchboard", "roles": ["staff"], "iat": now, "exp": now + 600} | changed
    return {name: value for name, value in said.items() if value is not None}


def asked(token: str) -> Question:
    return Question(message="hello", caller_token=token)


def at(seconds_ago: float = 0) -> float:
    return time.time() - seconds_ago


async def never_asked() -> float:
    raise AssertionError("when the question was accepted does not matter here")


async def test_a_token_is_good_although_our_clock_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.proof.SKEW.ahead", 40.0)
    settings = configured(monkeypatch, SECRET, "HS256")
    token = jwt.encode(claims(), SECRET, "HS256")
    assert (await prove(asked(token), settings, at(40), never_asked)).user_id == "user_t"
    with pytest.raises(Refused):
        await prove(asked(token), settings, at(80), never_asked)


NOW = int(time.time())
NESTED = "e30." + "W1tb" * 900 + ".x"
INVALID: dict[str, Any] = {
    "no iat": {"iat": None},
    "no exp": {"exp": None},
    "no sub": {"sub": None},
    "no aud": {"aud": None},
    "eleven minutes": {"iat": NOW, "exp": NOW + 660},
    "ten years": {"exp": NOW + 10 * 365 * 86400},
    "for ever": {"exp": 1e30},
    "infinity": {"exp": float("inf")},
    "no number": {"exp": float("nan")},
    "iat is infinity": {"iat": float("-inf")},
    "nbf is infinity": {"nbf": float("inf")},
    "exp as text": {"exp": str(NOW + 60)},
    "ends before it begins": {"iat": NOW, "exp": NOW - 60},
    "issued next year": {"iat": NOW + 365 * 86400, "exp": NOW + 365 * 86400 + 60},
    "not good yet": {"nbf": NOW + 86400},
    "audience of another": {"aud": "elsewhere"},
    "no user id": {"sub": ""},
    "a user id of many lines": {"sub": "user\n1"},
    "roles are a word": {"roles": "staff"},
}


@pytest.mark.parametrize("changed", INVALID.values(), ids=INVALID)
async def test_a_token_that_says_too_little_or_lives_too_long_is_refused(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    settings = configured(monkeypatch, SECRET, "HS256")
    with pytest.raises(Refused) as refused:
        await prove(asked(jwt.encode(claims(**changed), SECRET, "HS256")), settings, at(), never_asked)
    assert refused.value.code == "caller_token_invalid"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "W1tb" * 900 + ".e30.x",
        NESTED,
        jwt.encode(claims(), "", "none"),
        jwt.encode(claims(), ED25519, "EdDSA"),
        jwt.encode(claims(), "another-secret-of-32-bytes-or-more", "HS256"),
    ],
)
async def test_what_nobody_known_has_signed_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    settings = configured(monkeypatch, SECRET, "HS256")
    with pytest.raises(Refused) as refused:
        await prove(asked(token), settings, at(), never_asked)
    assert refused.value.code == "caller_token_invalid"


@pytest.mark.parametrize(
    ("expired", "accepted", "believed"),
    [(3600, 3700, True), (3600, 3602, True), (3600, 3598, True), (3600, 3500, False), (60, 0, False)],
    ids=["accepted long before", "just before", "within the leeway", "after it had expired", "just now"],
)
async def test_a_token_has_to_be_good_when_the_question_is_accepted(
    monkeypatch: pytest.MonkeyPatch, expired: int, accepted: int, believed: bool
) -> None:
    settings = configured(monkeypatch, SECRET, "HS256")
    now = int(time.time())
    token = jwt.encode(claims(iat=now - expired - 300, exp=now - expired), SECRET, "HS256")

    async def accepted_at() -> float:
        return now - accepted

    if believed:
        assert (await prove(asked(token), settings, at(), accepted_at)).user_id == "user_t"
        return
    with pytest.raises(Refused) as refused:
        await prove(asked(token), settings, at(), accepted_at)
    assert refused.value.code == "caller_token_expired"


async def test_a_token_that_was_good_at_first_is_good_at_later_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configured(monkeypatch, SECRET, "HS256")
    now = int(time.time())
    token = jwt.encode(claims(iat=now - 400, exp=now - 100), SECRET, "HS256")
    assert (await prove(asked(token), settings, at(seconds_ago=200), never_asked)).user_id == "user_t"
