"""SECURITY.md names, for each protection, tests that there are."""

import re

import pytest

from tests.parts.named import ROOT, is_there

TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:tests|charts)/[^`]+)`", TEXT)))
ROWS = [line for line in TEXT.split("| protection | test |")[1].split("\n\n")[0].splitlines()[2:] if line]


def test_every_protection_names_a_test() -> None:
    assert len(ROWS) > 20
    assert [row for row in ROWS if not re.search(r"`(?:tests|charts)/[^`]+` \|$", row)] == []


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_is_there(named: str) -> None:
    assert is_there(named)
