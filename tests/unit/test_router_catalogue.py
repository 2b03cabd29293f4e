"""What the router offers when the catalogue changes."""

from contracts import Catalogue, Tool
from router.catalogue import Offers
from router.plan import Offer

PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}


async def test_the_policy_switches_a_local_tool_off_and_on_again() -> None:
    offers = Offers({"local": Offer(Tool(name="local", parameters=PARAMETERS))})
    remote = Tool(name="remote", parameters=PARAMETERS, service="S", handler="h")
    offers.replace(Catalogue(tools=[remote], switched_off=["local"]))
    assert sorted(await offers.now()) == ["remote"]
    offers.replace(Catalogue(tools=[remote]))
    assert sorted(await offers.now()) == ["local", "remote"]
