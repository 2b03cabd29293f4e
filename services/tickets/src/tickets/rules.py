"""The rules of a new ticket: its category and its priority. Pure, so that a repeat decides the same.

The words are the customer's, the hints the model's; neither is trusted further than the tables say: only words that
name lost service, lost data or a stolen account make a ticket urgent, a hint alone never does.
"""

import re
from typing import Literal

from contracts import TicketCategory, TicketPriority

Category = TicketCategory
Urgency = Literal["low", "normal", "high"]
Priority = TicketPriority

USUAL_PRIORITY: dict[Category, Priority] = {
    "outage": "high",
    "security": "high",
    "billing": "normal",
    "api": "normal",
    "account": "normal",
    "bug": "normal",
    "feature_request": "low",
    "other": "normal",
}

ASCENDING: tuple[Priority, ...] = ("low", "normal", "high", "urgent")


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_CATEGORY_WORDS: tuple[tuple[Category, re.Pattern[str]], ...] = (
    ("security", _words("hack(?:ed|er|ers)?", "phishing", "security", "leak(?:ed|s)?", "stolen", "compromised")),
    ("outage", _words("outages?", "down", "unreachable", "unavailable", "offline")),
    ("billing", _words("bill(?:s|ed|ing)?", "invoices?", "charge(?:s|d)?", "refunds?", "payments?", "credit card")),
    ("api", _words("api", "apis", "webhooks?", "endpoints?", "sdk", "rate limit(?:s|ed)?", "http [45][0-9]{2}")),
    ("account", _words("account", "log ?in", "sign ?in", "password", "2fa", "locked out", "suspended", "plan")),
    ("bug", _words("bugs?", "broken", "crash(?:es|ed|ing)?", "errors?", "fail(?:s|ed|ing|ure)?", "not working")),
    ("feature_request", _words("features?", "would like", "wish", "suggestions?", "enhancement", "could you add")),
)

_PRIORITY_WORDS: tuple[tuple[Priority, re.Pattern[str]], ...] = (
    (
        "urgent",
        _words(
            "data loss",
            "lost (?:all )?(?:my |our |the )?data",
            "hacked",
            "stolen",
            "compromised",
            "production (?:is |went )?down",
            "(?:everything|service|site|system) (?:is |went )?down",
        ),
    ),
    ("high", _words("urgent(?:ly)?", "asap", "immediately", "critical", "blocked", "blocking", "emergency", "outage")),
)


def categorize(text: str, hint: Category | None = None) -> Category:
    """The model's hint where it gave one, else the first row of the word table that matches, else `other`."""
    if hint is not None:
        return hint
    matching: list[Category] = [category for category, words in _CATEGORY_WORDS if words.search(text)]
    return matching[0] if matching else "other"


def prioritize(text: str, category: Category, urgency: Urgency | None = None) -> Priority:
    """What the words name and the hint says, the higher of both; without either, what is usual for the category."""
    found: list[Priority] = [priority for priority, words in _PRIORITY_WORDS if words.search(text)]
    if urgency is not None:
        found.append(urgency)
    return max(found or [USUAL_PRIORITY[category]], key=ASCENDING.index)
