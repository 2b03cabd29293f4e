"""Staff unfold what the agent did: each turn and call, as text, without leaving the conversation."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.desk import SignIn, console, focused, rooms, sign_in
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]


def call(**more: Any) -> dict[str, Any]:
    told = {"call": "call_1_1", "tool": "query_user_database", "status": "ok", "target": "UserDatabase/query"}
    return told | {"arguments": '{"sections":["plan"]}', "result": '{"plan": "pro\u202e"}', "ms": 42} | more


def turn(number: int = 1, **more: Any) -> dict[str, Any]:
    told = {"turn": number, "text": "I look.", "model": "m-1", "prompt_tokens": 700, "completion_tokens": 30, "ms": 900}
    return told | {"calls": [call(sources=["Plans compared (plans-compared)"])]} | more


def talked(rooms: FakeRooms, *turns: dict[str, Any]) -> str:
    key = rooms.talk(("answer", {"text": "You have the plan Pro."}), ("approval", {"tool": "x", "status": "pending"}))
    rooms.steps[key] = list(turns)
    return key


async def shows_it(page: Page) -> None:
    await expect(page.get_by_text("m-1: 700 tokens in, 30 tokens out, 900 ms")).to_be_visible()
    await page.get_by_text("query_user_database: ok").click()
    await expect(page.get_by_text('{"sections":["plan"]}', exact=True)).to_be_visible()
    await expect(page.get_by_text('{"plan": "proU+202E"}', exact=True)).to_be_visible()
    await expect(page.get_by_text("Plans compared (plans-compared)")).to_be_visible()


async def test_what_the_agent_did_is_fetched_when_it_is_unfolded_under_its_answer(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    key = talked(rooms, turn())
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    assert rooms.made(f"Conversation/{key}/steps") == []
    fold = desk.page.locator(".line.answer summary", has_text="What the agent did")
    await fold.focus()
    await desk.page.keyboard.press("Enter")
    await shows_it(desk.page)
    await expect(desk.page.get_by_text("What the agent did")).to_have_count(1)
    assert len(rooms.made(f"Conversation/{key}/steps")) == 1


async def test_without_script_a_link_leads_to_it(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = talked(rooms, turn())
    desk = await sign_in("Anna Berg", f"/conversations/{key}", java_script_enabled=False)
    await desk.page.get_by_text("What the agent did").click()
    await desk.page.get_by_role("link", name="Show it").click()
    await shows_it(desk.page)
    await desk.page.get_by_role("link", name="The conversation").click()
    await expect(desk.page.get_by_text("You have the plan Pro.")).to_be_visible()


async def test_what_is_unfolded_stays_when_the_page_follows(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = talked(rooms, turn())
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    await desk.page.get_by_text("What the agent did").click()
    await shows_it(desk.page)
    await desk.page.locator("main").focus()
    rooms.line(key, "message", text="Are you there?")
    await expect(desk.page.get_by_text("Are you there?")).to_be_visible()
    await expect(desk.page.get_by_text('{"plan": "proU+202E"}', exact=True)).to_be_visible()
    assert await focused(desk.page) != ""


async def test_what_nobody_has_measured_is_not_known(rooms: FakeRooms, sign_in: SignIn) -> None:
    nothing: dict[str, Any] = {"model": "", "prompt_tokens": None, "completion_tokens": None, "ms": None}
    key = talked(rooms, turn(**nothing, calls=[call(ms=None)]))
    desk = await sign_in("Anna Berg", f"/conversations/{key}/runs/run_1")
    told = "model not known: tokens in not known, tokens out not known, ms not known"
    await expect(desk.page.get_by_text(told)).to_be_visible()
    await desk.go(f"/conversations/{talked(rooms)}/runs/run_1")
    await expect(desk.page.get_by_text("Its steps are not known")).to_be_visible()


async def test_it_leads_on_to_restate_and_to_the_trace(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in("Anna Berg", f"/conversations/{talked(rooms, turn())}")
    await desk.page.get_by_text("What the agent did").click()
    for name, address in {
        "In Restate": "https://restate.example.com/ui/invocations/inv_1aBcD",
        "Its trace": "https://traces.example.com/trace/0af7651916cd43dd8448eb211c80319c",
    }.items():
        await expect(desk.page.get_by_role("link", name=name)).to_have_attribute("href", address)


async def test_a_long_run_comes_in_pages_and_an_unknown_one_is_not_there(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = talked(rooms, *(turn(number) for number in range(1, 13)))
    desk = await sign_in("Anna Berg", f"/conversations/{key}/runs/run_1")
    await expect(desk.page.locator(".turns > li")).to_have_count(10)
    await desk.page.get_by_role("link", name="The turns after that").click()
    await expect(desk.page.locator(".turns > li")).to_have_count(2)
    for path in ("run_2", "run_of_a_person", "x", "run_1?after=x"):
        await desk.go(f"/conversations/{key}/runs/{path}")
        await expect(desk.page.get_by_role("heading", name="There is nothing here")).to_be_visible()


async def test_a_room_that_is_away_leaves_the_link(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = talked(rooms, turn())
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    rooms.away = True
    try:
        await desk.page.get_by_text("What the agent did").click()
        await expect(desk.page.locator("details[open]:not([aria-busy])")).to_be_visible()
        await expect(desk.page.get_by_role("link", name="Show it")).to_be_visible()
    finally:
        rooms.away = False


@pytest.mark.parametrize("look", WITH_SCRIPT)
async def test_axe_finds_nothing_and_nothing_is_cut_off(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    key = talked(rooms, turn(text="W" * 400, calls=[call(tool="t" * 90, result="R" * 900, arguments="A" * 900)]))
    desk = await sign_in("Anna Berg", f"/conversations/{key}", **LOOKS[look])
    await desk.page.get_by_text("What the agent did").click()
    await desk.page.get_by_text("t" * 90).click()
    assert await desk.axe() == []
    assert await desk.is_cut_off() == 0
    await desk.go(f"/conversations/{key}/runs/run_1")
    await desk.page.get_by_text("t" * 90).click()
    assert await desk.axe() == []
    assert await desk.is_cut_off() == 0
