"""The planted bugs still fit the code; `make planted` shows that each is caught."""

import pytest

from tests.planted.bugs import BUGS, SERVICES, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_still_fits_the_code(bug: Bug) -> None:
    planted = bug.planted_in(bug.read())
    assert planted != bug.read()
    if bug.file.endswith(".py"):
        compile(planted, bug.file, "exec")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_test_that_catches_a_bug_exists(bug: Bug) -> None:
    if isinstance(bug.caught_by, str):
        file, _, test = bug.caught_by.partition("::")
        assert f"def {test.partition('[')[0]}(" in (SERVICES.parent / file).read_text()
