"""The chart's default values alone, from the install to what is left of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster.conftest import NewNamespace
from tests.cluster.parts.command import run
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.product import Product
from tests.parts.polling import eventually
from tests.parts.restate import request

KEPT = {
    "persistentvolumeclaim/data-switchboard-postgres-0",
    "persistentvolumeclaim/data-switchboard-restate-0",
    "secret/switchboard-call-key",
    "secret/switchboard-caller-key",
    "secret/switchboard-database",
    "secret/switchboard-names",
    "secret/switchboard-restate-identity",
}
"""What the chart promises to keep, since nobody could make it again."""

OF_EVERY_NAMESPACE = {"configmap/kube-root-ca.crt", "serviceaccount/default"}


@pytest.fixture(scope="module")
async def plain(new_namespace: NewNamespace) -> AsyncIterator[Product]:
    product = Product(await new_namespace("plain"), {}, demo=False)
    yield product
    await product.close()
    await product.namespace.end()


@pytest.mark.timeout(600)
async def test_default_values_install_register_and_leave_only_what_they_promise(plain: Product) -> None:
    await plain.release.install("--no-hooks")
    assert await plain.namespace.running("router")
    await plain.open()
    assert await plain.query("select name from sys_service") == [], "pods must not wait for registration to be Ready"

    await plain.release.upgrade()
    assert "query_user_database" in await plain.release.test()
    assert await refused_without_a_token(plain)
    secrets = await kept_secrets(plain.namespace)

    await plain.release.uninstall()
    await gone(plain.namespace)
    assert await everything(plain.namespace) == KEPT

    await plain.release.install()
    assert "query_user_database" in await plain.release.test()
    assert await kept_secrets(plain.namespace) == secrets


async def refused_without_a_token(product: Product) -> bool:
    url = f"{product.ingress.url}/restate/call/ToolRouter/route"
    reply = await request("POST", url, {"message": "Hello!", "user_id": "user_12345"})
    return reply.status_code == 401


async def gone(namespace: Namespace) -> None:
    """Waits for pods that are still on their way out."""

    async def no_pods() -> bool:
        return not await namespace.get("pods")

    await eventually(no_pods, 90)


async def everything(namespace: Namespace) -> set[str]:
    """Every object of the namespace but events, and what any namespace has."""
    listed = await run("kubectl", "api-resources", "--namespaced", "--verbs=list", "--output=name")
    kinds = [kind for kind in listed.split() if not kind.startswith("events")]
    found = await namespace.kubectl("get", ",".join(kinds), "--ignore-not-found", "--output=name")
    return set(found.split()) - OF_EVERY_NAMESPACE


async def kept_secrets(namespace: Namespace) -> dict[str, Any]:
    return {
        each["metadata"]["name"]: each["data"]
        for each in await namespace.get("secrets")
        if f"secret/{each['metadata']['name']}" in KEPT
    }
