"""The agent's runs at the desk, in a real browser: found, followed and stopped, in every look and by keyboard."""

import pytest
from playwright.async_api import expect

from contracts import RunLine
from tests.browser.desk import SignIn, console, rooms, sign_in
from tests.browser.injections import INJECTIONS
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.browser.test_desk_following import follows
from tests.browser.test_desk_injections import FOREIGN, HANDLERS
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

KNOWN = {"turns": 3, "prompt_tokens": 700, "completion_tokens": 30, "invocation": "inv_1aBcD", "trace_id": "0" * 32}
WHY = "It goes round in circles."


@pytest.fixture(autouse=True)
def _nothing_ran(rooms: FakeRooms) -> None:
    rooms.runs.clear()


def page_of(run: RunLine) -> str:
    return f"/conversations/{run.conversation}/runs/{run.run}"


@pytest.mark.parametrize("look", LOOKS)
async def test_they_are_readable_in_every_look(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    desk = await sign_in("Dora Lind", "/runs", **LOOKS[look])
    await expect(desk.page.get_by_text("The agent has not run yet")).to_be_visible()
    rooms.ran(state="failed", outcome="model_unavailable", **KNOWN)
    rooms.ran(user_id="u" * 64, state="ended", outcome="stopped", stopped_by="a" * 64, why="w" * 500)
    rooms.ran()
    await desk.go("/runs")
    await expect(desk.page.locator(".row")).to_have_count(3)
    assert await desk.is_cut_off() == 0
    assert look not in WITH_SCRIPT or await desk.axe() == []


@pytest.mark.parametrize("look", LOOKS)
async def test_one_is_stopped_by_keyboard_from_the_list_in_every_look(
    rooms: FakeRooms, sign_in: SignIn, look: str
) -> None:
    run = rooms.ran()
    desk = await sign_in("Anna Berg", "/runs", **LOOKS[look])
    await desk.page.get_by_role("link", name="Stop it").press("Enter")
    box = desk.page.get_by_label("Why")
    await box.fill(WHY)
    assert await desk.is_cut_off() == 0
    assert look not in WITH_SCRIPT or await desk.axe() == []
    await desk.page.keyboard.press("Tab")
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.get_by_text("It was stopped, and ends what it had begun.")).to_be_visible()
    await expect(desk.page.get_by_text(f"Stopped by anna: {WHY}")).to_be_visible()
    await expect(desk.button("Stop this run")).to_have_count(0)
    assert rooms.made(f"Conversation/{run.conversation}/stop")[-1]["expected_run"] == run.run
    await desk.page.get_by_role("link", name="The conversation").click()
    await expect(desk.page.get_by_text(f"(anna: {WHY})")).to_be_visible()


async def test_an_approver_sees_no_way_to_stop_one(rooms: FakeRooms, sign_in: SignIn) -> None:
    run = rooms.ran()
    desk = await sign_in("Dora Lind", "/runs")
    await expect(desk.page.locator(".row")).to_have_count(1)
    await expect(desk.page.get_by_text("Stop it")).to_have_count(0)
    await desk.go(page_of(run))
    await expect(desk.page.get_by_text("It is still at work.")).to_be_visible()
    await expect(desk.button("Stop this run")).to_have_count(0)


async def test_the_list_follows_what_begins_and_ends_and_the_focus_stays(rooms: FakeRooms, sign_in: SignIn) -> None:
    run = rooms.ran(begun_at="2026-11-30T09:00:00+00:00")
    desk = await sign_in("Anna Berg", "/runs?show=running")
    await follows(desk.page)
    row = desk.page.locator(f'a.row[href="{page_of(run)}"]')
    await row.focus()
    other = rooms.ran()
    await expect(desk.page.locator(".row")).to_have_count(2)
    await expect(row).to_be_focused()
    rooms.ends(other)
    await expect(desk.page.locator(".row")).to_have_count(1)
    rooms.ends(run)
    await expect(desk.page.locator(".row")).to_have_count(0)
    await expect(desk.page.locator("#list")).to_be_focused()


async def test_a_reason_that_is_being_written_stays_when_the_run_is_over(rooms: FakeRooms, sign_in: SignIn) -> None:
    run = rooms.ran()
    desk = await sign_in("Anna Berg", page_of(run))
    await follows(desk.page)
    await desk.page.get_by_label("Why").fill("It goes r")
    rooms.ends(run)
    await expect(desk.page.locator("#did")).to_contain_text("answered")
    await expect(desk.page.get_by_label("Why")).to_have_value("It goes r")
    await expect(desk.page.get_by_label("Why")).to_be_focused()
    await desk.button("Stop this run").click()
    await expect(desk.page.get_by_role("alert")).to_contain_text("nothing was done")
    await expect(desk.page.get_by_label("Why")).to_have_value("It goes r")


async def test_the_way_to_stop_one_goes_when_it_is_over(rooms: FakeRooms, sign_in: SignIn) -> None:
    run = rooms.ran()
    desk = await sign_in("Anna Berg", page_of(run))
    await follows(desk.page)
    await expect(desk.button("Stop this run")).to_be_visible()
    rooms.ends(run)
    await expect(desk.button("Stop this run")).to_have_count(0)


async def test_they_show_all_words_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    """`visit` fails for any request elsewhere, and for anything that the policy had to block."""
    for text in INJECTIONS:
        told = {"outcome": text, "stopped_by": text, "why": text, "invocation": text, "trace_id": text}
        rooms.ran(user_id=text, **told)
    desk = await sign_in("Anna Berg", "/runs")
    await expect(desk.page.locator(".row")).to_have_count(50)
    older = await desk.page.get_by_role("link", name="Older").get_attribute("href")
    assert older is not None
    for path in ("/runs", older, *map(page_of, rooms.runs)):
        await desk.go(path)
        assert await desk.page.locator(FOREIGN).count() == 0, path
        assert len(await desk.page.evaluate(HANDLERS)) == 0, path
        assert await desk.is_cut_off() == 0, path
