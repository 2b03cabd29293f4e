"""The four questions of the first day, routed by the demo model over the real tools."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.parts.standalone import Standalone

ACCOUNT, STATUS, TICKET = "query_user_database", "check_service_status", "create_support_ticket"

QUESTIONS = {
    "My API calls are failing, what's wrong with my account?": {ACCOUNT, STATUS},
    "What's my current subscription plan and usage limits?": {ACCOUNT},
    "Is there an outage affecting the payment service?": {STATUS},
    "I need to report a bug with the dashboard, please create a ticket": {TICKET},
    "How do I rotate my API key?": {"search_help_articles"},
    "Hello!": set[str](),
}


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standalone]:
    machine = Standalone(tmp_path_factory.mktemp("routing") / "data", TRUST_USER_ID="true")
    await machine.start()
    yield machine
    await machine.clean_up()


@pytest.mark.parametrize("message", QUESTIONS)
async def test_a_question_goes_to_the_tools_that_answer_it(machine: Standalone, message: str) -> None:
    body = {"message": message, "user_id": "user_12345"}
    reply = await machine.ingress("/restate/call/ToolRouter/route", body)
    answer: dict[str, Any] = reply.json()
    assert answer["outcome"] == "answered", answer
    assert {call["tool"] for call in answer["calls"]} == QUESTIONS[message]
    assert {call["status"] for call in answer["calls"]} <= {"ok"}
    assert bool(answer["tickets"]) == (TICKET in QUESTIONS[message])


async def test_an_unknown_customer_is_refused(machine: Standalone) -> None:
    reply = await machine.ingress("/restate/call/ToolRouter/route", {"message": "Hello!", "user_id": "user_nobody"})
    assert reply.status_code == 404
    assert reply.json()["metadata"] == {"code": "unknown_customer", "field": "user_id"}
