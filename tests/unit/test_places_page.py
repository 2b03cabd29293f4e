"""docs/places.md names, for each place to run, how we know what happens there; tests that it names are there."""

import re

import pytest

from tests.parts.named import ROOT, is_there

LINES = (ROOT / "docs" / "places.md").read_text().splitlines()
ROWS = [line.strip("|").split(" | ") for line in LINES if line.startswith("| ")][1:]
NAMED = sorted({named for row in ROWS for named in re.findall(r"`((?:tests|charts)/[^`]+)`", row[-1])})
WITH_TEST = {"run here", "rendered here"}


def test_every_row_says_how_we_know() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if len(row) != 4 or row[2] not in WITH_TEST | {"by hand"}] == []
    assert [row[0] for row in ROWS if (row[2] in WITH_TEST) != ("`tests/" in row[3] or "`charts/" in row[3])] == []


def test_what_is_rendered_is_read_by_a_test_of_the_charts() -> None:
    assert [row[0] for row in ROWS if row[2] == "rendered here" and "charts/" not in row[3]] == []


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_is_there(named: str) -> None:
    assert is_there(named)
