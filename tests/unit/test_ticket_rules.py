"""The rules of a new ticket, and the settings and texts around it."""

from typing import get_args

import pytest
from pydantic import ValidationError

from tests.parts.signed import PUBLIC
from tickets.life import usual
from tickets.model import CreateSupportTicket
from tickets.rules import USUAL_PRIORITY, Category, Priority, Urgency, categorize, prioritize
from tickets.settings import TicketSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("I need to report a bug with the dashboard", "bug"),
        ("My API calls are failing", "api"),
        ("Is the payment service down?", "outage"),
        ("You charged me twice, please refund", "billing"),
        ("I cannot log in", "account"),
        ("Somebody hacked my account", "security"),
        ("I would like a dark theme", "feature_request"),
        ("Hello there", "other"),
        ("The download is slow", "other"),
        ("", "other"),
    ],
)
def test_the_first_matching_words_name_the_category(text: str, category: Category) -> None:
    assert categorize(text) == category


def test_the_models_category_goes_before_the_words() -> None:
    assert categorize("My API calls are failing", "billing") == "billing"


@pytest.mark.parametrize(
    ("text", "category", "urgency", "priority"),
    [
        ("the chart is empty", "bug", None, "normal"),
        ("the chart is empty", "bug", "low", "low"),
        ("the chart is empty", "bug", "high", "high"),
        ("a dark theme", "feature_request", None, "low"),
        ("a dark theme", "feature_request", "normal", "normal"),
        ("nothing works", "outage", None, "high"),
        ("we need this ASAP", "bug", None, "high"),
        ("we need this ASAP", "bug", "low", "high"),
        ("Production is DOWN", "outage", None, "urgent"),
        ("we have lost our data", "bug", "low", "urgent"),
        ("my account was hacked", "security", None, "urgent"),
    ],
)
def test_priority_is_the_higher_of_words_and_hint(
    text: str, category: Category, urgency: Urgency | None, priority: Priority
) -> None:
    assert prioritize(text, category, urgency) == priority


def test_no_hint_makes_a_ticket_urgent_by_itself() -> None:
    hinted = {prioritize("", category, urgency) for category in get_args(Category) for urgency in get_args(Urgency)}
    assert "urgent" not in hinted | set(USUAL_PRIORITY.values())


def test_a_higher_priority_is_due_earlier() -> None:
    assert {priority: due / 3600 for priority, due in usual().solve.items()} == {
        "urgent": 4,
        "high": 8,
        "normal": 24,
        "low": 72,
    }
    assert set(usual().solve) == set(get_args(Priority))


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "ab"},
        {"subject": "   a   "},
        {"subject": "x" * 201},
        {"description": "  "},
        {"description": "x" * 4001},
        {"category": "gossip"},
        {"urgency": "urgent"},
        {"user_id": ""},
        {"user_id": "a'; --"},
        {"status": "closed"},
    ],
)
def test_a_wrong_ticket_is_refused(wrong: dict[str, str]) -> None:
    right = {"user_id": "user_1", "subject": "Dashboard", "description": "It is empty."}
    CreateSupportTicket.model_validate(right)
    with pytest.raises(ValidationError):
        CreateSupportTicket.model_validate(right | wrong)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", SECRET.removeprefix("whsec_")])
def test_a_webhook_without_a_proper_secret_ends_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("CALL_KEYS", PUBLIC)
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("WEBHOOK_URL", "https://example.com/hook")
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    with pytest.raises(SystemExit) as exit_:
        TicketSettings.read()
    line = str(exit_.value)
    assert line.startswith("setting WEBHOOK_SECRET: ")
    assert "\n" not in line
    assert secret.strip("whsec_") == "" or secret not in line


def test_a_proper_webhook_secret_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALL_KEYS", PUBLIC)
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("WEBHOOK_URL", "https://example.com/hook")
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    assert TicketSettings.read().webhook_secret is not None
