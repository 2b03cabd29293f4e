"""The queue: tickets and conversations as one list, what is due first at the top, with every view at an address."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser

ROW = re.compile(r'<a class="row" href="([^"]+)">')
MORE = re.compile(r'<a class="button" href="([^"]+)">More</a>')
TAB = re.compile(r'<a href="(/queue[^"]*)" [^>]*>(?:All|Mine|Nobody has|Overdue) \(([0-9]+)\)</a>')


@pytest.fixture
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture
async def staff(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> AsyncIterator[StaffBrowser]:
    console = await service("console", RESTATE_INGRESS_URL=rooms.url, **OF_A_CONSOLE)
    async with StaffBrowser(console.address) as staff:
        await staff.sign_in("anna")
        yield staff


def due(minutes: int) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def waits(rooms: FakeRooms, minutes: int, user_id: str = "user_12345") -> str:
    """A conversation to which somebody has to come by then; its address."""
    key = rooms.talk(user_id=user_id)
    rooms.dues[key] = due(minutes)
    return f"/conversations/{key}"


async def rows(staff: StaffBrowser, address: str = "/queue") -> list[str]:
    return ROW.findall((await staff.get(address)).text)


async def test_what_is_due_first_stands_first_whatever_it_is(rooms: FakeRooms, staff: StaffBrowser) -> None:
    first, third = (f"/tickets/{rooms.ticket(due_at=due(at)).ticket_id}" for at in (1, 3))
    last = f"/tickets/{rooms.ticket(due_at='', state='waiting').ticket_id}"
    fourth, second = waits(rooms, 4), waits(rooms, 2)
    taken = rooms.talk()
    rooms.line(taken, "owner", speaker="person", person="ben", by="ben")
    assert await rows(staff) == [first, second, third, fourth, f"/conversations/{taken}", last]


async def test_pages_show_everything_once(rooms: FakeRooms, staff: StaffBrowser) -> None:
    wanted = {waits(rooms, at) for at in range(60)}
    wanted |= {f"/tickets/{rooms.ticket(due_at=due(at)).ticket_id}" for at in range(30, 95)}
    address, seen = "/queue?who=all", list[str]()
    while address:
        page = await staff.get(address)
        found = ROW.findall(page.text)
        assert len(found) <= 50
        seen += found
        address = next(map(html.unescape, MORE.findall(page.text)), "")
    assert (len(seen), set(seen)) == (125, wanted)


async def test_the_rooms_are_asked_for_what_the_address_says(rooms: FakeRooms, staff: StaffBrowser) -> None:
    place = f"12~0~conv_{'x' * 32}"
    filters = "who=mine&customer=user_1&search=two+words&after=12~3"
    await staff.get(f"/queue?{filters}&after_talk={place}")
    every = ["new", "open", "waiting", "solved", "closed"]
    asked = {"limit": 50, "search": "two words", "user_id": "user_1"}
    assert rooms.made("TicketDesk/list")[-1] == asked | {"cursor": "12~3", "mine": True, "states": every}
    assert rooms.made("ConversationDesk/list")[-1] == asked | {"cursor": place, "who": "mine"}
    await staff.get("/queue?who=king&kind=x&state=solved&priority=x&customer=%00a%20b&after=%27&after_talk=1~2~x")
    assert rooms.made("TicketDesk/list")[-1] == {"limit": 50, "search": "", "cursor": "", "states": ["solved"]}
    assert rooms.made("ConversationDesk/list")[-1] == {"limit": 50, "search": "", "cursor": "", "who": "all"}
    await staff.get("/queue?who=overdue&state=open&priority=high")
    asked = {"limit": 50, "search": "", "cursor": "", "overdue": True}
    assert rooms.made("TicketDesk/list")[-1] == asked | {"states": ["open"], "priority": "high"}
    assert rooms.made("ConversationDesk/list")[-1] == asked


async def test_of_a_priority_a_state_or_a_kind_nothing_else_is_shown(rooms: FakeRooms, staff: StaffBrowser) -> None:
    talk = waits(rooms, 1)
    high, low = (f"/tickets/{rooms.ticket(due_at=due(2), priority=each).ticket_id}" for each in ("high", "low"))
    assert await rows(staff, "/queue?priority=high") == [high]
    assert await rows(staff, "/queue?state=new") == [high, low]
    assert await rows(staff, "/queue?kind=tickets") == [high, low]
    assert await rows(staff, "/queue?kind=conversations") == [talk]


async def test_the_tabs_count_both_and_keep_the_other_filters(rooms: FakeRooms, staff: StaffBrowser) -> None:
    waits(rooms, 1)
    rooms.ticket()
    page = await staff.get("/queue?customer=user_1&search=word&after=12~3")
    tabs = [(html.unescape(address), int(count)) for address, count in TAB.findall(page.text)]
    kept = "customer=user_1&search=word"
    assert tabs == [
        (f"/queue?{kept}", 2),
        (f"/queue?who=mine&{kept}", 0),
        (f"/queue?who=nobody&{kept}", 1),
        (f"/queue?who=overdue&{kept}", 0),
    ]


@pytest.mark.parametrize("name", ["anna", "ben", "dora", "carla"])
async def test_whoever_may_read_a_conversation_finds_it_by_what_was_said(
    rooms: FakeRooms, staff: StaffBrowser, name: str
) -> None:
    key = rooms.talk(("answer", {"text": "The kingfisher is blue."}))
    rooms.line(key, "owner", speaker="agent", by="anna")
    await staff.sign_in(name)
    assert await rows(staff) == []
    page = await staff.get("/queue?search=kingfisher")
    assert (ROW.findall(page.text), "The kingfisher is blue." in page.text) == ([f"/conversations/{key}"], True)


async def test_what_a_search_finds_is_shown_as_text(rooms: FakeRooms, staff: StaffBrowser) -> None:
    for text in INJECTIONS[:24]:
        rooms.talk(("answer", {"text": f"kingfisher {text}"}))
    page = (await staff.get("/queue?search=kingfisher")).text
    for text in INJECTIONS[:24]:
        shown = html.escape(text[:140]).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
        assert shown in page, text
    assert "<script>" not in page
    assert "canary.invalid/2 onerror=alert(1)>" not in page


async def test_without_anything_it_says_what_will_stand_there(staff: StaffBrowser) -> None:
    assert "no ticket is unfinished" in (await staff.get("/queue")).text
    assert "Nothing is like that" in (await staff.get("/queue?who=mine")).text


async def test_pages_of_approvals_show_each_once(rooms: FakeRooms, staff: StaffBrowser) -> None:
    wanted = {f"/approvals/{rooms.asked().approval_id}" for _ in range(150)}
    address, seen = "/approvals", list[str]()
    while address:
        page = await staff.get(address)
        seen += ROW.findall(page.text)
        address = next(map(html.unescape, MORE.findall(page.text)), "")
    assert (len(seen), set(seen)) == (150, wanted)
    await staff.get("/approvals?show=decided&after=%27")
    assert rooms.made("Approvals/list")[-1] == {"decided": True, "limit": 100, "cursor": ""}
