"""Staff find a conversation that waits, take it, speak in it and give it back; what is new comes by itself."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, comes_to, console, rooms, sign_in
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
    await expect(page.get_by_text("Nobody waits for a person, and no ticket is unfinished.")).to_be_visible()


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
    await comes_to(desk.page, "text")
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
    lists = ("/queue", "/queue?search=human&who=nobody", "/queue?search=zz", "/tickets", "/tickets?search=zz")
    for path in (*lists, f"/conversations/{key}", f"/tickets/{ticket.ticket_id}"):
        await desk.go(path)
        found[path] = await desk.axe()
        assert await desk.is_cut_off() == 0, path
    await desk.go(f"/conversations/{key}")
    await desk.button("Take it").click()
    await expect(desk.button("Say it")).to_be_visible()
    found["taken"] = await desk.axe()
    assert [each for each in found.values() if each] == []


def long_talk(rooms: FakeRooms, lines: int) -> str:
    """One that waits for a person, with so many lines in all."""
    return rooms.talk(*(("answer", {"text": f"Answer {number:03}."}) for number in range(2, lines)))


async def test_a_long_conversation_is_read_from_its_end_without_script(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = long_talk(rooms, 230)
    desk = await sign_in("Anna Berg", f"/conversations/{key}", java_script_enabled=False)
    page, lines = desk.page, desk.page.locator(".line")
    seen = [await line.get_attribute("id") for line in await lines.all()]
    while await page.get_by_role("link", name="Earlier").count():
        await page.get_by_role("link", name="Earlier").click()
        seen = [*[await line.get_attribute("id") for line in await lines.all()], *seen]
    assert seen == [f"line{number}" for number in range(1, 231)]
    await page.get_by_role("link", name="To the latest").click()
    await expect(lines.last).to_have_id("line230")


async def test_earlier_lines_come_above_and_what_is_read_stays_in_its_place(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = long_talk(rooms, 230)
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    page, lines = desk.page, desk.page.locator(".line")
    earlier, box = page.get_by_role("link", name="Earlier"), page.get_by_label("Say to the customer")
    await box.fill("I am just writ")
    for number in (200, 231):
        await earlier.focus()
        first = lines.first
        name = await first.get_attribute("id")
        before = await first.evaluate("element => element.getBoundingClientRect().top")
        await page.keyboard.press("Enter")
        await expect(lines).to_have_count(number)
        moved = await page.locator(f"#{name}").evaluate("element => element.getBoundingClientRect().top")
        assert abs(moved - before) < 1
    assert [await line.get_attribute("id") for line in await lines.all()] == [f"line{at}" for at in range(1, 232)]
    await expect(earlier).to_have_count(0)
    await expect(page.locator("#lines")).to_be_focused()
    await expect(page.get_by_text("What the agent did")).to_have_count(1)
    assert await desk.axe() == []
    rooms.line(key, "message", text="Are you there?")
    await expect(lines.last).to_contain_text("Are you there?")
    await expect(lines).to_have_count(232)
    await expect(box).to_have_value("I am just writ")


async def test_on_a_page_of_earlier_lines_they_stay_as_they_are(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = long_talk(rooms, 230)
    desk = await sign_in("Anna Berg", f"/conversations/{key}?before=131")
    await expect(desk.page.locator(".line")).to_have_count(100)
    await expect(desk.page.locator("#lines[data-on]")).to_have_count(0)
    await expect(desk.page.locator("#holder[data-on]")).to_have_count(1)
    assert await desk.axe() == []


async def test_what_a_person_says_is_no_run_of_the_agent(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = rooms.talk()
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    await desk.page.get_by_label("Say to the customer").fill("Hello.")
    told = desk.page.get_by_text("What the agent did")
    await expect(told).to_have_count(1)
    rooms.line(key, "person", text="Hello from another tab.", person="anna")
    await expect(desk.page.get_by_text("Hello from another tab.")).to_be_visible()
    await expect(told).to_have_count(1)
