"""Staff find a conversation that waits, take it, speak in it and give it back; what is new comes by itself."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, console, focused, rooms, sign_in
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

PACKET: dict[str, Any] = {
    "reason": "They want to talk to a human.",
    "promised": "a call today",
    "asked": ["I want to talk to a human."],
    "tried": [{"tool": "query_user_database", "status": "ok", "result": "plan: pro"}],
    "tickets": ["TCK-100000"],
    "approvals": [],
}


@pytest.fixture(autouse=True)
def _nothing_waits(rooms: FakeRooms) -> None:
    rooms.talks.clear()
    rooms.tickets.clear()


@pytest.mark.parametrize("look", ["light", "without_script"])
async def test_one_that_waits_is_taken_answered_and_given_back(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    key = rooms.talk(("packet", PACKET))
    desk = await sign_in("Anna Berg", **LOOKS[look])
    page = desk.page
    await page.get_by_role("link", name="user_12345").click()
    await expect(page.get_by_text("a call today", exact=True)).to_be_visible()
    await page.get_by_text("query_user_database: ok").click()
    await expect(page.get_by_text("plan: pro", exact=True)).to_be_visible()
    await desk.button("Take it").click()
    await expect(page.get_by_text("You speak; the agent is silent.")).to_be_visible()
    await page.get_by_label("Say to the customer").fill("Hello, this is Anna.\nI am here.")
    await desk.button("Say it").click()
    await expect(page.locator(".line.person .text")).to_have_text("Hello, this is Anna.\nI am here.")
    await page.reload()
    await expect(page.locator(".line.person")).to_have_count(1)
    await desk.button("Give it back to the agent").click()
    await expect(page.get_by_text("The agent speaks.")).to_be_visible()
    assert rooms.holder(key) is None
    await desk.go("/queue")
    await expect(page.get_by_text("Nobody waits for a person.")).to_be_visible()


async def test_what_the_customer_says_comes_by_itself_and_what_is_being_written_stays(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    key = rooms.talk(("effect", {"tool": "query_user_database", "status": "ok", "more": "seen"}))
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    await desk.page.get_by_text("More", exact=True).first.click()
    box = desk.page.get_by_label("Say to the customer")
    await box.fill("I am just writ")
    rooms.line(key, "message", text="Are you there?")
    await expect(desk.page.get_by_text("Are you there?")).to_be_visible()
    await expect(box).to_have_value("I am just writ")
    assert await focused(desk.page) == "text"
    await expect(desk.page.locator("details[open] pre").first).to_contain_text("seen")


async def test_a_reply_that_is_being_written_stays_when_another_form_is_refused(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    key = rooms.talk()
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    box, to = desk.page.get_by_label("Say to the customer"), desk.page.get_by_label("Give it to")
    await box.fill("I am just writ")
    await to.fill("a b")
    await desk.button("Assign").click()
    await expect(desk.page.get_by_role("alert")).to_contain_text("A name of staff is")
    await expect(box).to_have_value("I am just writ")
    await expect(to).to_have_value("a b")
    await desk.button("Assign").click()
    await expect(box).to_have_value("I am just writ")


@pytest.mark.parametrize("look", WITH_SCRIPT)
async def test_axe_finds_nothing_and_nothing_is_cut_off(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    desk = await sign_in("Anna Berg", "/queue", **LOOKS[look])
    found: dict[str, list[str]] = {"empty": await desk.axe()}
    key = rooms.talk(
        ("answer", {"text": "W" * 400}),
        ("effect", {"tool": "x", "status": "ok", "ticket_id": "TCK-100000"}),
        ("packet", PACKET),
        ("stop", {}),
        ("late", {"text": "late"}),
        ("note", {"text": "a note"}),
    )
    message = {"number": 1, "kind": "reply", "who": "anna", "text": "Done.", "at": "2026-11-30T09:00:00+00:00"}
    event = {"who": "anna", "acting": "staff", "action": "replied", "note": "", "at": message["at"]}
    ticket = rooms.ticket(messages=[message], history=[event], conversation=key, escalated=True)
    for path in ("/queue", f"/conversations/{key}", "/tickets", f"/tickets/{ticket.ticket_id}", "/tickets?search=zz"):
        await desk.go(path)
        found[path] = await desk.axe()
        assert await desk.is_cut_off() == 0, path
    await desk.go(f"/conversations/{key}")
    await desk.button("Take it").click()
    await expect(desk.button("Say it")).to_be_visible()
    found["taken"] = await desk.axe()
    assert [each for each in found.values() if each] == []
