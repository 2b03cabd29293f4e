"""The changed routers of the cluster's tests can be made of the code as it is."""

import shutil
from pathlib import Path

import pytest

from tests.cluster.parts.variants import NEW_PROMPT
from tests.cluster.variants.change import CHANGES, change

ROUTER = Path(__file__).parents[2] / "services" / "router" / "src" / "router"


@pytest.mark.parametrize("variant", CHANGES)
def test_a_variant_of_the_router_still_fits_the_code(variant: str, tmp_path: Path) -> None:
    changed = shutil.copytree(ROUTER, tmp_path / "router")
    change(changed, variant)
    name, _, new = CHANGES[variant]
    assert new in (changed / name).read_text()


def test_the_variant_of_the_prompt_says_what_is_looked_for() -> None:
    assert CHANGES["prompt"][2] == NEW_PROMPT
