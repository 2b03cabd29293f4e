"""Macros: what a file may say, how a text is filled in, and how it comes into what staff write."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from console.macros import FIELDS, Macro, read_macros
from tests.browser.injections import INJECTIONS
from tests.parts import nursery
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import Seen, StaffBrowser

FILE = """
[[macro]]
name = "Greeting"
text = '''
Hello {{customer.name}},

{{ staff.name }} is here.
'''

[[macro]]
name = "Where is my order"
text = "Order {{ask.order}} of {{customer.id}} comes on {{ask.day}}."
ask = {order = "Number of the order", day = "On which day"}

[[macro]]
name = "About the ticket"
text = "{{ticket.id}} is about: {{ticket.subject}}"

[[macro]]
name = "About the conversation"
text = "{{conversation.id}}"

[[macro]]
name = "<b>Long</b>"
text = "LONG"
"""


def macro(text: str, **more: Any) -> Macro:
    return Macro.model_validate({"name": "A macro", "text": text} | more)


def read(folder: Path, text: str | bytes) -> list[Macro]:
    path = folder / "macros.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_macros(path)


# --- the file ----------------------------------------------------------------------------------------------------


def test_without_a_file_there_are_none() -> None:
    assert read_macros(None) == []


def test_macros_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert [each.name for each in read(tmp_path, FILE)][:2] == ["Greeting", "Where is my order"]


BAD: dict[str, tuple[str | bytes, str]] = {
    "no TOML": ("[[macro", "is no TOML: "),
    "no text at all": (b"\xff", "is not in UTF-8"),
    "a key that nobody knows": ("[[macros]]\nname = 'a'", "macros: Extra inputs are not permitted"),
    "no name": ("[[macro]]\ntext = 'a'", "macro.1.name: Field required"),
    "a name of two lines": ("[[macro]]\nname = 'a\\nb'\ntext = 'a'".replace("'", '"'), "macro.1.name: "),
    "no words": ("[[macro]]\nname = 'a'\ntext = ' '", "macro.1.text: has no words"),
    "a text that nobody may send": (f"[[macro]]\nname = 'a'\ntext = '{'x' * 4001}'", "at most 4000 characters"),
    "a field that there is not": (
        "[[macro]]\nname = 'a'\ntext = 'Hello {{customer.nmae}}'",
        "macro.1: {{customer.nmae}} is no field; these are: conversation.id, customer.id, customer.name",
    ),
    "a field that is not asked for": ("[[macro]]\nname = 'a'\ntext = '{{ask.day}}'", "{{ask.day}} is no field"),
    "a question for nothing": (
        "[[macro]]\nname = 'a'\ntext = 'b'\nask = {day = 'On which day'}",
        "macro.1: asks for day, but its text has no {{ask.day}}",
    ),
    "two of one name": ("[[macro]]\nname='a'\ntext='b'\n[[macro]]\nname='a'\ntext='c'", "two macros have the name a"),
    "a call of a tool": ("[[macro]]\nname='a'\ntext='b'\ncalls=['refund_invoice']", "macro.1.calls: Extra inputs"),
}


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=BAD)
def test_a_file_that_is_wrong_says_where_in_one_line(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as told:
        read(tmp_path, text)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file or directory"):
        read_macros(tmp_path / "none.toml")


async def test_a_console_does_not_start_with_a_file_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "macros.toml"
    path.write_text("[[macro]]\nname = 'a'\ntext = '{{nobody}}'")
    code, out, err = await nursery.run("console", env=OF_A_CONSOLE | {"MACROS_FILE": str(path)})
    assert (code, out) == (1, "")
    assert err.startswith(f"setting MACROS_FILE: {path}: macro.1: {{{{nobody}}}} is no field")


# --- a text that is filled in ------------------------------------------------------------------------------------


def test_each_field_is_filled_in_wherever_it_stands() -> None:
    assert macro("{{staff.name}}, {{ staff.name }}!").filled({"staff.name": "Anna"}) == "Anna, Anna!"


@pytest.mark.parametrize(
    "value", [*INJECTIONS, *(f"{{{{{field}}}}}" for field in sorted(FIELDS)), r"\1 \g<0>", "{{ask.day}}"]
)
def test_a_value_is_never_looked_at_again(value: str) -> None:
    told = {"customer.name": value, "staff.name": "Anna", "ask.day": "Monday"}
    asked = macro("{{customer.name}} {{staff.name}} {{ask.day}}", ask={"day": "Which day"})
    assert asked.filled(told) == f"{value.strip()} Anna Monday"


def test_what_is_not_known_stays_as_it_is_written() -> None:
    hello = macro("Hello {{customer.name}}, {{staff.name}} here.")
    assert hello.filled({"staff.name": "Anna"}) == "Hello {{customer.name}}, Anna here."
    assert hello.missing({"staff.name": "Anna"}) == ["customer.name"]


def test_a_macro_is_for_pages_that_know_its_fields() -> None:
    assert macro("{{ticket.id}}").is_for({"ticket.id"})
    assert not macro("{{ticket.id}}").is_for({"conversation.id"})
    assert macro("{{ask.day}}", ask={"day": "Which day"}).is_for(set())


# --- at the desk -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        rooms.accounts["user_12345"] = {"user_id": "user_12345", "name": "Sam & <b>Co</b>"}
        yield rooms


@pytest.fixture(scope="module")
async def console(
    rooms: FakeRooms, service: Callable[..., Awaitable[Service]], tmp_path_factory: pytest.TempPathFactory
) -> Service:
    path = tmp_path_factory.mktemp("macros") / "macros.toml"
    path.write_text(FILE.replace("LONG", "x" * 3000))
    return await service("console", RESTATE_INGRESS_URL=rooms.url, MACROS_FILE=str(path), **OF_A_CONSOLE)


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


def talk_of(rooms: FakeRooms, person: str = "anna") -> str:
    key = rooms.talk()
    rooms.line(key, "owner", speaker="person", person=person, by=person)
    return f"/conversations/{key}"


def written_in(page: Seen) -> str:
    [text] = re.findall(r"<textarea name=\"text\" rows=\"5\"[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    return html.unescape(text)


def names_in(page: Seen) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'<option value="([^"]+)" >', page.text.split("</select>")[0])]


async def test_a_macro_stands_behind_what_is_written_and_is_sent_as_usual(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    path = talk_of(rooms)
    await staff.sign_in("anna")
    page = await staff.send(path, act="macro", macro="Greeting", text="Good morning!")
    text = "Good morning!\n\nHello Sam & <b>Co</b>,\n\nAnna Berg is here."
    assert (page.status, written_in(page)) == (200, text)
    key = path.rpartition("/")[2]
    assert not rooms.made(f"Conversation/{key}/say"), "nothing was said yet"
    await staff.send(path, act="say", text=text)
    assert [each["text"] for each in rooms.made(f"Conversation/{key}/say")] == [text]


async def test_what_a_macro_asks_for_is_asked_and_nothing_is_lost_meanwhile(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    path, order = talk_of(rooms), "Where is my order"
    await staff.sign_in("anna")
    page = await staff.send(path, act="macro", macro=order, text="Good morning!")
    assert "Fill in what the macro asks for." in page.text
    assert all(asked in page.text for asked in ("Number of the order", "On which day"))
    assert written_in(page) == "Good morning!"
    page = await staff.send(path, act="macro", macro=order, text="Good morning!", **{"ask.order": "{{customer.id}}"})
    assert 'name="ask.order" value="{{customer.id}}"' in page.text
    told = {"ask.order": "{{customer.id}}", "ask.day": "Monday"}
    page = await staff.send(path, act="macro", macro=order, text="Good morning!", **told)
    assert written_in(page) == "Good morning!\n\nOrder {{customer.id}} of user_12345 comes on Monday."
    assert "Number of the order" not in page.text


async def test_an_address_may_name_a_macro_but_not_what_is_filled_in(rooms: FakeRooms, staff: StaffBrowser) -> None:
    path = talk_of(rooms)
    await staff.sign_in("anna")
    assert "Anna Berg is here." in written_in(await staff.get(f"{path}?macro=Greeting"))
    page = await staff.get(f"{path}?macro=Where+is+my+order&ask.order=1&ask.day=2&text=Pay+me")
    assert written_in(page) == ""
    assert 'name="ask.order" value=""' in page.text
    page = await staff.get(f"{path}?macro=none")
    assert (page.status, "There is no such macro any more." in page.text) == (422, True)


async def test_a_customer_whose_name_nobody_knows_is_left_to_whoever_writes(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    path = talk_of(rooms)
    await staff.sign_in("anna")
    rooms.accounts_are_away = True
    try:
        page = await staff.send(path, act="macro", macro="Greeting", text="")
    finally:
        rooms.accounts_are_away = False
    assert written_in(page).startswith("Hello {{customer.name}},")
    assert "This is not known, so write it yourself: {{customer.name}}" in page.text


UNFIT = [
    ({"macro": ""}, "Choose a macro first."),
    ({"macro": "Gone"}, "There is no such macro any more."),
    ({"macro": "About the ticket"}, "There is no such macro any more."),
    ({"macro": "<b>Long</b>"}, "With this macro the text would be longer than 4000 characters."),
    ({"macro": "Where is my order", "ask.order": "x" * 501}, "What a macro asks for has at most 500 characters."),
]


@pytest.mark.parametrize(("form", "why"), UNFIT)
async def test_a_macro_that_does_not_fit_is_said_and_no_text_is_lost(
    rooms: FakeRooms, staff: StaffBrowser, form: dict[str, str], why: str
) -> None:
    path, text = talk_of(rooms), f"{'y' * 1500} </textarea><script>"
    await staff.sign_in("anna")
    page = await staff.send(path, act="macro", text=text, **form)
    assert (page.status, why in page.text, written_in(page)) == (422, True, text)


async def test_on_a_ticket_it_stands_in_the_reply(rooms: FakeRooms, staff: StaffBrowser) -> None:
    ticket = rooms.ticket(subject="{{staff.name}} <i>")
    path = f"/tickets/{ticket.ticket_id}"
    await staff.sign_in("anna")
    assert names_in(await staff.get(path)) == ["Greeting", "Where is my order", "About the ticket", "<b>Long</b>"]
    page = await staff.send(path, act="macro", macro="About the ticket", text="Hello.")
    assert written_in(page) == f"Hello.\n\n{ticket.ticket_id} is about: {{{{staff.name}}}} <i>"
    assert rooms.tickets[ticket.ticket_id].changes == 0
    assert ticket.ticket_id in written_in(await staff.get(f"{path}?macro=About+the+ticket"))


async def test_a_page_offers_what_it_can_fill_in(rooms: FakeRooms, staff: StaffBrowser) -> None:
    talked = rooms.ticket(conversation=rooms.talk())
    await staff.sign_in("anna")
    of_talk = names_in(await staff.get(talk_of(rooms)))
    assert of_talk == ["Greeting", "Where is my order", "About the conversation", "<b>Long</b>"]
    assert "About the conversation" in names_in(await staff.get(f"/tickets/{talked.ticket_id}"))


MAY_ACT = {"anna": True, "ben": True, "dora": False, "carla": True}


@pytest.mark.parametrize("name", MAY_ACT)
async def test_each_role_has_macros_or_has_not(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    await staff.sign_in(name)
    for path in (talk_of(rooms, name), f"/tickets/{rooms.ticket().ticket_id}"):
        page = await staff.get(f"{path}?macro=Greeting")
        assert (page.status, "is here." in page.text, 'value="macro"' in page.text) == (200, *[MAY_ACT[name]] * 2)
        page = await staff.send(path, at="/approvals", act="macro", macro="Greeting", text="")
        assert page.status == (200 if MAY_ACT[name] else 403)
