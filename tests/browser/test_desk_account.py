"""The customer's account stands beside a conversation, as text; a room of accounts that is away is in nobody's way."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, console, rooms, sign_in
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]


def account(text: str = "pro") -> dict[str, Any]:
    rows = [{"name": "Plan", "value": text}, {"name": "Price", "value": "49 USD a month"}]
    return {"user_id": "user_12345", "problems": ["A payment is missing."], "parts": [{"title": "Plan", "rows": rows}]}


@pytest.fixture(autouse=True)
def _known(rooms: FakeRooms) -> Iterator[None]:
    rooms.accounts["user_12345"] = account()
    yield
    rooms.accounts_are_away = False


async def test_it_is_fetched_beside_the_conversation_by_the_name_of_who_looks(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    key = rooms.talk()
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    beside = desk.page.get_by_role("region", name="The customer's account")
    await expect(beside.get_by_text("A payment is missing.")).to_be_visible()
    await expect(beside.get_by_role("row", name="Plan pro")).to_be_visible()
    called = [(by["sub"], body) for target, by, body in rooms.calls if target == "AccountDesk/show"]
    assert called[-1] == ("anna", {"user_id": "user_12345"})


async def test_without_script_a_link_leads_to_it(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in("Anna Berg", f"/conversations/{rooms.talk()}", java_script_enabled=False)
    beside = desk.page.get_by_role("region", name="The customer's account")
    await beside.get_by_role("link", name="Show the account").click()
    await expect(desk.page.get_by_role("row", name="Plan pro")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
async def test_a_room_that_is_away_is_said_there_and_the_conversation_goes_on(
    rooms: FakeRooms, sign_in: SignIn, script: bool
) -> None:
    rooms.accounts_are_away = True
    desk = await sign_in("Anna Berg", f"/conversations/{rooms.talk()}", java_script_enabled=script)
    if not script:
        await desk.page.get_by_role("link", name="Show the account").click()
    await expect(desk.page.get_by_text("The account could not be read right now.")).to_be_visible()
    if not script:
        await desk.page.get_by_role("link", name="The conversation").click()
    await desk.button("Take it").click()
    await expect(desk.page.get_by_text("You speak; the agent is silent.")).to_be_visible()


async def test_a_customer_without_an_account_has_none(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in("Anna Berg", f"/conversations/{rooms.talk(user_id='nobody')}")
    await expect(desk.page.get_by_text("There is no account of this customer.")).to_be_visible()


async def test_who_only_decides_approvals_does_not_see_it(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = rooms.talk()
    desk = await sign_in("Dora Lind", f"/conversations/{key}")
    await expect(desk.page.get_by_role("heading", name="What was said")).to_be_visible()
    await expect(desk.page.get_by_text("The customer's account")).to_have_count(0)
    before = len(rooms.made("AccountDesk/show"))
    await desk.go(f"/conversations/{key}/account")
    await expect(desk.page.get_by_role("heading", name="This is not for you")).to_be_visible()
    assert len(rooms.made("AccountDesk/show")) == before


@pytest.mark.parametrize("look", WITH_SCRIPT)
async def test_axe_finds_nothing_and_nothing_is_cut_off(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    rooms.accounts["user_12345"] = account("W" * 300)
    key = rooms.talk()
    desk = await sign_in("Anna Berg", f"/conversations/{key}", **LOOKS[look])
    await expect(desk.page.get_by_text("W" * 300)).to_be_visible()
    assert await desk.axe() == []
    assert await desk.is_cut_off() == 0
    await desk.go(f"/conversations/{key}/account")
    assert await desk.axe() == []
    assert await desk.is_cut_off() == 0
