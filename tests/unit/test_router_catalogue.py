"""What the router offers when the catalogue changes."""

import pytest

from contracts import Catalogue, Tool
from router.catalogue import NoCatalogue, Offers

PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


async def test_the_policy_switches_a_local_tool_off_and_on_again() -> None:
    offers = Offers([Tool(name="local", parameters=PARAMETERS)])
    remote = Tool(name="remote", parameters=PARAMETERS, service="S", handler="h")
    offers.replace(Catalogue(tools=[remote], switched_off=["local"]))
    assert sorted((await offers.within(1)).offers) == ["remote"]
    offers.replace(Catalogue(tools=[remote]))
    assert sorted((await offers.within(1)).offers) == ["local", "remote"]


async def test_who_asks_before_the_first_catalogue_waits_no_longer_than_it_may() -> None:
    with pytest.raises(NoCatalogue):
        await Offers().within(0.01)
