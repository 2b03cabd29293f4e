"""The demo model's routing, as a pure function: our kind of tools, and tools that it has never heard of."""

from typing import Any

import jsonschema_rs
import pytest

from demo_model.english.arguments import Said, summary
from demo_model.english.routing import Routed, forced, route
from demo_model.wire.conversation import ToolSpec

Properties = dict[str, dict[str, Any]]


def tool(name: str, description: str, properties: Properties | None = None, *required: str) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": properties or {},
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name, description, schema)


def text(description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


SUPPORT = [
    tool(
        "query_user_database",
        "Look up the caller's own account: profile, subscription plan, usage, limits, invoices and recent errors.",
        {"sections": {"type": "array", "items": {"enum": ["profile", "plan", "usage", "invoices", "recent_errors"]}}},
    ),
    tool(
        "check_service_status",
        "Check whether the product has an outage, an incident or maintenance now. Use it when something fails.",
        {"component": {"anyOf": [text("A component such as API or Payments"), {"type": "null"}], "default": None}},
    ),
    tool(
        "search_help_articles",
        "Search the help articles: how the product works. Use it for how-to questions. Not for outages.",
        {"query": text("A few words", maxLength=200)},
        "query",
    ),
    tool(
        "create_support_ticket",
        "Create a support ticket. Use it when the customer asks for a ticket or reports a bug.",
        {
            "subject": text("One line", minLength=3, maxLength=60),
            "description": text("What happens", minLength=1),
            "category": {"type": "string", "enum": ["billing", "bug", "other"]},
            "urgency": {"anyOf": [{"type": "string", "enum": ["low", "normal", "high"]}, {"type": "null"}]},
        },
        "subject",
        "description",
    ),
    tool(
        "list_my_tickets", "List the customer's tickets.", {"limit": {"type": "integer", "minimum": 1, "maximum": 50}}
    ),
    tool("get_ticket", "Look up one ticket by its id.", {"ticket_id": text("As TCK-000123")}, "ticket_id"),
    tool("check_task", "How a task stands that was started earlier.", {"task_id": text()}, "task_id"),
    tool("export_account", "Start an export of everything that is stored about the customer."),
    tool(
        "refund_invoice",
        "Refund a paid invoice of the customer. Use it when the customer asks for a refund and names the invoice.",
        {
            "invoice_id": text("The id of the invoice", pattern="^[A-Za-z0-9-]{1,40}$", examples=["INV-10001-003"]),
            "amount": {
                "anyOf": [
                    text("How much", pattern=r"^[0-9]{1,7}(\.[0-9]{1,2})?$", examples=["49.00"]),
                    {"type": "null"},
                ]
            },
            "reason": text("Why the customer wants it", maxLength=500),
        },
        "invoice_id",
    ),
]

ELSEWHERE = [
    tool(
        "get_weather",
        "Weather forecast for a city.",
        {
            "city": text("Name of the city"),
            "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1, "description": "How many days"},
            "units": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "city",
    ),
    tool("track_parcel", "Where a parcel is now.", {"tracking_number": text("On the receipt")}, "tracking_number"),
    tool(
        "book_table",
        "Book a table at a restaurant.",
        {"restaurant": text(), "guests": {"type": "integer", "minimum": 1}, "date": text(format="date")},
        "guests",
    ),
    tool("cancel_order", "Cancels an order that was not sent yet.", {"order_id": {"type": "integer"}}, "order_id"),
    tool(
        "convert_currency",
        "Convert an amount of money between currencies.",
        {"amount": {"type": "number"}, "from": text("Currency code"), "to": text("Currency code")},
        "amount",
        "from",
        "to",
    ),
    tool("listHolidays", "The public holidays of a country.", {"country": text()}, "country"),
    tool("restart_server", "Restart a server.", {"server": text("One of: web-1, web-2, db-1")}, "server"),
    tool(
        "find_recipe", "Recipes by ingredient or dish.", {"query": text(), "vegetarian": {"type": "boolean"}}, "query"
    ),
    tool(
        "send_email", "Send an e-mail.", {"to": text(format="email"), "subject": text(), "body": text()}, "to", "body"
    ),
]


def names(routed: Routed) -> set[str]:
    return {call.tool for call in routed.calls}


def arguments(question: str, tools: list[ToolSpec]) -> dict[str, Any]:
    (call,) = route(Said(question), tools).calls
    return call.arguments


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("My API calls are failing, what's wrong with my account?", {"query_user_database", "check_service_status"}),
        ("What's my current subscription plan and usage limits?", {"query_user_database"}),
        ("Is there an outage affecting the payment service?", {"check_service_status"}),
        ("I need to report a bug with the dashboard, please create a ticket", {"create_support_ticket"}),
        ("Is the dashboard down?", {"check_service_status"}),
        ("Am I over my quota?", {"query_user_database"}),
        ("Did you charge me twice? Show my last invoice", {"query_user_database"}),
        ("How do I rotate my API key?", {"search_help_articles"}),
        ("How do I create a ticket?", {"search_help_articles"}),
        ("Show my open tickets", {"list_my_tickets"}),
        ("What's the status of ticket TCK-000123?", {"get_ticket"}),
        ("How is task task_0123abcd doing?", {"check_task"}),
        ("Please export my account", {"export_account"}),
        ("Can you refund invoice INV-12345-006?", {"refund_invoice"}),
        ("I want a refund for invoice INV-12345-006, it was a mistake.", {"refund_invoice"}),
        ("Was my invoice refunded?", {"query_user_database"}),
        ("How do I get a refund?", {"search_help_articles"}),
        ("Could you open a ticket about slow webhooks?", {"create_support_ticket"}),
        (
            "My API calls are failing, what's wrong with my account? Please open a ticket.",
            {"query_user_database", "check_service_status", "create_support_ticket"},
        ),
        ("hello", set()),
        ("Thanks a lot!", set()),
        ("What is the capital of France?", set()),
    ],
)
def test_the_words_of_a_question_choose_its_tools(question: str, wanted: set[str]) -> None:
    assert names(route(Said(question), SUPPORT)) == wanted


@pytest.mark.parametrize(
    ("question", "wanted", "filled"),
    [
        ("Will it rain in Paris tomorrow?", "get_weather", {"city": "Paris"}),
        ("What's the forecast for New York for the next 3 days?", "get_weather", {"city": "New York", "days": 3}),
        ("Where is my package 1Z999AA10123456784?", "track_parcel", {"tracking_number": "1Z999AA10123456784"}),
        ("Has shipment RX-204-DE arrived?", "track_parcel", {"tracking_number": "RX-204-DE"}),
        ("Please reserve a table for four guests", "book_table", {"guests": 4}),
        ("Cancel order 4711 please", "cancel_order", {"order_id": 4711}),
        ("I want to delete my order 4711", "cancel_order", {"order_id": 4711}),
        (
            "How much is 100 dollars in money from USD to EUR?",
            "convert_currency",
            {"amount": 100, "from": "USD", "to": "EUR"},
        ),
        ("Which holidays are there in Portugal?", "listHolidays", {"country": "Portugal"}),
        ("Please restart server web-2", "restart_server", {"server": "web-2"}),
        ("What can I cook with leeks? vegetarian", "find_recipe", {"vegetarian": True}),
        ("Send an email to ada@example.com: the report is late", "send_email", {"to": "ada@example.com"}),
    ],
)
def test_tools_of_any_other_domain_are_routed_alike(question: str, wanted: str, filled: dict[str, Any]) -> None:
    (call,) = route(Said(question), ELSEWHERE).calls
    assert call.tool == wanted
    assert call.arguments.items() >= filled.items()


@pytest.mark.parametrize(
    "question",
    ["Is the server down?", "Was my order cancelled?", "Why was a table booked?", "Did somebody send me an email?"],
)
def test_a_tool_that_does_something_is_not_called_by_a_question(question: str) -> None:
    assert names(route(Said(question), ELSEWHERE)) == set()


@pytest.mark.parametrize("question", ["Where is my parcel?", "What became of my shipment?"])
def test_no_id_is_made_up_but_asked_for(question: str) -> None:
    assert route(Said(question), ELSEWHERE) == Routed((), "tracking_number")


def test_an_id_may_come_from_an_earlier_message_or_result() -> None:
    question = "And where is the parcel now?"
    for said in (Said(question, ("My parcel is RX-204-DE.",)), Said(question, (), {"tracking_number": "RX-204-DE"})):
        assert route(said, ELSEWHERE).calls[0].arguments == {"tracking_number": "RX-204-DE"}


def test_a_ticket_has_a_short_subject_and_the_whole_message() -> None:
    question = "I need to report a bug with the dashboard, please create a ticket"
    assert arguments(question, SUPPORT) == {
        "subject": "Bug with the dashboard",
        "description": question,
        "category": "bug",
    }


def test_a_refund_is_of_the_invoice_and_the_amount_that_were_named() -> None:
    whole = arguments("Can you refund invoice INV-12345-006?", SUPPORT)
    part = arguments("Please refund 49.50 of invoice INV-12345-006", SUPPORT)
    assert (whole["invoice_id"], whole.get("amount")) == ("INV-12345-006", None)
    assert (part["invoice_id"], part["amount"]) == ("INV-12345-006", "49.50")


def test_optional_arguments_are_left_out_unless_the_words_name_them() -> None:
    assert arguments("Is the Payments component down?", SUPPORT) == {"component": "Payments"}
    assert arguments("Is there an incident?", SUPPORT) == {}
    assert arguments("Please open a high urgency ticket about billing", SUPPORT)["urgency"] == "high"


def test_a_tool_is_not_chosen_by_a_sentence_that_says_what_it_is_not_for() -> None:
    assert "search_help_articles" not in names(route(Said("Is there an outage?"), SUPPORT))


@pytest.mark.parametrize(("said", "subject"), [
    ("Hi, please open an urgent ticket about wrong billing: charged twice.", "Wrong billing: charged twice"),
    ("Can you create a ticket for me? The dashboard is broken.", "Dashboard is broken"),
    ("", "Request"),
])  # fmt: skip
def test_a_summary_leaves_out_the_wish_for_a_ticket(said: str, subject: str) -> None:
    assert summary(said) == subject


def test_a_long_summary_is_cut_at_a_word() -> None:
    assert summary("webhooks " * 40, 30) == "Webhooks webhooks webhooks…"


@pytest.mark.parametrize("tools", [SUPPORT, ELSEWHERE])
def test_a_forced_call_is_always_valid(tools: list[ToolSpec]) -> None:
    for one in tools:
        (call,) = forced(Said("do something about it"), [one]).calls
        jsonschema_rs.validator_for(one.parameters).validate(call.arguments)


def test_whatever_is_called_has_valid_arguments() -> None:
    for tools in (SUPPORT, ELSEWHERE):
        schemas = {one.name: one.parameters for one in tools}
        for question in (
            "Open a ticket, it fails!",
            "3 invoices",
            "forecast in Rome for 99 days",
            "order 12, cancel it",
        ):
            for call in route(Said(question), tools).calls:
                jsonschema_rs.validator_for(schemas[call.tool]).validate(call.arguments)
