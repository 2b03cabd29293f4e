"""What a tool believes about its caller: a token that the router made for a call of this service, and nothing else."""

import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr

from contracts import Caller
from router.settings import RouterSettings
from router.signing import sign_customer_check, sign_plan
from router.turn import Limits, Plan, RunFacts
from runtime.call_tokens import TOKEN_HEADER, CallSigner, ProvenCallers
from runtime.errors import Refused
from tests.parts.signed import PRIVATE, PUBLIC, pem_of, token_for
from users.settings import UserSettings

OTHER_PRIVATE, OTHER_PUBLIC = pem_of(ed25519.Ed25519PrivateKey.generate())
P256 = ec.generate_private_key(ec.SECP256R1())
P256_PRIVATE = P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
P256_PUBLIC = P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def call(headers: dict[str, str], service: str = "Tickets") -> Any:
    request = SimpleNamespace(headers=headers, id="inv_1")
    return SimpleNamespace(
        request=lambda: request, handler=SimpleNamespace(service_tag=SimpleNamespace(name=service), name="get")
    )


def callers(keys: str = PUBLIC, accepted_ago: float | None = None) -> ProvenCallers:
    async def accepted_at(invocation_id: str) -> float:
        assert accepted_ago is not None, "when the call was accepted does not matter here"
        assert invocation_id == "inv_1"
        return time.time() - accepted_ago

    return ProvenCallers(keys, accepted_at)


async def test_a_signed_caller_is_believed() -> None:
    headers = {TOKEN_HEADER: token_for("Tickets", "user_1")}
    assert await callers().of(call(headers)) == "user_1"
    assert await callers(OTHER_PUBLIC + PUBLIC).of(call(headers)) == "user_1"


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    told = {
        "sub": "user_1",
        "run": "inv_1",
        "call": "call_1_1",
        "aud": "Tickets",
        "iat": now,
        "exp": now + 60,
    } | changed
    return {name: value for name, value in told.items() if value is not None}


def encoded(**changed: Any) -> str:
    return jwt.encode(claims(**changed), PRIVATE, "EdDSA")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-switchboard-caller": "user_1"},
        {TOKEN_HEADER: ""},
        {TOKEN_HEADER: "user_1"},
        {TOKEN_HEADER: "W1tb" * 900 + ".e30.x"},
        {TOKEN_HEADER: "x" * 5000},
        {TOKEN_HEADER: token_for("UserDatabase", "user_1")},
        {TOKEN_HEADER: token_for("Tickets", "user_1", key=OTHER_PRIVATE)},
        {TOKEN_HEADER: jwt.encode(claims(), "", "none")},
        {TOKEN_HEADER: jwt.encode(claims(), "a-secret-of-32-bytes-for-the-tests", "HS256")},
        *({TOKEN_HEADER: encoded(**{name: None})} for name in ("sub", "run", "call", "aud", "iat", "exp")),
        {TOKEN_HEADER: encoded(sub="user\n1")},
        {TOKEN_HEADER: encoded(exp=float("inf"))},
        {TOKEN_HEADER: encoded(aud=None, sub="Tickets")},
    ],
)
async def test_nothing_else_is_believed(headers: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        await callers().of(call(headers))
    assert (refused.value.status_code, refused.value.code) == (401, "call_token_invalid")


@pytest.mark.parametrize(("accepted_ago", "believed"), [(7200, True), (3601, True), (3500, False), (0, False)])
async def test_a_call_that_was_accepted_in_time_is_made_however_late(accepted_ago: float, believed: bool) -> None:
    expired = {TOKEN_HEADER: token_for("Tickets", "user_1", exp=int(time.time()) - 3600)}
    if believed:
        assert await callers(accepted_ago=accepted_ago).of(call(expired)) == "user_1"
        return
    with pytest.raises(Refused) as refused:
        await callers(accepted_ago=accepted_ago).of(call(expired))
    assert refused.value.code == "call_token_expired"


def test_a_plan_of_a_remote_call_is_signed_and_a_local_one_is_not() -> None:
    now = int(time.time())
    limits = Limits(turns=1, calls=1, tokens=1, seconds=120, errors=1)
    facts = RunFacts(caller=Caller(user_id="user_1"), limits=limits, started_at=now, check_customer="UserDatabase/is")
    remote, local = (
        Plan(call_id="call_1_1", tool="t", arguments="{}", service="Tickets"),
        Plan.model_construct(service=""),
    )
    for plan in (remote, local):
        sign_plan(CallSigner(SecretStr(PRIVATE)), plan, "inv_1", facts, 100)
    sign_customer_check(CallSigner(SecretStr(PRIVATE)), "inv_1", facts)
    told = jwt.decode(remote.token, PUBLIC, ["EdDSA"], audience="Tickets", options={"verify_iat": False})
    assert told == claims(iat=now + 20, exp=now + 180)
    assert local.token == ""
    sign_plan(CallSigner(SecretStr(PRIVATE)), remote, "inv_1", facts, 100, people=600)
    told = jwt.decode(remote.token, PUBLIC, ["EdDSA"], audience="Tickets", options={"verify_iat": False})
    assert told == claims(iat=now + 20, exp=now + 780)
    checked = jwt.decode(facts.check_token, PUBLIC, ["EdDSA"], audience="UserDatabase")
    assert (checked["sub"], checked["call"]) == ("user_1", "check_customer")


@pytest.mark.parametrize(
    "key", ["", "secret", PUBLIC, P256_PRIVATE, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_cannot_sign_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TRUST_USER_ID", "true")
    monkeypatch.setenv("CALL_KEY", key)
    with pytest.raises(SystemExit, match="setting CALL_KEY: "):
        RouterSettings.read()


@pytest.mark.parametrize("keys", ["", "secret", PRIVATE, P256_PUBLIC, PUBLIC + P256_PUBLIC])
def test_keys_that_cannot_check_are_refused_at_start(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://users_app@localhost/switchboard")
    monkeypatch.setenv("CALL_KEYS", keys)
    with pytest.raises(SystemExit, match="setting CALL_KEYS: "):
        UserSettings.read()


async def test_a_call_of_a_conversation_says_which() -> None:
    limits = Limits(turns=1, calls=1, tokens=1, seconds=120, errors=1)
    talk, now = "conv_0123456789abcdef", time.time()
    facts = RunFacts(caller=Caller(user_id="user_1"), limits=limits, started_at=now, conversation=talk)
    plan = Plan(call_id="call_1_1", tool="get", arguments="{}", service="Tickets")

    sign_plan(CallSigner(SecretStr(PRIVATE)), plan, "inv_2", facts, 60)

    assert (await callers().claims(call({TOKEN_HEADER: plan.token}))).conversation == talk
