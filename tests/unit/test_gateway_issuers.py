"""Tokens of an identity provider: which let somebody in, and at least a hundred that let in nobody."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

import runtime.issuer
from gateway.issuers import IssuerDoor
from gateway.settings import GatewaySettings, Issuer
from runtime.api.problems import Problem
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.issuer import AUDIENCE, ED25519, OTHER_RSA, P256, RSA, WEAK_RSA, FakeIssuer, fake_issuer, jwk

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")

PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOW = int(time.time())


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with fake_issuer() as issuer:
        yield issuer


def door(issuer: FakeIssuer, http: aiohttp.ClientSession, **more: Any) -> IssuerDoor:
    told = {"issuer": issuer.url, "audience": AUDIENCE, "algorithms": ["RS256", "ES256"], "roles_claim": "roles"}
    return IssuerDoor((Issuer.model_validate(told | more),), http)


async def test_a_good_token_names_its_customer(issuer: FakeIssuer, http: aiohttp.ClientSession) -> None:
    one, now = door(issuer, http), int(time.time())
    for token in (
        issuer.token(roles=["admin", 5, "no good\n"]),
        issuer.token(P256, "ES256", {"kid": "ec"}, roles="admin"),
        issuer.token(roles=["admin"], aud=["another", AUDIENCE], nbf=now - 5),
        issuer.token(headers={"kid": "rsa", "typ": "at+jwt"}, roles=["admin"]),
        issuer.token(headers={}, roles=["admin"]),
        issuer.token(iat=now + 20, exp=now + 600, roles=["admin"]),
    ):
        visitor = await one.visitor(token)
        assert visitor is not None
        assert (visitor.user_id, visitor.roles) == ("user_12345", ("admin",))
        assert visitor.until is not None
    assert issuer.asked == 1


async def test_claims_and_prefixes_are_those_of_the_settings(issuer: FakeIssuer, http: aiohttp.ClientSession) -> None:
    one = door(issuer, http, user_claim="customer", tenant_claim="org", prefix="acme")
    visitor = await one.visitor(issuer.token(customer="c-7", org="north"))
    assert visitor is not None
    assert visitor.user_id == "acme.north.c-7"
    wrongs: list[dict[str, Any]] = [
        {"customer": None},
        {"customer": 7},
        {"customer": "a|b"},
        {"customer": "x" * 64},
        {"org": "a.b"},
        {"org": None},
    ]
    for wrong in wrongs:
        told: dict[str, Any] = {"customer": "c-7", "org": "north", **wrong}
        with pytest.raises(Problem, match="forbidden"):
            await one.visitor(issuer.token(**told))


def b64(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(issuer: FakeIssuer, header: Any, signature: str = "", **changed: Any) -> str:
    return f"{b64(header)}.{b64(issuer.claims(**changed))}.{signature}"


def hmac_by_public_key(issuer: FakeIssuer, algorithm: str, secret: bytes) -> str:
    head = f"{b64({'alg': algorithm, 'kid': 'rsa'})}.{b64(issuer.claims())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{head}.{b64(hmac.new(secret, head.encode(), digest).digest())}"


def altered(issuer: FakeIssuer, part: int, change: Callable[[str], str]) -> str:
    parts = issuer.token().split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


Forge = Callable[[FakeIssuer], str]
TIMES: list[dict[str, Any]] = [
    {"exp": NOW - 31},
    {"exp": NOW - 3600, "iat": NOW - 7200},
    {"exp": 0},
    {"exp": -1},
    {"exp": None},
    {"exp": "soon"},
    {"exp": "1e30"},
    {"exp": 1e30},
    {"exp": float("nan")},
    {"exp": float("inf")},
    {"exp": []},
    {"exp": {}},
    {"exp": True},
    {"exp": NOW + 90_000},
    {"exp": NOW + 10 * 365 * 86_400},
    {"iat": None},
    {"iat": NOW + 1200},
    {"iat": NOW + 3600, "exp": NOW + 4000},
    {"iat": "now"},
    {"iat": float("nan")},
    {"iat": []},
    {"iat": NOW - 100_000},
    {"iat": NOW + 25, "exp": NOW + 20},
    {"nbf": NOW + 1800},
    {"nbf": NOW + 3600},
    {"nbf": "later"},
    {"nbf": []},
    {"nbf": float("inf")},
]
NAMES: list[dict[str, Any]] = [
    {"aud": None},
    {"aud": ""},
    {"aud": "another"},
    {"aud": AUDIENCE.upper()},
    {"aud": f"{AUDIENCE} "},
    {"aud": f"{AUDIENCE}/"},
    {"aud": []},
    {"aud": ["another"]},
    {"aud": [[AUDIENCE]]},
    {"aud": {AUDIENCE: 1}},
    {"aud": 5},
    {"aud": True},
    {"aud": "switchboard"},
    {"aud": "switchboard-staff"},
    {"iss": None},
    {"iss": ""},
    {"iss": "https://evil.example"},
    {"iss": 5},
    {"iss": ["x"]},
    {"iss": {}},
]
HEADERS: list[dict[str, Any]] = [
    {"kid": "unknown"},
    {"kid": ""},
    {"kid": "ec"},
    {"kid": "../../dev/null"},
    {"kid": "rsa' OR '1'='1"},
    {"kid": "rsa", "typ": "logout+jwt"},
    {"kid": "rsa", "typ": "dpop+jwt"},
    {"kid": "rsa", "typ": "secevent+jwt"},
    {"kid": "rsa", "crit": ["b64"], "b64": True},
    {"kid": "rsa", "crit": ["exp"]},
]
ALGORITHMS = [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    "HS256",
    "HS384",
    "HS512",
    "RS384",
    "RS512",
    "PS256",
    "ES384",
    "EdDSA",
    "rs256",
    "RS256 ",
]

FORGED: dict[str, Forge] = {
    **{
        f"times {index}": lambda issuer, changed=changed: issuer.token(**changed) for index, changed in enumerate(TIMES)
    },
    **{
        f"names {index}": lambda issuer, changed=changed: issuer.token(**changed) for index, changed in enumerate(NAMES)
    },
    **{
        f"header {index}": lambda issuer, header=header: issuer.token(headers=header)
        for index, header in enumerate(HEADERS)
    },
    **{f"unsigned {alg!r}": lambda issuer, alg=alg: unsigned(issuer, {"alg": alg, "kid": "rsa"}) for alg in ALGORITHMS},
    **{
        f"signature of nothing {alg!r}": lambda issuer, alg=alg: unsigned(
            issuer, {"alg": alg, "kid": "rsa"}, b64(b"x" * 256)
        )
        for alg in ALGORITHMS
    },
    **{
        f"{alg} by the public key": lambda issuer, alg=alg, secret=secret: hmac_by_public_key(issuer, alg, secret)
        for alg in ("HS256", "HS384", "HS512")
        for secret in (PEM,)
    },
    "HS256 by the public key without a line's end": lambda issuer: hmac_by_public_key(issuer, "HS256", PEM.strip()),
    "HS256 by the modulus": lambda issuer: hmac_by_public_key(
        issuer, "HS256", RSA.public_key().public_numbers().n.to_bytes(256, "big")
    ),
    "HS256 by nothing": lambda issuer: hmac_by_public_key(issuer, "HS256", b""),
    "another's key under a known name": lambda issuer: issuer.token(OTHER_RSA),
    "another's key under its own name": lambda issuer: issuer.token(OTHER_RSA, headers={"kid": "other"}),
    "another's key that it brings along": lambda issuer: issuer.token(
        OTHER_RSA, headers={"kid": "rsa", "jwk": jwk(OTHER_RSA, "RS256")}
    ),
    "another's key at an address of its own": lambda issuer: issuer.token(
        OTHER_RSA, headers={"kid": "rsa", "jku": "http://127.0.0.1:1/keys"}
    ),
    "another's certificate": lambda issuer: issuer.token(
        OTHER_RSA, headers={"kid": "rsa", "x5u": "http://127.0.0.1:1/c"}
    ),
    "a weak key": lambda issuer: issuer.token(WEAK_RSA, headers={"kid": "rsa"}),
    "the other algorithm's key": lambda issuer: issuer.token(P256, "ES256", {"kid": "rsa"}),
    "an algorithm that is not allowed": lambda issuer: issuer.token(ED25519, "EdDSA", {"kid": "rsa"}),
    "RS512 of the right key": lambda issuer: issuer.token(RSA, "RS512"),
    "PS256 of the right key": lambda issuer: issuer.token(RSA, "PS256"),
    "no signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "two parts": lambda issuer: issuer.token().rpartition(".")[0],
    "four parts": lambda issuer: issuer.token() + ".x",
    "a changed header": lambda issuer: altered(
        issuer, 0, lambda part: part[:-2] + ("AA" if part[-2:] != "AA" else "BB")
    ),
    "changed claims": lambda issuer: altered(issuer, 1, lambda _: b64(issuer.claims(sub="user_67890"))),
    "a changed signature": lambda issuer: altered(issuer, 2, lambda part: ("A" if part[0] != "A" else "B") + part[1:]),
    "a signature of zeros": lambda issuer: altered(issuer, 2, lambda _: b64(bytes(256))),
    "the signature of another token": lambda issuer: ".".join(
        [*issuer.token(sub="a").split(".")[:2], issuer.token(sub="b").split(".")[2]]
    ),
    "claims that are a list": lambda issuer: f"{b64({'alg': 'RS256', 'kid': 'rsa'})}.{b64([1])}.AA",
    "claims that are deep": lambda issuer: f"{b64({'alg': 'RS256', 'kid': 'rsa'})}.{b64(b'[' * 5000)}.AA",
    "a header that is deep": lambda issuer: f"{b64(b'[' * 5000)}.{b64(issuer.claims())}.AA",
    "a header that is a list": lambda issuer: f"{b64([1])}.{b64(issuer.claims())}.AA",
    "no base64": lambda issuer: "a.b.c",
    "a JWE": lambda issuer: f"{b64({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d",
    "white space": lambda issuer: issuer.token().replace(".", " ."),
}


def test_they_are_at_least_a_hundred() -> None:
    assert len(FORGED) >= 100


REFUSED = ("token_invalid", "token_expired", "nobody's")


async def answered(one: IssuerDoor, token: str) -> str:
    """The problem that a token has; whom it lets in."""
    try:
        visitor = await one.visitor(token)
    except Problem as problem:
        return problem.code
    return visitor.user_id if visitor else "nobody's"


async def test_no_forged_token_lets_anybody_in(http: aiohttp.ClientSession) -> None:
    async with fake_issuer() as issuer:
        one = door(issuer, http)
        assert await one.visitor(issuer.token())
        answers = {name: await answered(one, forge(issuer)) for name, forge in FORGED.items()}
        assert {name: told for name, told in answers.items() if told not in REFUSED} == {}
        assert issuer.asked == 1, "nothing that a token says makes us ask more than once a minute"


async def test_a_key_that_names_no_algorithm_is_good_for_those_of_the_settings_alone(
    issuer: FakeIssuer, http: aiohttp.ClientSession
) -> None:
    for key in issuer.keys:
        del key["alg"]
    one = door(issuer, http)
    assert await answered(one, issuer.token()) == "user_12345"
    for algorithm in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        assert await answered(one, issuer.token(RSA, algorithm)) == "token_invalid", algorithm


async def test_a_new_key_is_found_once_a_minute_and_the_last_good_ones_stay(
    issuer: FakeIssuer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = door(issuer, http)
    assert await one.visitor(issuer.token())
    issuer.keys.append(jwk(OTHER_RSA, "RS256", kid="new"))
    newer = issuer.token(OTHER_RSA, headers={"kid": "new"})
    with pytest.raises(Problem, match="token_invalid"):
        await one.visitor(newer)
    assert issuer.asked == 1
    monkeypatch.setattr(runtime.issuer, "UNKNOWN_SECONDS", 0.0)
    assert await one.visitor(newer)
    issuer.status = 500
    with pytest.raises(Problem, match="token_invalid"):
        await one.visitor(issuer.token(headers={"kid": "newest"}))
    assert await one.visitor(newer)
    assert await one.is_ready()


async def test_while_no_key_was_ever_told_nobody_is_refused_for_good(
    issuer: FakeIssuer, http: aiohttp.ClientSession
) -> None:
    issuer.status = 500
    one = door(issuer, http)
    for _ in range(3):
        with pytest.raises(Problem, match="unavailable"):
            await one.visitor(issuer.token())
    assert issuer.asked == 1
    assert not await one.is_ready()


async def test_who_comes_while_the_first_keys_are_asked_for_waits_for_them(
    issuer: FakeIssuer, http: aiohttp.ClientSession
) -> None:
    one = door(issuer, http)
    answers = await asyncio.gather(*(answered(one, issuer.token()) for _ in range(5)))
    assert (answers, issuer.asked) == (["user_12345"] * 5, 1)


async def test_a_discovered_issuer_that_is_another_one_is_not_believed(
    issuer: FakeIssuer, http: aiohttp.ClientSession
) -> None:
    issuer.discovered = {"issuer": "https://evil.example"}
    with pytest.raises(Problem, match="unavailable"):
        await door(issuer, http).visitor(issuer.token())


async def test_keys_that_cannot_be_used_are_left_out(issuer: FakeIssuer, http: aiohttp.ClientSession) -> None:
    secret = {"kty": "oct", "k": b64(b"x" * 32), "kid": "rsa", "alg": "HS256"}
    weak = jwk(WEAK_RSA, "RS256", kid="weak")
    encrypting = jwk(RSA, "RS256", kid="enc", use="enc")
    issuer.keys = [secret, weak, encrypting, {"kty": "RSA"}, jwk(RSA, "RS256", kid="good")]
    one = door(issuer, http)
    for kid, key in (("rsa", RSA), ("weak", WEAK_RSA), ("enc", RSA)):
        with pytest.raises(Problem, match="token_invalid"):
            await one.visitor(issuer.token(key, headers={"kid": kid}))
    assert await one.visitor(issuer.token(headers={"kid": "good"}))


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"issuer": "http://id.example"}, "https alone"),
        ({"jwks_url": "http://id.example/keys"}, "https alone"),
        ({"issuer": "ftp://id.example"}, "issuer"),
        ({"audience": ""}, "audience"),
        ({"prefix": "a.b"}, "prefix"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused_at_start(told: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValidationError, match=advice):
        Issuer.model_validate({"issuer": "https://id.example", "audience": "web"} | told)


def settings(**more: Any) -> GatewaySettings:
    told = {name.lower(): value for name, value in OF_A_GATEWAY.items() if name != "DEMO_CUSTOMERS"}
    return GatewaySettings.model_validate(told | more)


def test_made_up_customers_and_real_ones_are_never_together() -> None:
    real = [{"issuer": "https://id.example", "audience": "web"}]
    made_up = [{"user_id": "user_1", "name": "A"}]
    assert settings(issuers=real)
    with pytest.raises(ValidationError, match="nobody could come in"):
        settings(api_keys=False)
    with pytest.raises(ValidationError, match="both set"):
        settings(issuers=real, demo_customers=made_up)


def test_of_several_issuers_each_has_users_of_its_own() -> None:
    first, second = ({"issuer": f"https://{name}.example", "audience": "web"} for name in ("a", "b"))
    with pytest.raises(ValidationError, match="prefix of its own"):
        settings(issuers=[first, second])
    with pytest.raises(ValidationError, match="prefix of its own"):
        settings(issuers=[{**first, "prefix": "x"}, {**second, "prefix": "x"}])
    assert settings(issuers=[{**first, "prefix": "x"}, {**second, "prefix": "y"}])
