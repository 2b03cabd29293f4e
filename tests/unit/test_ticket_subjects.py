"""Which subjects name the same problem."""

import pytest

from tickets.subjects import is_same

SAME = [
    ("Dashboard shows no data", "Dashboard shows no data"),
    ("Empty dashboard", "The dashboard is empty"),
    ("Refund for invoice 4711", "Invoice 4711: refund"),
    ("Payments fail with error 502", "Payment fails, error 502"),
]
ANOTHER = [
    ("Dashboard shows no data", "Refund for an invoice"),
    ("Refund for invoice 4711", "Refund for invoice 4712"),
    ("Cannot log in", "Dashboard is slow"),
    ("API key lost", "API limits too low"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_other_words_for_the_same_problem_are_one_subject(one: str, other: str) -> None:
    assert is_same(one, other)
    assert is_same(other, one)


@pytest.mark.parametrize(("one", "other"), ANOTHER)
def test_another_problem_is_another_subject(one: str, other: str) -> None:
    assert not is_same(one, other)
