"""Which tools a turn offers when there are more than the model should read."""

import json
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts import Caller, Catalogue, Tool
from router.catalogue import Offers
from router.run import Run
from router.shelf import FIND_TOOLS
from router.tools.find import FindTools, find_tools
from router.turn import Plan, Result, Turn

CALLER = Caller(user_id="user_1")
LOCAL = ("search_help_articles", FIND_TOOLS)


def remote(name: str, description: str = "", parameters: Any = None, **fields: Any) -> Tool:
    schema: dict[str, Any] = {"type": "object", "properties": parameters or {}}
    return Tool(name=name, description=description, parameters=schema, service="S", handler=name, **fields)


FILLERS = [remote(f"filler_{number:03}", "Does nothing of note.") for number in range(100)]
RESET = remote("reset_password", "Sends a link to choose a new password.")
INVOICE = remote("getInvoice", "Shows a bill.", {"invoice": {"description": "Number of the bill"}})
REFUND = remote("pay_back", "Returns money.", {"reason": {"enum": ["duplicate payment"]}})
STAFF = remote("reset_anything", "Resets any password.", roles=["staff"])
EVERYTHING = [*FILLERS, RESET, INVOICE, REFUND, STAFF]


def offers_of(*tools: Tool) -> Offers:
    offers = Offers([Tool(name=name, parameters={"type": "object"}) for name in LOCAL])
    offers.replace(Catalogue(tools=list(tools)))
    return offers


def run_of(message: str, *turns: tuple[Turn, list[Result]]) -> Run:
    said = {"message": message, "turns": [turn for turn, _ in turns], "results": [results for _, results in turns]}
    return cast(Run, SimpleNamespace(**said))


def called(tool: str, content: Any = None, status: Any = "ok", fault: Any = None) -> tuple[Turn, list[Result]]:
    turn = Turn(plans=[Plan(call_id="call_1_1", tool=tool, arguments="{}", fault=fault)])
    told = json.dumps({"status": status, "untrusted_data": content})
    return turn, [Result(call_id="call_1_1", tool=tool, status=status, content=told)]


async def offered(run: Run, *tools: Tool, most: int = 8) -> list[str]:
    shelf = await offers_of(*tools).within(1)
    chosen = shelf.for_turn(run, CALLER, most)
    return sorted(name for name, offer in chosen.items() if offer.allowed_to(CALLER))


async def test_up_to_the_limit_everything_is_offered_and_nothing_to_find_more_with() -> None:
    few = [*FILLERS[:6], STAFF]
    assert await offered(run_of("hello"), *few, most=8) == sorted(
        ["search_help_articles", *(tool.name for tool in FILLERS[:6])]
    )


@pytest.mark.parametrize(
    ("message", "tool"),
    [
        ("I forgot my PASSWORDS", "reset_password"),
        ("where is the invoice for May", "getInvoice"),
        ("please show me that bill", "getInvoice"),
        ("a payment was duplicated", "pay_back"),
    ],
)
async def test_above_it_the_best_for_the_customers_words_are(message: str, tool: str) -> None:
    assert tool in await offered(run_of(message), *EVERYTHING)


@pytest.mark.parametrize("message", ["", "?!", '" OR name:*', "NEAR(a b)", "nothing " * 5000, "password " * 5000])
async def test_whatever_the_customer_writes_the_number_is_kept(message: str) -> None:
    names = await offered(run_of(message), *EVERYTHING)
    assert len(names) <= 8
    assert set(LOCAL) <= set(names)


async def test_the_conversation_so_far_counts() -> None:
    run = run_of("hm", called("search_help_articles", {"text": "the customer needs a new password"}))
    assert "reset_password" in await offered(run, *EVERYTHING)


async def test_a_tool_that_was_called_stays() -> None:
    assert "filler_042" in await offered(run_of("password", called("filler_042")), *EVERYTHING)


async def test_a_name_that_was_made_up_does_not() -> None:
    invented = called("filler_042", status="error", fault="unknown_tool")
    assert "filler_042" not in await offered(run_of("password", invented), *EVERYTHING)


async def test_a_pinned_tool_is_always_offered() -> None:
    pinned = remote("open_ticket", pinned=True)
    assert "open_ticket" in await offered(run_of("password"), *EVERYTHING, pinned)


async def test_what_was_found_is_offered_next() -> None:
    long = {"name": "no_tool", "description": "x" * 1000}  # what comes after it is beyond what tools are chosen by
    found = called(
        FIND_TOOLS, {"tools": [long, {"name": "filler_007"}, {"name": "reset_anything"}, {"name": "no_such"}]}
    )
    names = await offered(run_of("hello", found), *EVERYTHING)
    assert "filler_007" in names
    assert {"reset_anything", "no_such"}.isdisjoint(names)


@pytest.mark.parametrize("content", [None, [], "text", {"tools": 7}, {"tools": [1, {"name": {}}]}])
async def test_a_result_in_another_shape_finds_nothing(content: Any) -> None:
    assert await offered(run_of("hello", called(FIND_TOOLS, content)), *EVERYTHING) == sorted(LOCAL)


async def test_only_tools_of_this_caller_count_or_are_found() -> None:
    secret = [remote(f"reset_{number}", "password", roles=["staff"]) for number in range(100)]
    assert FIND_TOOLS not in await offered(run_of("password"), RESET, *secret)
    found = await find_tools(offers_of(RESET, *secret), FindTools(query="password"), CALLER)
    assert [tool.name for tool in found.tools] == ["reset_password"]


async def test_the_order_of_a_catalogue_changes_nothing() -> None:
    shuffled = random.Random(5).sample(EVERYTHING, len(EVERYTHING))
    for message in ("password", "nothing of note", "bill"):
        assert await offered(run_of(message), *shuffled) == await offered(run_of(message), *EVERYTHING)


async def test_a_tool_named_like_the_finder_takes_nothing_over() -> None:
    assert FIND_TOOLS not in await offered(run_of("hello"), remote(FIND_TOOLS))
