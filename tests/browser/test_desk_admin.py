"""What admins alone see of the desk: it is readable in every look, by keyboard, and shows all words as text."""

from datetime import datetime

import pytest
from playwright.async_api import expect

from contracts import AuditLine, cursor_of
from tests.browser.desk import SignIn, console, rooms, sign_in
from tests.browser.injections import INJECTIONS
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.browser.test_desk_injections import FOREIGN, HANDLERS
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

ADMIN = "Carla Ruiz"


def done(rooms: FakeRooms, number: int, words: str) -> None:
    at = "2026-05-04T12:00:00+00:00"
    cursor = cursor_of(datetime.fromisoformat(at), f"ticket/{number:05}")
    told = {"who": words, "action": "note", "subject": words, "about": words, "note": words}
    rooms.audit.append(AuditLine(kind="ticket", at=at, cursor=cursor, **told))


@pytest.mark.parametrize("look", LOOKS)
async def test_the_audit_is_readable_in_every_look(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    rooms.audit.clear()
    desk = await sign_in(ADMIN, "/audit", **LOOKS[look])
    await expect(desk.page.get_by_text("Nothing was done yet")).to_be_visible()
    for number in range(60):
        done(rooms, number, f"word{number}")
    await desk.go("/audit")
    assert await desk.is_cut_off() == 0
    assert look not in WITH_SCRIPT or await desk.axe() == []
    await desk.page.get_by_role("link", name="Older").press("Enter")
    await expect(desk.page.locator(".line")).to_have_count(10)
    await desk.page.get_by_label("Who").fill("word7")
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.locator(".line")).to_have_count(1)


async def test_the_audit_shows_all_words_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    """`visit` fails for any request elsewhere, and for anything that the policy had to block."""
    rooms.audit.clear()
    for number, text in enumerate(INJECTIONS):
        done(rooms, number, text)
    desk = await sign_in(ADMIN, "/audit")
    more = desk.page.get_by_role("link", name="Older")
    seen = 0
    while True:
        seen += await desk.page.locator(".line").count()
        assert await desk.page.locator(FOREIGN).count() == 0
        assert len(await desk.page.evaluate(HANDLERS)) == 0
        assert await desk.is_cut_off() == 0
        if await more.count() == 0:
            break
        await more.click()
        await desk.page.wait_for_load_state()
    assert seen == len(INJECTIONS)
