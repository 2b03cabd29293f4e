"""The default values alone: whom they believe, and what outlives an upgrade, and the release itself."""

import base64
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest

from tests.cluster.conftest import NewNamespace
from tests.cluster.parts.product import CUSTOMER, Product
from tests.cluster.parts.questions import TICKET
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, request
from tests.parts.signed import PRIVATE

SECRETS = {
    *("switchboard-call-key", "switchboard-caller-key", "switchboard-names"),
    *("switchboard-database", "switchboard-restate-identity"),
}

NEW_CUSTOMER = """
INSERT INTO users.customers (user_id, name, email, company, country, plan, status, customer_since)
VALUES ('user_kept', 'Kim Kept', 'kim@example.com', 'Kept', 'DE', 'pro', 'active', '2026-01-01')
"""


@pytest.fixture(scope="module")
async def plain(new_namespace: NewNamespace) -> AsyncIterator[Product]:
    product = Product(await new_namespace("defaults"), {}, demo=False)
    await product.release.install()
    await product.open()
    yield product
    await product.close()
    await product.namespace.end()


async def test_a_caller_is_believed_with_a_token_of_the_charts_key(plain: Product) -> None:
    reply = await ask(plain, caller_token=signed(await caller_key(plain)))
    assert (reply.status_code, reply.json()["outcome"]) == (200, "answered"), reply.text


@pytest.mark.parametrize("caller", [{}, {"user_id": CUSTOMER}])
async def test_a_caller_without_a_token_is_refused(plain: Product, caller: dict[str, str]) -> None:
    reply = await ask(plain, **caller)
    assert reply.status_code == 401, reply.text


async def test_a_token_that_another_key_signed_is_refused(plain: Product) -> None:
    reply = await ask(plain, caller_token=signed(PRIVATE))
    assert reply.status_code == 401, reply.text


async def test_an_upgrade_to_the_same_values_changes_no_key_no_version_and_no_pod(plain: Product) -> None:
    before = await standing(plain)
    for _ in range(2):
        await plain.release.upgrade()
        assert await standing(plain) == before


@pytest.mark.timeout(600)
async def test_an_install_in_the_place_of_another_finds_its_keys_and_data(plain: Product) -> None:
    keys = await secrets(plain)
    question = uuid.uuid4().hex
    before = await ask(plain, question, caller_token=signed(await caller_key(plain)))
    (ticket,), tickets = before.json()["tickets"], await plain.tickets()
    assert ticket in tickets
    await plain.sql(NEW_CUSTOMER)

    await plain.release.uninstall()
    assert await plain.namespace.get("deployments,statefulsets") == []
    await plain.release.install()

    assert await secrets(plain) == keys
    assert await plain.tickets() == tickets
    assert await plain.sql("SELECT name FROM users.customers WHERE user_id = 'user_kept'") == "Kim Kept"
    again = await ask(plain, question, caller_token=signed(await caller_key(plain)))
    assert again.json() == before.json()
    assert "PASSED" in await plain.release.test()


async def ask(product: Product, key: str = "", **caller: str) -> HttpReply:
    """Asks for a ticket, as soon as the port-forward leads to the ingress."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    url = f"{product.ingress.url}/restate/call/ToolRouter/route"

    async def reply() -> HttpReply | None:
        try:
            return await request("POST", url, {"message": TICKET, **caller}, headers)
        except (aiohttp.ClientError, OSError):
            return None

    return await eventually(reply, 30)


def signed(key: str) -> str:
    now = int(time.time())
    claims = {"sub": CUSTOMER, "aud": "switchboard", "iat": now, "exp": now + 300}
    return jwt.encode(claims, key, algorithm="EdDSA")


async def caller_key(product: Product) -> str:
    """What the gateway signs with."""
    return base64.b64decode((await secrets(product))["switchboard-caller-key"]["private.pem"]).decode()


async def secrets(product: Product) -> dict[str, Any]:
    found = {each["metadata"]["name"]: each["data"] for each in await product.namespace.get("secrets")}
    return {name: found[name] for name in SECRETS}


async def standing(product: Product) -> dict[str, Any]:
    """What an upgrade to nothing new must leave alone. Pods of jobs come and go."""
    deployments = {each["metadata"]["name"] for each in await product.namespace.get("deployments")}
    pods = [each["metadata"] for each in await product.namespace.get("pods")]
    served = {pod["uid"] for pod in pods if pod["ownerReferences"][0]["kind"] != "Job"}
    return {"secrets": await secrets(product), "deployments": deployments, "pods": served}
