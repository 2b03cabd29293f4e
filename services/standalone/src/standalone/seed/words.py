"""What the made-up customers, the agent and the staff say."""

from random import Random
from typing import NamedTuple

MARK = "Demo data."
"""What is seeded says so itself."""


class Problem(NamedTuple):
    """What somebody writes about: a subject, the first words, and what may be answered."""

    subject: str
    words: str
    answer: str


_PROBLEMS = (
    Problem("Dashboard shows no data", "The chart on our dashboard stays empty.", "The dashboard is filled again."),
    Problem("Webhook signature does not match", "Our endpoint refuses every webhook.", "Please use the new secret."),
    Problem("Invoice has the wrong address", "The invoice names our former address.", "The invoice is corrected."),
    Problem("Error 429 although we send little", "The API answers 429 at ten calls.", "Your limit is raised."),
    Problem("Cannot sign in after password change", "Nobody of us can sign in.", "Sign in works again."),
    Problem("Refund for a double charge", "We were charged twice this month.", "The refund is on its way."),
    Problem("Production is down", "All our payments fail since a minute.", "The payments go through again."),
    Problem("Export stops half way", "The export of our customers breaks off.", "The export is whole now."),
    Problem("Please add a dark mode", "We would like a dark mode.", "It is on our list."),
    Problem("SDK throws on start", "The Python SDK crashes when it starts.", "Version 4.2 mends this."),
    Problem("Team member cannot be removed", "A former colleague still has a seat.", "The seat is free."),
    Problem("Question about the plan", "Which plan has single sign-on?", "The business plan has it."),
)
_WHERE = ("Berlin", "Lisbon", "Osaka", "Lagos", "Toronto", "Oslo", "Quito", "Pune")
_MORE = (
    "It began this morning.",
    "Nothing was changed on our side.",
    "We see it in the logs of every server.",
    "Two of our customers told us.",
    "It is the same in another browser.",
    "It went away and came back.",
)
REASONS = ("They want to talk to a person.", "The refund is above the limit.", "The agent found no way on.")
NOTES = ("Asked the billing team.", "Looks like the incident of last week.", "Their account manager knows.")
ANSWERS = ("Thank you, it works.", "It is still the same.", "I have sent the logs.")


def problem(random: Random, number: int) -> Problem:
    """One of them, told apart by a number and a place."""
    kind, where = random.choice(_PROBLEMS), random.choice(_WHERE)
    words = f"{kind.words} {random.choice(_MORE)} We are in {where}, order {number:05}. {MARK}"
    return Problem(f"{kind.subject} ({where} {number:05})", words, f"{kind.answer} {MARK}")


def follow_up(random: Random) -> str:
    return random.choice(_MORE)
