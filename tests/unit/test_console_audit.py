"""Who did what, as one list over all rooms: for admins alone, newest first, page by page."""

import html
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from contracts import AuditKind, AuditLine, cursor_of
from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser

KINDS: tuple[AuditKind, ...] = ("ticket", "approval", "conversation", "tool")
NOW = datetime(2026, 5, 4, 12, 0, 0, 123457, UTC)


@pytest.fixture
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture
async def staff(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> AsyncIterator[StaffBrowser]:
    console = await service("console", RESTATE_INGRESS_URL=rooms.url, REGISTRY_URL=rooms.url, **OF_A_CONSOLE)
    async with StaffBrowser(console.address) as staff:
        yield staff


def done(rooms: FakeRooms, kind: AuditKind, at: datetime = NOW, **more: str) -> AuditLine:
    told = {"who": "ben", "action": "take", "subject": uuid.uuid4().hex} | more
    line = AuditLine(kind=kind, at=at.isoformat(), cursor=cursor_of(at, f"{kind}/{uuid.uuid4().hex}"), **told)
    rooms.audit.append(line)
    return line


@pytest.mark.parametrize(("name", "status"), [("anna", 403), ("ben", 403), ("dora", 403), ("carla", 200)])
async def test_admins_alone_see_it_and_its_link(rooms: FakeRooms, staff: StaffBrowser, name: str, status: int) -> None:
    done(rooms, "ticket")
    seen = await staff.sign_in(name)
    assert ('href="/audit"' in seen.text) == (status == 200)
    assert (await staff.get("/audit")).status == status
    assert bool(rooms.made("TicketDesk/audit")) == (status == 200)


async def test_each_line_of_all_rooms_stands_on_one_page_and_the_newest_first(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    moments = [NOW - timedelta(microseconds=number // 4) for number in range(120)]
    lines = [done(rooms, KINDS[number % 4], at, action=f"did{number:03}") for number, at in enumerate(moments)]
    await staff.sign_in("carla")
    address, found = "/audit", list[str]()
    while address:
        page = (await staff.get(address)).text
        found += re.findall(r"did\d{3}", page)
        more = re.search(r'href="(/audit\?[^"]+)">Older', page)
        address = html.unescape(more[1]) if more else ""
    assert sorted(found) == sorted(line.action for line in lines)
    at = {line.action: line.at for line in lines}
    assert [at[each] for each in found] == sorted(at.values(), reverse=True)


async def test_it_is_filtered_by_the_address(rooms: FakeRooms, staff: StaffBrowser) -> None:
    done(rooms, "ticket", who="anna", action="did1")
    done(rooms, "approval", who="anna", action="did2", subject="refund")
    await staff.sign_in("carla")
    seen = await staff.get("/audit?kind=approval&who=anna&subject=refund&since=2026-05-01&until=2026-05-04")
    assert ("did2" in seen.text, "did1" in seen.text) == (True, False)
    asked = rooms.made("ConversationDesk/audit")[-1]
    assert (asked["since"], asked["until"]) == ("2026-05-01T00:00:00+00:00", "2026-05-05T00:00:00+00:00")
    assert "Nothing that was done is like that" in (await staff.get("/audit?who=nobody")).text


NO_FILTERS = ("kind=x", "since=x", "until=9999-12-31", "after=x", f"who={'x' * 999}", "after=1~%00")


@pytest.mark.parametrize("wrong", NO_FILTERS)
async def test_what_is_no_filter_breaks_nothing(staff: StaffBrowser, wrong: str) -> None:
    await staff.sign_in("carla")
    assert (await staff.get(f"/audit?{wrong}")).status == 200


async def test_words_and_names_are_shown_as_text(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("carla")
    plain = (await staff.get("/audit?who=nobody")).text
    for words in INJECTIONS:
        done(rooms, "ticket", who=words, action=words, subject=words, note=words, about=words)
    seen, address = "", "/audit"
    while address:
        page = (await staff.get(address)).text
        more = re.search(r'href="(/audit\?[^"]+)">Older', page)
        seen, address = seen + page, html.unescape(more[1]) if more else ""
    assert set(re.findall(r"<(\w+)", seen)) - set(re.findall(r"<(\w+)", plain)) <= {"ol", "li", "time"}
    assert "javascript:" not in "".join(re.findall(r'(?:href|src|action)="([^"]*)"', seen))
