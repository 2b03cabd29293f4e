"""An open page of the desk follows what changes: only that is fetched, and nobody is disturbed."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.desk import SignIn, comes_to, console, rooms, sign_in
from tests.parts.fake_rooms import FakeRooms
from tests.parts.polling import eventually

__all__ = ["console", "rooms", "sign_in"]

STREAMING = "source !== null && source.readyState === EventSource.OPEN && !isFetching"


@pytest.fixture(autouse=True)
def _nothing_waits(rooms: FakeRooms) -> None:
    rooms.talks.clear()
    rooms.tickets.clear()
    rooms.tells_nothing = False


async def follows(page: Page) -> list[str]:
    """The requests of a page from when on it follows."""
    await eventually(lambda: page.evaluate(STREAMING))  # the page's policy lets nothing wait within it
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/")[2].partition("/")[2].partition("/")[2]))
    return asked


async def top_of(row: Locator) -> float:
    return await row.evaluate("element => element.getBoundingClientRect().top")


def of_anna(rooms: FakeRooms) -> str:
    key = rooms.talk(("effect", {"tool": "query_user_database", "status": "ok", "more": "seen"}))
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    return key


async def test_of_a_transcript_only_what_is_new_is_fetched_and_what_is_done_meanwhile_stays(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    key, other = of_anna(rooms), of_anna(rooms)
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    page, box = desk.page, desk.page.get_by_label("Say to the customer")
    await page.get_by_text("More", exact=True).first.click()
    await box.fill("I am just writ")
    last, asked = len(rooms.talks[key]), await follows(page)
    rooms.line(other, "message", text="Somebody else's")
    rooms.tell("wait", other)
    rooms.tell("conversation", key, last)  # its log went on, its transcript did not
    rooms.line(key, "message", text="Are you there?")
    await expect(page.get_by_text("Are you there?")).to_be_visible()
    assert asked == [f"conversations/{key}?after={last}"]
    await expect(box).to_have_value("I am just writ")
    await comes_to(page, "text")
    await expect(page.locator("details[open] pre").first).to_contain_text("seen")
    assert rooms.made(f"Conversation/{key}/show")[-1]["after"] == last
    rooms.line(key, "owner", speaker="person", person="ben", by="ben")
    await expect(page.locator("#holder")).to_contain_text("ben has it")
    await expect(page.locator(".line")).to_have_count(last + 2)


async def test_what_one_can_do_follows_who_has_it_and_what_is_written_stays(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = of_anna(rooms)
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    box, to = desk.page.get_by_label("Say to the customer"), desk.page.get_by_label("Give it to")
    await follows(desk.page)
    await expect(desk.button("Take it")).to_have_count(0)
    rooms.line(key, "owner", speaker="person", person="ben", by="ben")
    await expect(desk.page.locator("#holder")).to_contain_text("ben has it")
    await expect(box).to_have_count(0)
    rooms.line(key, "owner", speaker="agent", by="ben")
    await expect(desk.button("Take it")).to_be_visible()
    await expect(desk.button("Give it back to the agent")).to_have_count(0)
    rooms.line(key, "owner", speaker="person", person="anna", by="carla")
    await box.fill("I am just writ")
    await to.fill("carl")
    await box.focus()
    rooms.line(key, "packet", reason="They want a person.")
    rooms.line(key, "owner", speaker="person", person="", by="carla")
    await expect(desk.button("Take it")).to_be_visible()
    await expect(desk.page.locator("#know")).to_contain_text("They want a person.")
    await expect(box).to_have_value("I am just writ")
    await expect(to).to_have_value("carl")
    await expect(box).to_be_focused()


async def test_the_focus_stays_near_a_button_that_goes(rooms: FakeRooms, sign_in: SignIn) -> None:
    key = rooms.talk()
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    await follows(desk.page)
    await desk.button("Take it").focus()
    rooms.line(key, "owner", speaker="person", person="ben", by="ben")
    await expect(desk.button("Take it")).to_have_count(0)
    await expect(desk.page.locator("#hold")).to_be_focused()


async def test_a_list_stays_where_it_was_and_so_does_the_focus(rooms: FakeRooms, sign_in: SignIn) -> None:
    keys = [rooms.talk(user_id=f"user_{number:02}") for number in range(30)]
    desk = await sign_in("Anna Berg", "/queue")
    await follows(desk.page)
    row = desk.page.locator(f'a[href="/conversations/{keys[20]}"]')
    await row.focus()
    before = await top_of(row)
    rooms.line(keys[2], "owner", speaker="agent", by="ben")
    await expect(desk.page.locator(f'a[href="/conversations/{keys[2]}"]')).to_have_count(0)
    await expect(row).to_be_focused()
    assert abs(await top_of(row) - before) < 1
    await expect(desk.page.locator("#counts")).to_contain_text("All (29)")


@pytest.mark.parametrize("comes_back", [True, False])
async def test_nothing_is_missed_while_the_rooms_tell_nothing(
    rooms: FakeRooms, sign_in: SignIn, comes_back: bool
) -> None:
    key = of_anna(rooms)
    desk = await sign_in("Anna Berg", f"/conversations/{key}")
    await follows(desk.page)
    rooms.tells_nothing = not comes_back
    rooms.cut_streams()
    rooms.line(key, "message", text="Is anybody there?")
    await expect(desk.page.get_by_text("Is anybody there?")).to_be_visible()


async def test_the_queue_follows_both_rooms(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in("Anna Berg", "/queue")
    await follows(desk.page)
    ticket = rooms.ticket()
    await expect(desk.page.locator(f'a[href="/tickets/{ticket.ticket_id}"]')).to_be_visible()
    key = rooms.talk()
    await expect(desk.page.locator(f'a[href="/conversations/{key}"]')).to_be_visible()
    await expect(desk.page.locator("#counts")).to_contain_text("All (2)")


async def test_a_list_is_worked_through_by_keyboard(rooms: FakeRooms, sign_in: SignIn) -> None:
    keys = [rooms.talk(user_id=f"user_{number}") for number in range(2)]
    desk = await sign_in("Anna Berg", "/queue")
    page = desk.page
    for pressed, at in (("j", 0), ("j", 1), ("k", 0)):
        await page.keyboard.press(pressed)
        await expect(page.locator(f'a[href="/conversations/{keys[at]}"]')).to_be_focused()
    await page.keyboard.press("/")
    search = page.get_by_label("Search")
    await expect(search).to_be_focused()
    await expect(search).to_have_value("")
    await page.keyboard.type("human/j")
    await expect(search).to_have_value("human/j")
    await search.fill("human")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/queue?search=human**")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/conversations/{keys[0]}")


async def test_who_else_has_a_page_open_is_shown_until_they_leave(rooms: FakeRooms, sign_in: SignIn) -> None:
    ticket = rooms.ticket()
    for path in (f"/conversations/{of_anna(rooms)}", f"/tickets/{ticket.ticket_id}"):
        anna = await sign_in("Anna Berg", path)
        ben = await sign_in("Ben Osei", path)
        await expect(anna.page.get_by_text("Also here: Ben Osei")).to_be_visible()
        await expect(ben.page.get_by_text("Also here: Anna Berg")).to_be_visible()
        await ben.go("/queue")
        await expect(anna.page.get_by_text("Also here")).to_have_count(0)
        await anna.page.close()


async def test_a_ticket_that_somebody_changes_is_shown_as_it_is(rooms: FakeRooms, sign_in: SignIn) -> None:
    ticket = rooms.ticket()
    desk = await sign_in("Anna Berg", f"/tickets/{ticket.ticket_id}")
    box = desk.page.get_by_label("Reply to the customer")
    await box.fill("I am just writ")
    await follows(desk.page)
    rooms.changed(ticket.ticket_id, "ben", "priority", priority="urgent")
    await expect(desk.page.locator("#standing")).to_contain_text("urgent")
    await expect(box).to_have_value("I am just writ")
