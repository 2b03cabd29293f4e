"""Macros at the desk: chosen by keyboard or pointer, with script or without, and shown as text whatever they say."""

import json
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from tests.browser.desk import LINKS, DeskPage, SignIn, focused, rooms, sign_in
from tests.browser.injections import INJECTIONS
from tests.browser.test_desk_approvals import LOOKS, WITH_SCRIPT
from tests.browser.test_desk_injections import FOREIGN, HANDLERS
from tests.browser.test_desk_pictures import LOOK, PICTURES
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms
from tests.parts.service import Service

__all__ = ["rooms", "sign_in"]

GREETING, ORDER = "Greeting", "Where is my order"
NAMES = [each for each in INJECTIONS if "\n" not in each and len(each) <= 80 and each == each.strip()]
HOSTILE = ["\n".join(each[:150] for each in INJECTIONS[first : first + 12]) for first in range(0, len(INJECTIONS), 12)]


def macros_file() -> str:
    def macro(name: str, text: str) -> str:
        return f"[[macro]]\nname = {quoted(name)}\ntext = {quoted(text)}\n"

    order = macro(ORDER, "Order {{ask.order}} comes today.") + 'ask = {order = "Number of the order"}\n'
    names = [macro(each, "A text.") for each in NAMES]
    texts = [macro(f"Text {at}", unfielded(text) + "\n{{customer.name}}") for at, text in enumerate(HOSTILE)]
    return macro(GREETING, "Hello {{customer.name}},\n\n{{staff.name}} is here.") + order + "".join(names + texts)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def unfielded(text: str) -> str:
    """What a macro may say: nothing in two braces but fields."""
    return text.replace("{{", "{").strip()


@pytest.fixture(scope="module")
async def console(
    rooms: FakeRooms, service: Callable[..., Awaitable[Service]], tmp_path_factory: pytest.TempPathFactory
) -> Service:
    path = tmp_path_factory.mktemp("macros") / "macros.toml"
    path.write_text(macros_file(), encoding="utf-8")
    rooms.accounts["user_12345"] = {"user_id": "user_12345", "name": "Sam Doe"}
    told = OF_A_CONSOLE | LINKS | {"CONVERSATIONS_URL": rooms.url, "MACROS_FILE": str(path)}
    return await service("console", RESTATE_INGRESS_URL=rooms.url, **told)


def talk_of_anna(rooms: FakeRooms, user_id: str = "user_12345") -> str:
    key = rooms.talk(user_id=user_id)
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    return key


async def put_in(desk: DeskPage, macro: str) -> None:
    await desk.page.get_by_label("Macro").select_option(macro)
    await desk.button("Put it into the text").click()


@pytest.mark.parametrize("look", ["light", "without_script"])
async def test_a_macro_is_put_in_edited_and_said(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    key = talk_of_anna(rooms)
    desk = await sign_in("Anna Berg", f"/conversations/{key}", **LOOKS[look])
    box = desk.page.get_by_label("Say to the customer")
    await box.fill("Good morning!")
    await put_in(desk, GREETING)
    await expect(box).to_have_value("Good morning!\n\nHello Sam Doe,\n\nAnna Berg is here.")
    await expect(box).to_be_focused()
    await put_in(desk, ORDER)
    await desk.page.get_by_label("Number of the order").fill("<i>7</i> {{staff.name}}")
    await desk.button("Put it into the text").click()
    text = "Good morning!\n\nHello Sam Doe,\n\nAnna Berg is here.\n\nOrder <i>7</i> {{staff.name}} comes today."
    await expect(box).to_have_value(text)
    await box.fill(f"{text} Bye.")
    await desk.button("Say it").click()
    await expect(desk.page.locator(".line.person .text")).to_have_text(f"{text} Bye.")


async def test_by_keyboard_alone_an_answer_goes_into_the_text_and_is_not_sent(
    rooms: FakeRooms, sign_in: SignIn
) -> None:
    ticket = rooms.ticket().ticket_id
    desk = await sign_in("Anna Berg", f"/tickets/{ticket}")
    page = desk.page
    await page.get_by_label("Macro").focus()
    await page.keyboard.type(ORDER[:7])
    await page.keyboard.press("Tab")
    assert await focused(page) == "Put it into the text"
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Number of the order")).to_be_focused()
    await page.keyboard.type("7")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Reply to the customer")).to_have_value("Order 7 comes today.")
    await expect(page.get_by_label("Reply to the customer")).to_be_focused()
    assert rooms.tickets[ticket].changes == 0


@pytest.mark.parametrize("look", WITH_SCRIPT)
async def test_axe_finds_nothing_and_nothing_is_cut_off(rooms: FakeRooms, sign_in: SignIn, look: str) -> None:
    rooms.accounts["user_12345"] = {"user_id": "user_12345", "name": "Sam Doe"}
    desk = await sign_in("Anna Berg", f"/conversations/{talk_of_anna(rooms)}", **LOOKS[look])
    account = desk.page.locator("#account code")
    await expect(account).to_have_text("user_12345")
    found = {"offered": await desk.axe()}
    await put_in(desk, ORDER)
    await expect(desk.page.get_by_label("Number of the order")).to_be_visible()
    await expect(account).to_have_text("user_12345")
    found["asked"] = await desk.axe()
    assert await desk.is_cut_off() == 0
    await desk.go(f"/tickets/{rooms.ticket().ticket_id}?macro={GREETING}")
    found["on a ticket"] = await desk.axe()
    assert await desk.is_cut_off() == 0
    assert found == {place: [] for place in found}


async def test_names_texts_and_values_are_shown_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    """`visit` fails for any request elsewhere, and for anything that the policy had to block."""
    key, desk = talk_of_anna(rooms), await sign_in("Anna Berg")
    box = desk.page.get_by_label("Say to the customer")
    for at, text in enumerate(HOSTILE):
        rooms.accounts["user_12345"] = {"user_id": "user_12345", "name": text}
        await desk.go(f"/conversations/{key}")
        await put_in(desk, f"Text {at}")
        await expect(box).to_have_value(f"{unfielded(text)}\n{text.strip()}")
        await expect(desk.page.locator("select[name=macro] option")).to_have_count(3 + len(NAMES) + len(HOSTILE))
        assert await desk.page.locator(FOREIGN).count() == 0, at
        assert len(await desk.page.evaluate(HANDLERS)) == 0, at
        assert await desk.is_cut_off() == 0, at


async def test_a_picture_of_a_macro(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    rooms.accounts["user_12345"] = {"user_id": "user_12345", "name": "Sam Doe"}
    desk = await sign_in("Anna Berg", f"/conversations/{talk_of_anna(rooms)}", **LOOK)
    await put_in(desk, GREETING)
    await expect(desk.page.get_by_label("Say to the customer")).to_be_focused()
    await desk.page.locator("#form-say").screenshot(path=PICTURES / "desk-macro.png")
