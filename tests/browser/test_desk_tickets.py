"""Staff work on a ticket: what they do is shown, what is new comes by itself, and no written word is lost."""

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, comes_to, console, rooms, sign_in
from tests.browser.test_desk_approvals import LOOKS
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]


@pytest.fixture(autouse=True)
def _no_tickets(rooms: FakeRooms) -> None:
    rooms.tickets.clear()


@pytest.mark.parametrize("look", ["light", "without_script"])
async def test_one_is_taken_noted_answered_changed_and_merged(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    ticket, other = rooms.ticket(), rooms.ticket(subject="The same again")
    desk = await sign_in("Anna Berg", "/tickets", **LOOKS[look])
    page = desk.page
    await page.get_by_role("link", name="The dashboard is down").click()
    await desk.button("Take it").click()
    await expect(page.locator("#standing")).to_contain_text("anna")
    await page.get_by_label("Give it to").fill("ben")
    await page.keyboard.press("Enter")
    await expect(page.locator("#standing")).to_contain_text("ben")
    await page.get_by_label("Note for staff alone").fill("They <b>pay</b>.")
    await desk.button("Keep the note").click()
    await expect(page.locator(".line.note .text")).to_have_text("They <b>pay</b>.")
    await page.get_by_label("Reply to the customer").fill("Which browser?\nSince when?")
    await page.get_by_label("Then the ticket is").select_option("waiting")
    await desk.button("Reply").click()
    await expect(page.locator(".line.person .text")).to_have_text("Which browser?\nSince when?")
    await page.reload()
    await expect(page.locator(".line.person")).to_have_count(1)
    await page.get_by_label("Priority").select_option("urgent")
    await desk.button("Change").click()
    await expect(page.locator("#standing")).to_contain_text("urgent")
    await page.get_by_label("It is a duplicate of").fill(other.ticket_id)
    await desk.button("Merge, and close this one").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("The same again")
    now = rooms.tickets[ticket.ticket_id]
    assert (now.merged_into, now.priority, now.assignee, now.changes) == (other.ticket_id, "urgent", "ben", 6)


async def test_what_is_new_comes_by_itself_and_what_is_being_written_stays_and_is_sent(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    ticket_id = rooms.ticket().ticket_id
    desk = await sign_in("Anna Berg", f"/tickets/{ticket_id}")
    page = desk.page
    await page.get_by_label("Note for staff alone").fill("Not sent yet")
    await page.get_by_label("Priority").select_option("low")
    box = page.get_by_label("Reply to the customer")
    await box.fill("I am just writ")
    answer = {
        "number": 1,
        "kind": "answer",
        "who": "user_12345",
        "text": "Are you there?",
        "at": "2026-11-30T09:00:00+00:00",
    }
    rooms.changed(ticket_id, "carla", "assign", assignee="carla", messages=[answer])
    await expect(page.get_by_text("Are you there?")).to_be_visible(timeout=15_000)
    await expect(page.locator("#standing")).to_contain_text("carla")
    await expect(box).to_have_value("I am just writ")
    await expect(page.get_by_label("Note for staff alone")).to_have_value("Not sent yet")
    await expect(page.get_by_label("Priority")).to_have_value("low")
    await comes_to(page, "text")
    await desk.button("Reply").click()
    await expect(page.locator(".line.person .text")).to_have_text("I am just writ")
    await expect(page.get_by_label("Note for staff alone")).to_have_value("Not sent yet")
    await expect(box).to_have_value("")


@pytest.mark.parametrize("look", ["dark", "narrow"])
async def test_axe_finds_nothing_in_a_refusal_and_in_what_is_closed(
    rooms: FakeRooms, sign_in: SignIn, look: str
) -> None:
    ticket_id, other = rooms.ticket(assignee="ben").ticket_id, rooms.ticket().ticket_id
    desk = await sign_in("Anna Berg", f"/tickets/{ticket_id}", **LOOKS[look])
    page = desk.page
    found = {"open": await desk.axe()}
    rooms.changed(ticket_id, "carla", "merge", state="closed", merged_into=other)
    await page.get_by_label("Reply to the customer").fill("W" * 400)
    await desk.button("Reply").click()
    await expect(page.get_by_role("alert")).to_contain_text("was merged into")
    await expect(page.locator("blockquote")).to_have_text("W" * 400)
    found["refused"] = await desk.axe()
    assert await desk.is_cut_off() == 0
    assert {name: each for name, each in found.items() if each} == {}
