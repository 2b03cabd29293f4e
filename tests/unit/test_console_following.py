"""Who follows what at the desk: each page is told what it shows, once, from the moment on at which it was read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack

import pytest

from console.following import KEPT, MOST_OF_MEMBER, Change, Following, TooMany
from console.members import Member
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.polling import eventually
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser
from tests.parts.watcher import read_frames

ANNA, BEN = Member("anna", "Anna Berg", ("agent",)), Member("ben", "", ("agent",))
KEY = f"conv_{'a' * 32}"
PAGE = f"conversation:{KEY}"


def seen_by(following: Following, topic: str, after: str) -> tuple[list[str], bool]:
    with following.looking(frozenset([topic]), ANNA, after) as onlooker:
        changes, _, is_lost, _ = onlooker.told()
    return [each.id for each in changes], is_lost


async def test_a_page_is_told_what_changed_since_it_was_read_and_nothing_else() -> None:
    following = Following()
    following.tell([Change("wait", "before")])
    place = following.place
    following.tell([Change("conversation", KEY, 3, 4), Change("conversation", "other"), Change("wait", KEY)])
    assert seen_by(following, PAGE, place) == ([KEY], False)
    assert seen_by(following, "wait", place) == ([KEY], False)
    assert seen_by(following, "approval", place) == ([], False)
    assert seen_by(following, PAGE, following.place) == ([], False)


async def test_of_what_nobody_remembers_anything_may_have_changed() -> None:
    following = Following()
    place = following.place
    assert seen_by(following, "wait", "") == ([], True)
    assert seen_by(following, "wait", Following().place) == ([], True)
    following.tell([Change("wait", str(number)) for number in range(KEPT)])
    assert seen_by(following, "wait", place)[1] is False
    following.tell([Change("wait", "one more")])
    assert seen_by(following, "wait", place) == ([], True)
    lost = following.place
    following.lose()
    assert seen_by(following, "approval", lost)[1] is True


async def test_a_kind_without_an_id_concerns_lists_and_pages_of_it() -> None:
    assert Change("ticket", "").concerns(["ticket:TCK-100000"])
    assert Change("ticket", "").concerns(["ticket"])
    assert not Change("ticket", "").concerns(["wait"])


async def test_who_looks_is_told_to_the_others_by_the_name_that_is_shown() -> None:
    following = Following()
    with following.looking(frozenset([PAGE]), BEN, "") as ben:
        with following.looking(frozenset([PAGE]), ANNA, "") as anna:
            assert (anna.told()[3], ben.told()[3]) == ({PAGE: ["ben"]}, {PAGE: ["Anna Berg"]})
            assert following.who(PAGE, ANNA) == ["ben"]
        assert following.who(PAGE, BEN) == ["Anna Berg"]  # a page that is loaded anew is not left

        async def left() -> bool:
            return following.who(PAGE, BEN) == []

        await eventually(left)
        assert ben.told()[3] == {PAGE: []}


async def test_nobody_takes_all_the_places() -> None:
    following = Following()
    with ExitStack() as stack:
        for _ in range(MOST_OF_MEMBER):
            stack.enter_context(following.looking(frozenset(["wait"]), ANNA, ""))
        with pytest.raises(TooMany):
            stack.enter_context(following.looking(frozenset(["wait"]), ANNA, ""))
        stack.enter_context(following.looking(frozenset(["wait"]), BEN, ""))


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Service:
    return await service("console", RESTATE_INGRESS_URL=rooms.url, CONVERSATIONS_URL=rooms.url, **OF_A_CONSOLE)


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


async def is_followed(staff: StaffBrowser) -> None:
    async def open_now() -> bool:
        async with staff.http.get(f"{staff.address}/changes?on=wait") as reply:
            return reply.status == 200

    await eventually(open_now)


async def test_who_is_not_signed_in_is_told_nothing(staff: StaffBrowser) -> None:
    assert (await staff.get("/changes?on=wait")).status == 401
    await staff.sign_in("anna")
    for asked in ("", "?on=", "?on=wait&on=secret", f"?on=wait:{'x' * 81}", "?on=wait%0A"):
        assert (await staff.get(f"/changes{asked}")).status == 422, asked


async def test_one_stream_of_the_rooms_feeds_all_browsers(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("anna")
    await is_followed(staff)
    bodies = [b"", b""]

    async def watch(number: int) -> None:
        async with staff.http.get(f"{staff.address}/changes?on={PAGE}") as reply:
            async for part in reply.content.iter_any():
                bodies[number] += part

    watching = [asyncio.create_task(watch(number)) for number in range(len(bodies))]

    async def all_said(words: bytes) -> bool:
        return all(words in each for each in bodies)

    await eventually(lambda: all_said(b"event: all"))
    assert len(rooms.streams) == 1
    rooms.tell("conversation", "other", 1)
    rooms.tell("conversation", KEY, 7)
    await eventually(lambda: all_said(b"event: change"))
    told = [each["data"] for each in read_frames(bodies[0]) if each["event"] == "change"]
    assert told == [{"kind": "conversation", "id": KEY, "entries": 7, "events": 0}]
    await staff.post("/logout", form_token=(await staff.get("/queue")).fields["form_token"])
    rooms.tell("conversation", KEY, 8)
    await eventually(lambda: all_said(b'event: end\ndata: {"reason": "signed_out"}'))
    await asyncio.gather(*watching)
    assert b'"entries": 8' not in bodies[0] + bodies[1]


async def test_at_its_end_a_console_says_when_to_come_again(
    rooms: FakeRooms, service: Callable[..., Awaitable[Service]]
) -> None:
    console = await service("console", RESTATE_INGRESS_URL=rooms.url, CONVERSATIONS_URL=rooms.url, **OF_A_CONSOLE)
    async with StaffBrowser(console.address) as staff:
        await staff.sign_in("anna")
        await is_followed(staff)
        async with staff.http.get(f"{console.address}/changes?on=wait") as reply:
            leaving = asyncio.create_task(console.stop())
            assert b'event: end\ndata: {"reason": "restart"}' in await reply.read()
        await leaving


async def test_while_no_room_tells_what_changes_pages_are_told_to_look_by_themselves(
    rooms: FakeRooms, service: Callable[..., Awaitable[Service]]
) -> None:
    nowhere = {"CONVERSATIONS_URL": "http://127.0.0.1:9"}
    console = await service("console", RESTATE_INGRESS_URL=rooms.url, **OF_A_CONSOLE, **nowhere)
    async with StaffBrowser(console.address) as staff:
        await staff.sign_in("anna")
        assert (await staff.get("/changes?on=wait")).status == 503
