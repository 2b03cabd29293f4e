"""The tools at the desk, in a real browser: readable in every look, by keyboard, and all words as text."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from contracts import ToolAct, ToolChange
from tests.browser.desk import SignIn, console, focused, rooms, sign_in
from tests.browser.injections import INJECTIONS
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.browser.test_desk_injections import FOREIGN, HANDLERS
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

ADMIN = "Carla Ruiz"


@pytest.fixture(autouse=True)
def _one_tool(rooms: FakeRooms) -> None:
    rooms.tools.clear()
    rooms.tool_changes.clear()
    rooms.tool_acts.clear()
    rooms.tool()


def changed(rooms: FakeRooms, words: str) -> None:
    rooms.tool_changes.append(ToolChange(tool=words, what="changed", told=words, at=datetime.now(UTC).isoformat()))


@pytest.mark.parametrize("look", LOOKS)
async def test_they_are_readable_and_switched_in_every_look(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    long = "W" * 300
    rooms.tool("moved", state="left_out", withdrawn=True, why=long, handler=long, address=long)
    rooms.tool("banned", state="forbidden", switchable=False, why="switched off by the policy")
    rooms.tool("x" * 64, description=long, approval="required", roles=["staff"], origin="product")
    changed(rooms, long)
    desk = await sign_in(ADMIN, "/tools", **LOOKS[look])
    assert await desk.is_cut_off() == 0
    found = {"before": await desk.axe() if look in WITH_SCRIPT else []}
    tool = desk.page.locator("#tool-export_account")
    await tool.get_by_text("Switch off", exact=True).click()
    await tool.get_by_label("Why").fill("It charges twice.")
    assert await desk.is_cut_off() == 0
    found["open"] = await desk.axe() if look in WITH_SCRIPT else []
    await desk.button("Switch off export_account").click()
    await expect(tool.get_by_text("Switched off by Carla Ruiz")).to_have_count(0)  # by the name that the rooms know
    await expect(tool.get_by_text("Switched off by carla")).to_be_visible()
    await expect(tool.get_by_text("It charges twice.")).to_be_visible()
    assert await desk.is_cut_off() == 0
    found["after"] = await desk.axe() if look in WITH_SCRIPT else []
    assert found == {"before": [], "open": [], "after": []}


async def test_by_keyboard_alone_a_tool_is_switched_off_and_on_again(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in(ADMIN, "/tools")
    keyboard = desk.page.keyboard
    for act in ("Switch off", "Switch on"):
        await desk.page.locator("#tool-export_account summary").focus()
        await keyboard.press("Enter")
        await keyboard.press("Tab")
        await keyboard.type("Because.")
        await keyboard.press("Tab")
        assert await focused(desk.page) == f"{act} export_account"
        await keyboard.press("Enter")
        other = "Switch on" if act == "Switch off" else "Switch off"
        await expect(desk.page.locator("#tool-export_account summary")).to_have_text(other)
    assert [act.on for act in rooms.tool_acts] == [False, True]


async def test_a_reason_that_was_refused_is_still_there(rooms: FakeRooms, sign_in: SignIn) -> None:
    """Somebody else was faster."""
    desk = await sign_in(ADMIN, "/tools")
    tool = desk.page.locator("#tool-export_account")
    await tool.get_by_text("Switch off", exact=True).click()
    await tool.get_by_label("Why").fill("It charges twice.")
    rooms.tool(state="forbidden", switchable=False, why="switched off by the policy")
    await desk.button("Switch off export_account").click()
    await expect(desk.page.get_by_role("alert")).to_contain_text("nobody can switch it on here")
    await expect(desk.page.get_by_text("It charges twice.")).to_be_visible()


async def test_agents_read_and_have_no_button(rooms: FakeRooms, sign_in: SignIn) -> None:
    desk = await sign_in("Anna Berg", "/queue")
    await desk.page.get_by_role("link", name="Tools").click()
    await expect(desk.page.get_by_text("Exports/export_account at http://exports:9080")).to_be_visible()
    await expect(desk.page.get_by_role("button", name="Switch off")).to_have_count(0)
    await expect(desk.page.get_by_text("Admins switch tools off and on here.")).to_be_visible()


async def test_they_show_all_words_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    """`visit` fails for any request elsewhere, and for anything that the policy had to block."""
    for number, words in enumerate(INJECTIONS):
        told = {"description": words, "why": words, "handler": words, "address": words, "approval": words}
        rooms.tool(words, **told, state=("on", "left_out")[number % 2], switchable=False, roles=[words], withdrawn=True)
        changed(rooms, words)
        at = datetime.now(UTC).isoformat()
        act = ToolAct(act_id=f"a{number}", tool=words, on=bool(number % 2), who=words, why=words, at=at)
        rooms.tool_acts.append(act)
        rooms.tool(f"off{number}", state="off", act=act)
    desk = await sign_in(ADMIN, "/tools")
    assert await desk.page.locator("section .line").count() == 4 * len(INJECTIONS) + 1
    assert await desk.page.locator(FOREIGN).count() == 0
    assert len(await desk.page.evaluate(HANDLERS)) == 0
    assert await desk.is_cut_off() == 0
