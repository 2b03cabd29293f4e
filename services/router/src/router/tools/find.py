"""`find_tools`: where there are more tools than one turn offers, the model looks for others by itself."""

from pydantic import BaseModel, ConfigDict, Field

from contracts import Caller
from router.catalogue import Offers

MAX_FOUND = 10
DESCRIPTION_CHARACTERS = 300
WAIT_SECONDS = 1


class FindTools(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=200, description="A few words that say what the tool should do.")


class FoundTool(BaseModel):
    name: str
    description: str


class FoundTools(BaseModel):
    """The tools that match, best first. They can be called from the next turn on."""

    tools: list[FoundTool] = Field(default_factory=list[FoundTool])


async def find_tools(offers: Offers, request: FindTools, caller: Caller) -> FoundTools:
    """Find further tools by what they should do. There are more tools than those on offer now.

    Use it when none of the others does what is needed. The tools that it returns can be called in the next message.
    """
    shelf = await offers.within(WAIT_SECONDS)
    best = [shelf.offers[name].tool for name in shelf.best(request.query, caller)[:MAX_FOUND]]
    return FoundTools(
        tools=[FoundTool(name=tool.name, description=tool.description[:DESCRIPTION_CHARACTERS]) for tool in best]
    )
