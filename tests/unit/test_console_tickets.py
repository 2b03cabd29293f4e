"""What staff do with tickets at the desk: once, only who may, and no written word is lost."""

import html
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser

TEXT = "A long answer\nwith </textarea><script>alert(1)</script> in it."
KEPT = html.escape(TEXT)


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Service:
    return await service("console", RESTATE_INGRESS_URL=rooms.url, **OF_A_CONSOLE)


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


@pytest.fixture
async def carla(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as carla:
        await carla.sign_in("carla")
        yield carla


ACTS: dict[str, tuple[dict[str, str], str, dict[str, object]]] = {
    "reply": ({"text": "a\r\nb", "state": "solved"}, "reply", {"text": "a\nb", "state": "solved"}),
    "note": ({"text": "For us."}, "note", {"text": "For us."}),
    "take": ({}, "assign", {"to": "anna", "reassign": True}),
    "release": ({}, "assign", {"to": ""}),
    "assign": ({"to": " ben "}, "assign", {"to": "ben", "reassign": True}),
    "change": (
        {"priority": "urgent", "category": "", "state": "open", "why": "down"},
        "change",
        {"priority": "urgent", "state": "open", "note": "down"},
    ),
}


@pytest.mark.parametrize("act", ACTS)
async def test_each_act_is_asked_for_as_the_form_says_and_once(rooms: FakeRooms, staff: StaffBrowser, act: str) -> None:
    fields, handler, asked = ACTS[act]
    path = f"/tickets/{rooms.ticket(assignee='ben', state='open').ticket_id}"
    await staff.sign_in("anna")
    form = (await staff.get(path)).fields | fields | {"act": act}
    for _ in range(2):  # sent twice, as by a double click
        done = await staff.post(path, **form)
        assert (done.status, done.path) == (200, path)
    ticket = rooms.tickets[path.rpartition("/")[2]]
    assert ticket.changes == 1
    told = {"ticket_id": ticket.ticket_id, "act_id": form["act_id"]} | ({"seen": 0} if act != "note" else {})
    assert rooms.made(f"TicketDesk/{handler}")[-1] == told | asked


async def test_a_duplicate_is_merged_and_the_other_ticket_is_shown(rooms: FakeRooms, staff: StaffBrowser) -> None:
    one, other = (rooms.ticket(user_id="user_twice").ticket_id for _ in range(2))
    await staff.sign_in("anna")
    done = await staff.send(f"/tickets/{one}", act="merge", into=other.lower())
    assert (done.status, done.path, rooms.tickets[one].merged_into) == (200, f"/tickets/{other}", other)
    left = await staff.get(f"/tickets/{one}")
    assert f'goes on in <a href="/tickets/{other}">' in left.text
    assert 'value="reply"' not in left.text


MAY_ACT = {"anna": True, "ben": True, "dora": False, "carla": True}


@pytest.mark.parametrize("name", MAY_ACT)
async def test_each_role_acts_or_does_not(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    ticket_id, other = (rooms.ticket().ticket_id for _ in range(2))
    path, allowed = f"/tickets/{ticket_id}", MAY_ACT[name]
    await staff.sign_in(name)
    assert ('name="act"' in (await staff.get(path)).text) == allowed
    told = {"act_id": "0" * 32, "text": "Hello.", "to": "dora", "into": other}
    for number, act in enumerate(("reply", "note", "take", "assign", "release", "change", "merge")):
        seen = str(rooms.tickets[ticket_id].changes)
        form = told | {"act": act, "act_id": f"{number:032x}", "seen": seen}
        form |= {"state": "solved" if act == "reply" else "open"}
        page = await staff.send(path, at="/approvals", **form)
        assert page.status == (200 if allowed else 403), act
    assert rooms.tickets[ticket_id].changes == (7 if allowed else 0)


@pytest.mark.parametrize(("site", "token"), [("cross-site", ""), ("same-origin", "x" * 64), ("same-origin", "none")])
async def test_no_form_but_ours_acts(rooms: FakeRooms, staff: StaffBrowser, site: str, token: str) -> None:
    ticket_id = rooms.ticket().ticket_id
    await staff.sign_in("anna")
    form = (
        (await staff.get(f"/tickets/{ticket_id}")).fields | {"act": "take"} | ({"form_token": token} if token else {})
    )
    assert (await staff.post(f"/tickets/{ticket_id}", site=site, **form)).status == 403
    assert rooms.tickets[ticket_id].changes == 0


UNFIT: list[tuple[int, dict[str, str]]] = [
    (422, {"act": "reply", "text": " \n", "state": "open"}),
    (422, {"act": "reply", "text": "x" * 4001, "state": "open"}),
    (422, {"act": "reply", "text": "x", "state": "closed"}),
    (422, {"act": "note", "text": ""}),
    (422, {"act": "assign", "to": "a b"}),
    (422, {"act": "assign", "to": ""}),
    (422, {"act": "change"}),
    (422, {"act": "change", "priority": "king"}),
    (422, {"act": "change", "state": "new"}),
    (422, {"act": "change", "priority": "low", "why": "x" * 4001}),
    (422, {"act": "merge", "into": "TCK-1"}),
    (422, {"act": "merge", "into": "../TCK-100001"}),
    (422, {"act": "burn"}),
    (422, {"act": "take", "act_id": ""}),
    (422, {"act": "take", "act_id": "x/y"}),
    (422, {"act": "take", "seen": ""}),
    (422, {"act": "take", "seen": "-1"}),
]


async def test_what_cannot_be_done_is_not_asked_for(rooms: FakeRooms, staff: StaffBrowser) -> None:
    ticket_id = rooms.ticket().ticket_id
    await staff.sign_in("anna")
    before = len([target for target, _, _ in rooms.calls if target != "TicketDesk/show"])
    for status, form in UNFIT:
        assert (await staff.send(f"/tickets/{ticket_id}", **form)).status == status, form
    for path in ("/tickets/x", "/tickets/TCK-999999"):
        assert (await staff.send(path, at=f"/tickets/{ticket_id}", act="take")).status == 404
    assert rooms.tickets[ticket_id].changes == 0
    done = [target for target, _, _ in rooms.calls if target != "TicketDesk/show"]
    assert done[before:] == ["TicketDesk/assign"]  # of the one that never was


@pytest.mark.parametrize("act", ["reply", "change", "merge", "assign"])
async def test_what_somebody_changed_meanwhile_is_said_and_nothing_written_is_lost(
    rooms: FakeRooms, staff: StaffBrowser, carla: StaffBrowser, act: str
) -> None:
    one, other = (rooms.ticket().ticket_id for _ in range(2))
    path = f"/tickets/{one}"
    await staff.sign_in("anna")
    written = {
        "reply": {"text": TEXT, "state": "solved"},
        "change": {"priority": "low", "why": TEXT},
        "merge": {"into": other},
        "assign": {"to": "anna"},
    }[act]
    form = (await staff.get(path)).fields | {"act": act} | written
    assert (await carla.send(path, act="take")).status == 200
    late = await staff.post(path, **form)
    assert (late.status, "Somebody changed this ticket" in late.text) == (409, True)
    assert (rooms.tickets[one].changes, rooms.tickets[one].assignee) == (1, "carla")
    for name, value in written.items():
        kept = f">{value}</option>" if name in ("state", "priority") else html.escape(value)
        assert kept in late.text or f'value="{value}" selected' in late.text, name
    assert act != "assign" or "carla has it." in late.text
    again = await staff.post(path, **(form | late.fields))
    assert (again.status, rooms.tickets[one].changes) == (200, 2)


async def test_of_two_who_take_a_ticket_one_has_it(rooms: FakeRooms, staff: StaffBrowser, carla: StaffBrowser) -> None:
    path = f"/tickets/{rooms.ticket().ticket_id}"
    await staff.sign_in("anna")
    opened = await staff.get(path)
    await carla.send(path, act="take")
    late = await staff.post(path, **(opened.fields | {"act": "take"}))
    assert (late.status, "carla has it." in late.text) == (409, True)
    assert "Take it" in late.text


@pytest.mark.parametrize("merged", [False, True])
async def test_a_ticket_that_was_closed_meanwhile_says_so_and_keeps_what_was_written(
    rooms: FakeRooms, staff: StaffBrowser, carla: StaffBrowser, merged: bool
) -> None:
    one, other = (rooms.ticket().ticket_id for _ in range(2))
    path = f"/tickets/{one}"
    await staff.sign_in("anna")
    form = (await staff.get(path)).fields | {"act": "reply", "state": "waiting", "text": TEXT}
    close = {"act": "merge", "into": other} if merged else {"act": "change", "state": "closed"}
    assert (await carla.send(path, **close)).status == 200
    late = await staff.post(path, **form)
    assert late.status == 409
    assert (f"was merged into {other}" if merged else "This ticket is closed") in late.text
    assert KEPT in late.text
    assert (await staff.send(path, act="note", text="Why was it closed?")).status == 200
    assert [each.kind for each in rooms.tickets[one].messages] == ["note"]


@pytest.mark.parametrize(
    ("into", "status", "says"),
    [
        ("itself", 422, "no duplicate of itself"),
        ("another's", 422, "of another customer"),
        ("closed", 409, "The other ticket is closed"),
        ("TCK-999999", 404, "There is no ticket with this number"),
    ],
)
async def test_a_merge_that_cannot_be_is_said_and_keeps_the_number(
    rooms: FakeRooms, staff: StaffBrowser, into: str, status: int, says: str
) -> None:
    one = rooms.ticket().ticket_id
    others = {"itself": one, "another's": rooms.ticket(user_id="user_other").ticket_id}
    into = (others | {"closed": rooms.ticket(state="closed").ticket_id}).get(into, into)
    await staff.sign_in("anna")
    refused = await staff.send(f"/tickets/{one}", act="merge", into=into)
    assert (refused.status, says in refused.text, f'value="{into}"' in refused.text) == (status, True, True)
    assert rooms.tickets[one].state == "new"


async def test_the_same_form_with_other_words_is_refused_and_can_be_sent_again(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    ticket_id = rooms.ticket().ticket_id
    path = f"/tickets/{ticket_id}"
    await staff.sign_in("anna")
    form = (await staff.get(path)).fields | {"act": "note", "text": "First."}
    await staff.post(path, **form)
    other = await staff.post(path, **(form | {"text": "Second."}))
    assert (other.status, "with other words" in other.text, "Second." in other.text) == (409, True, True)
    await staff.post(path, **(form | {"text": "Second."} | other.fields))
    assert [each.text for each in rooms.tickets[ticket_id].messages] == ["First.", "Second."]


async def test_what_was_written_when_the_session_ended_or_the_room_was_away_is_sent_once(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    ticket_id = rooms.ticket().ticket_id
    path = f"/tickets/{ticket_id}"
    await staff.sign_in("anna")
    form = (await staff.get(path)).fields | {"act": "reply", "state": "waiting", "text": TEXT}
    staff.http.cookie_jar.clear()
    ended = await staff.post(path, **form)
    assert (ended.status, KEPT in ended.text) == (401, True)
    await staff.sign_in("anna")
    again = await staff.post(path, **(form | ended.fields))
    assert (again.status, KEPT in again.text) == (403, True)
    rooms.away = True
    away = await staff.post(path, **(form | again.fields))
    rooms.away = False
    assert (away.status, KEPT in away.text, away.fields["act_id"]) == (503, True, form["act_id"])
    for _ in range(2):
        assert (await staff.post(path, **(form | away.fields))).status == 200
    assert [each.text for each in rooms.tickets[ticket_id].messages] == [TEXT]


async def test_whatever_is_written_is_shown_as_text(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("anna")
    for text in INJECTIONS[:24]:
        path = f"/tickets/{rooms.ticket(subject=text[:200]).ticket_id}"
        await staff.send(path, act="reply", state="open", text=text)
        shown = await staff.send(path, act="note", text=text)
        kept = await staff.send(path, act="assign", to=text)
        assert (shown.status, kept.status) == (200, 422), text
        assert (
            shown.text.count(html.escape(text, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")) == 3
        )
        for page in (shown.text, kept.text):
            assert "<script>" not in page
            assert "canary.invalid/2 onerror=alert(1)>" not in page
