"""Staff decide, on the pages, what waits for a person's yes: with and without script, however they look at it."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, comes_to, console, focused, rooms, sign_in
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced_colours": {"forced_colors": "active"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "still": {"reduced_motion": "reduce"},
    "without_script": {"java_script_enabled": False},
}
WITH_SCRIPT = [look for look in LOOKS if look != "without_script"]


@pytest.fixture(autouse=True)
def _nothing_waits(rooms: FakeRooms) -> None:
    rooms.approvals.clear()


@pytest.mark.parametrize("look", WITH_SCRIPT)
async def test_axe_finds_nothing_and_nothing_is_cut_off(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    desk = await sign_in(path="/approvals", **LOOKS[look])
    found: dict[str, list[str]] = {"empty": await desk.axe()}
    waiting = rooms.asked(arguments={"invoice_id": "W" * 300, "amount": 3, "note": "a\nb", "x": {"y": ["z"] * 9}})
    denied = rooms.asked(status="denied", decided_by="dora", decided_at=waiting.asked_at, reason="paid before")
    for path in ("/approvals", "/approvals?show=decided", f"/approvals/{denied.approval_id}", "/nowhere", "/login"):
        await desk.go(path)
        found[path] = await desk.axe()
        assert await desk.is_cut_off() == 0, path
    await desk.go(f"/approvals/{waiting.approval_id}")
    await desk.page.get_by_text("Change it, and let it be made as changed").click()
    found["waiting"] = await desk.axe()
    assert await desk.is_cut_off() == 0
    await desk.button("Deny").click()
    await expect(desk.page.get_by_role("alert")).to_contain_text("Say why")
    found["refused"] = await desk.axe()
    assert [each for each in found.values() if each] == []
    moving = await desk.page.evaluate("document.getAnimations({subtree: true}).length")
    assert look != "still" or moving == 0


@pytest.mark.parametrize("look", ["light", "without_script"])
async def test_one_is_approved_one_denied_and_one_changed(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    first, second, third = (rooms.asked(f"tool_{number}") for number in range(3))
    desk = await sign_in(path="/approvals", **LOOKS[look])
    page = desk.page
    await page.get_by_role("link", name="tool_0").click()
    await desk.button("Approve").click()
    await expect(page.get_by_text("approved by ben")).to_be_visible()

    await page.get_by_role("link", name="← Approvals").click()
    await expect(page.get_by_role("link", name="tool_0")).to_have_count(0)
    await page.get_by_role("link", name="tool_1").click()
    await page.get_by_label("Reason (a denial").fill("It was paid back before.")
    await desk.button("Deny").click()
    await expect(page.get_by_text("It was paid back before.")).to_be_visible()

    await desk.go(f"/approvals/{third.approval_id}")
    await page.get_by_text("Change it, and let it be made as changed").click()
    await page.get_by_label("amount").fill("12,5")
    await desk.button("Approve as changed").click()
    await expect(page.get_by_role("alert")).to_contain_text("a number is wanted here")
    await expect(page.get_by_label("amount")).to_have_value("12,5")
    await page.get_by_label("amount").fill("12.5")
    await desk.button("Approve as changed").click()
    await expect(page.locator("ins")).to_have_text("12.5")

    found = {each.approval_id: each for each in rooms.approvals.values()}
    assert [found[each.approval_id].status for each in (first, second, third)] == ["approved", "denied", "edited"]
    assert rooms.made("Approvals/decide")[-1]["arguments"] == {"invoice_id": "INV-1", "amount": 12.5}
    await desk.go("/approvals?show=decided")
    await expect(page.locator(".row")).to_have_count(3)


async def test_what_was_changed_stays_when_a_denial_is_refused(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in(path=f"/approvals/{rooms.asked().approval_id}")
    page = desk.page
    await page.get_by_text("Change it, and let it be made as changed").click()
    await page.get_by_label("amount").fill("12.5")
    await page.get_by_label("Reason (the agent").fill("Half of it.")
    await desk.button("Deny").click()
    await expect(page.get_by_role("alert")).to_contain_text("Say why")
    await page.get_by_text("Change it, and let it be made as changed").click()
    await expect(page.get_by_label("amount")).to_have_value("12.5")
    await expect(page.get_by_label("Reason (the agent")).to_have_value("Half of it.")
    await expect(page.get_by_label("Reason (a denial")).to_have_value("")


async def test_a_reload_and_a_second_tab_decide_nothing_again(rooms: FakeRooms, sign_in: SignIn) -> None:
    approval = rooms.asked()
    desk = await sign_in(path=f"/approvals/{approval.approval_id}")
    other = await desk.page.context.new_page()
    await other.goto(desk.page.url)
    await desk.button("Approve").click()
    await expect(desk.page.get_by_text("approved by ben")).to_be_visible()
    made = len(rooms.made("Approvals/decide"))
    await desk.page.reload()
    assert len(rooms.made("Approvals/decide")) == made
    await other.get_by_label("Reason (a denial").fill("too late")
    await other.get_by_role("button", name="Deny", exact=True).click()
    await expect(other.get_by_role("alert")).to_contain_text("Somebody decided this before you did")
    assert rooms.approvals[approval.approval_id].status == "approved"


async def test_everything_is_done_by_the_keyboard_alone(rooms: FakeRooms, sign_in: SignIn) -> None:
    for tool in ("first", "second"):
        rooms.asked(tool)
    desk = await sign_in(path="/approvals")
    keys = desk.page.keyboard
    await keys.press("Tab")
    await comes_to(desk.page, "Skip to the content")
    await keys.press("j")
    await comes_to(desk.page, "first")
    await keys.press("j")
    await comes_to(desk.page, "second")
    await keys.press("k")
    await keys.press("Enter")
    await expect(desk.page.get_by_role("heading", level=1)).to_contain_text("first")
    for _ in range(20):
        await keys.press("Tab")
        if await focused(desk.page) == "reason":
            break
    await keys.type("no j and k here")
    await keys.press("Tab")
    await comes_to(desk.page, "Approve")
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(desk.page.get_by_text("denied by ben")).to_be_visible()
    assert [each.reason for each in rooms.approvals.values() if each.tool == "first"] == ["no j and k here"]


async def test_times_are_told_in_the_readers_zone(rooms: FakeRooms, sign_in: SignIn) -> None:
    rooms.asked(expires_at="2026-12-01T23:30:00+00:00")
    desk = await sign_in(path="/approvals", timezone_id="Asia/Tokyo")
    await expect(desk.page.locator("time").first).to_have_text("2 Dec, 08:30")
    plain = await sign_in(path="/approvals", java_script_enabled=False)
    await expect(plain.page.locator("time").first).to_have_text("1 Dec, 23:30 UTC")
