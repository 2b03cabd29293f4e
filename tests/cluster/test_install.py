"""One `helm install` brings up everything; questions find their tools; nothing is trusted with more than it needs."""

from typing import Any

import pytest

from tests.cluster.parts.product import Product
from tests.cluster.parts.questions import ACCOUNT, TICKET, AskedQuestion
from tests.cluster.parts.talks import Talk
from tests.parts.restate import request

pytestmark = pytest.mark.smoke

QUESTIONS = {
    "My API calls are failing, what's wrong with my account?": {"query_user_database", "check_service_status"},
    ACCOUNT: {"query_user_database"},
    "Is there an outage affecting the payment service?": {"check_service_status"},
    TICKET: {"create_support_ticket"},
}

DELETES_VERSIONS = "switchboard/deletes-versions"
KEEPS_ACCEPTED = "switchboard/keeps-accepted"
TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


async def test_helm_test_passes(product: Product) -> None:
    assert "query_user_database" in await product.release.test()


@pytest.mark.parametrize("words", QUESTIONS)
async def test_a_question_goes_to_the_tools_that_answer_it(product: Product, words: str) -> None:
    question = AskedQuestion(product, words)
    answer = await question.answer()
    assert answer["outcome"] == "answered", answer
    assert {call["tool"] for call in answer["calls"]} == QUESTIONS[words]
    assert {call["status"] for call in answer["calls"]} == {"ok"}
    tickets = [ticket for ticket, text in (await product.tickets()).items() if question.token in text]
    assert answer["tickets"] == tickets
    assert len(tickets) == (words == TICKET)


async def test_a_conversation_is_answered_and_goes_on(product: Product) -> None:
    talk = Talk(product)
    assert await talk.say(f"{TICKET} ({talk.key})") == "started"
    (first,) = await talk.answers(1)
    (ticket,) = [ticket for ticket, text in (await product.tickets()).items() if talk.key in text]
    assert ticket in first.text
    assert await talk.say(f"{ACCOUNT} ({talk.key})") == "started"
    assert len({each.run for each in await talk.answers(2)}) == 2


async def test_the_gateway_serves_the_chat_page_and_says_what_it_needs(product: Product) -> None:
    page = await request("GET", f"{product.gateway.url}/chat/")
    assert (page.status_code, "<switchboard-chat" in page.text) == (200, True), page.text[:500]
    ready = await request("GET", f"{product.gateway.url}/readyz")
    assert ready.json() == {"ready": True, "restate": True, "conversations": True, "issuers": True}


async def test_only_pods_that_delete_versions_or_keep_what_was_accepted_may_call_the_api_server(
    product: Product,
) -> None:
    pods = await product.namespace.get("pods")
    assert len(pods) >= 8
    with_token = [pod["metadata"] for pod in pods if has_token(pod)]
    assert [each["name"] for each in with_token if not {DELETES_VERSIONS, KEEPS_ACCEPTED} & each["labels"].keys()] == []
    (cronjob,) = await product.namespace.get("cronjobs")
    assert deletes_versions(cronjob["spec"]["jobTemplate"]["spec"]["template"])


async def test_every_pod_of_the_release_is_held_by_a_network_policy(product: Product) -> None:
    policies = [each["spec"]["podSelector"]["matchLabels"] for each in await product.namespace.get("networkpolicies")]
    for pod in await product.namespace.get("pods"):
        labels = pod["metadata"]["labels"]
        assert any(policy.items() <= labels.items() for policy in policies), pod["metadata"]["name"]


def has_token(pod: Any) -> bool:
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    return any(mount["mountPath"] == TOKENS for each in containers for mount in each.get("volumeMounts", []))


def deletes_versions(pod: Any) -> bool:
    return DELETES_VERSIONS in pod["metadata"]["labels"]
