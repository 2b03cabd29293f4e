"""Who may come to the desk, what each may do there, and what a form of it does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest

from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser

SECRET = OF_A_CONSOLE["SESSION_SECRET"]
NAMES = ("anna", "ben", "dora", "carla")


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Service:
    return await service(
        "console", RESTATE_INGRESS_URL=rooms.url, REGISTRY_URL=rooms.url, BODY_SECONDS="1", **OF_A_CONSOLE
    )


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


def session(secret: str = SECRET, **changed: Any) -> str:
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": "ben",
        "shown": "Ben",
        "roles": ["approver"],
        "sid": "x",
        "began": now,
        "until": now + 100,
    }
    claims |= {"aud": "switchboard-console", "iat": now, "exp": now + 100} | changed
    return jwt.encode({name: each for name, each in claims.items() if each is not None}, secret, "HS256")


def staff_token_as_session() -> str:
    return session(OF_A_CONSOLE["STAFF_KEY"], aud="switchboard-staff")


FORGED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token": lambda: "ben",
    "another secret": lambda: session("another-secret-of-32-bytes-or-more"),
    "unsigned": lambda: jwt.encode({"sub": "ben", "roles": ["admin"]}, "", "none"),
    "a staff token": staff_token_as_session,
    "of another audience": lambda: session(aud="switchboard-staff"),
    "expired": lambda: session(exp=int(time.time()) - 1),
    "over in any case": lambda: session(until=time.time() - 1),
    "without a name": lambda: session(sub=None),
    "without an end": lambda: session(exp=None),
    "with no role that we know": lambda: session(roles=["king"]),
    "with roles that are none": lambda: session(roles=5),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_no_forged_session_opens_a_page(rooms: FakeRooms, console: Service, forged: Callable[[], str]) -> None:
    approval, before = rooms.asked(), len(rooms.calls)
    async with StaffBrowser(console.address) as staff:
        cookies = {"Cookie": f"desk={forged()}"}
        for path in ("/approvals", f"/approvals/{approval.approval_id}"):
            seen = await staff.get(path, headers=cookies)
            assert seen.path.startswith("/login?next=")
    assert len(rooms.calls) == before


async def test_a_session_that_we_made_opens_it(staff: StaffBrowser) -> None:
    seen = await staff.get("/approvals", headers={"Cookie": f"desk={session()}"})
    assert (seen.status, seen.path) == (200, "/approvals")


async def test_each_sign_in_has_a_session_of_its_own_and_signing_out_ends_it(
    console: Service, staff: StaffBrowser
) -> None:
    await staff.sign_in("anna")
    first = staff.cookie()
    seen = await staff.sign_in("ben")
    second = staff.cookie()
    assert "Ben Osei" in seen.text
    assert (
        jwt.decode(first, SECRET, ["HS256"], audience="switchboard-console")["sid"]
        != (jwt.decode(second, SECRET, ["HS256"], audience="switchboard-console")["sid"])
    )
    for cookie in (first, second):
        if cookie == second:
            assert (await staff.send("/logout", "/approvals")).status == 200
            assert staff.cookie() == ""
        async with StaffBrowser(console.address) as thief:
            seen = await thief.get("/approvals", headers={"Cookie": f"desk={cookie}"})
        assert seen.path.startswith("/login"), "a copy of it still opens"


async def test_nobody_is_sent_to_another_site_after_signing_in(staff: StaffBrowser) -> None:
    for told in ("https://evil.example", "//evil.example", "/\\evil.example", "/login", "javascript:x", "/a\r\nb: c"):
        page = await staff.get("/login")
        seen = await staff.post("/login", **(page.fields | {"name": "anna", "next": told}))
        assert seen.path == "/queue"
    page = await staff.get("/login?next=%2Fapprovals%3Fshow%3Ddecided")
    seen = await staff.post("/login", **(page.fields | {"name": "anna"}))
    assert seen.path == "/approvals?show=decided"


async def test_no_other_site_signs_anybody_in(staff: StaffBrowser) -> None:
    page = await staff.get("/login")
    told = page.fields | {"name": "carla"}
    assert (await staff.post("/login", site="cross-site", **told)).status == 403
    assert (await staff.post("/login", **(told | {"form_token": "x"}))).status == 403
    staff.http.cookie_jar.clear()
    assert (await staff.post("/login", **told)).status == 403
    assert staff.cookie() == ""


WRONG_FORMS: dict[str, tuple[str | None, str]] = {
    "of another site": ("cross-site", ""),
    "of a neighbour": ("same-site", ""),
    "typed by hand": ("none", ""),
    "with no token": ("same-origin", "remove"),
    "with another token": ("same-origin", "x" * 64),
}


@pytest.mark.parametrize(("site", "token"), WRONG_FORMS.values(), ids=WRONG_FORMS.keys())
async def test_no_form_but_ours_decides(rooms: FakeRooms, staff: StaffBrowser, site: str | None, token: str) -> None:
    approval = rooms.asked()
    await staff.sign_in("ben")
    path = f"/approvals/{approval.approval_id}"
    fields = (await staff.get(path)).fields | {"choice": "approve"} | ({"form_token": token} if token else {})
    if token == "remove":
        del fields["form_token"]
    assert (await staff.post(path, site=site, **fields)).status == 403
    assert rooms.approvals[approval.approval_id].status == "pending"


async def test_what_was_written_when_the_session_ended_is_not_lost(rooms: FakeRooms, staff: StaffBrowser) -> None:
    approval = rooms.asked()
    path = f"/approvals/{approval.approval_id}"
    await staff.sign_in("ben")
    fields = (await staff.get(path)).fields | {"choice": "deny", "reason": "A long reason\nwith </textarea> in it."}
    staff.http.cookie_jar.clear()
    kept = await staff.post(path, **fields)
    assert kept.status == 401
    assert "A long reason\nwith &lt;/textarea&gt; in it." in kept.text
    await staff.sign_in("ben")
    again = await staff.post(path, **(fields | {"form_token": ""}))
    assert (again.status, rooms.approvals[approval.approval_id].status) == (403, "pending")
    assert "with &lt;/textarea&gt; in it." in again.text
    done = await staff.post(path, **(fields | {"form_token": again.fields["form_token"]}))
    assert (done.status, rooms.approvals[approval.approval_id].status) == (200, "denied")
    assert rooms.approvals[approval.approval_id].reason == "A long reason\nwith </textarea> in it."


DURING_AN_OUTAGE: dict[str, tuple[str, dict[str, str]]] = {
    "say": ("conversation", {"act": "say", "text": "A long answer\nwith </textarea> in it."}),
    "deny": ("approval", {"choice": "deny", "reason": "A long answer\nwith </textarea> in it."}),
    "edit": ("approval", {"choice": "edit", "arg:invoice_id": "A long answer\nwith </textarea> in it."}),
}


@pytest.mark.parametrize("trouble", ["away", "fails"])
@pytest.mark.parametrize("form", DURING_AN_OUTAGE)
async def test_what_was_written_while_no_room_does_it_is_kept_and_can_be_sent(
    rooms: FakeRooms, staff: StaffBrowser, form: str, trouble: str
) -> None:
    about, written = DURING_AN_OUTAGE[form]
    key, approval = rooms.talk(), rooms.asked()
    path = f"/conversations/{key}" if about == "conversation" else f"/approvals/{approval.approval_id}"
    await staff.sign_in("ben")
    await staff.send(f"/conversations/{key}", act="take")
    fields = (await staff.get(path)).fields | {"arg:amount": "1"} | written
    setattr(rooms, trouble, True)
    away = await staff.post(path, **fields)
    setattr(rooms, trouble, False)
    assert (away.status, "A long answer\nwith &lt;/textarea&gt; in it." in away.text) == (503, True)
    done = await staff.post(path, **(fields | away.fields))
    assert (done.status, "with &lt;/textarea&gt; in it." in done.text) == (200, True)


async def test_a_reason_that_is_refused_stands_where_it_was_written(rooms: FakeRooms, staff: StaffBrowser) -> None:
    path = f"/approvals/{rooms.asked().approval_id}"
    await staff.sign_in("ben")
    denied = await staff.send(path, choice="deny", reason="x" * 501)
    assert (denied.status, denied.text.count("x" * 501), 'details id="edit" open' in denied.text) == (422, 1, False)
    wrong = {"choice": "edit", "arg:invoice_id": "refused", "arg:amount": "1", "reason": "for this"}
    edited = await staff.send(path, **wrong)
    assert (edited.status, edited.text.count("for this"), 'details id="edit" open' in edited.text) == (422, 1, True)


async def test_a_long_conversation_is_read_to_its_end(rooms: FakeRooms, staff: StaffBrowser) -> None:
    key = rooms.talk()
    for number in range(5200):
        rooms.line(key, "message", text=f"line {number}")
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    await staff.sign_in("anna")
    seen = await staff.get(f"/conversations/{key}")
    assert ("line 5199" in seen.text, "You speak; the agent is silent." in seen.text) == (True, True)
    del rooms.talks[key]


async def test_only_the_address_that_changes_with_a_file_is_kept(staff: StaffBrowser) -> None:
    page = await staff.get("/login")
    address = next(each for each in page.text.split('"') if each.startswith("/static/console.css?v="))
    addresses = (address, address[:-1], "/static/console.css")
    kept = {each: (await staff.get(each)).headers["Cache-Control"] for each in addresses}
    assert "immutable" in kept.pop(address)
    assert set(kept.values()) == {"no-cache"}


MAY_DECIDE = {"anna": False, "ben": True, "dora": True, "carla": False}


@pytest.mark.parametrize("name", NAMES)
async def test_each_role_decides_or_does_not(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    await staff.sign_in(name)
    for choice, becomes in {"approve": "approved", "deny": "denied", "edit": "edited"}.items():
        approval = rooms.asked()
        path = f"/approvals/{approval.approval_id}"
        page = await staff.get(path)
        assert page.status == 200
        assert ("value=&#34;approve" in page.text or 'value="approve"' in page.text) == MAY_DECIDE[name]
        told = {
            "digest": approval.digest,
            "choice": choice,
            "reason": "r",
            "arg:invoice_id": "INV-2",
            "arg:amount": "1",
        }
        seen = await staff.post(path, **(page.fields | told))
        after = rooms.approvals[approval.approval_id].status
        assert (seen.status, after) == ((200, becomes) if MAY_DECIDE[name] else (403, "pending"))


async def test_of_two_who_decide_the_second_reads_what_the_first_decided(rooms: FakeRooms, console: Service) -> None:
    approval = rooms.asked()
    path = f"/approvals/{approval.approval_id}"
    async with StaffBrowser(console.address) as ben, StaffBrowser(console.address) as dora:
        await ben.sign_in("ben")
        await dora.sign_in("dora")
        opened = await dora.get(path)
        assert (await ben.send(path, choice="approve")).status == 200
        late = await dora.post(path, **(opened.fields | {"choice": "deny", "reason": "no"}))
    assert late.status == 409
    assert "Somebody decided this before you did" in late.text
    assert "approved</strong> by <strong>ben" in late.text
    assert rooms.approvals[approval.approval_id].status == "approved"


async def test_nobody_decides_other_arguments_than_were_shown(rooms: FakeRooms, staff: StaffBrowser) -> None:
    approval = rooms.asked()
    await staff.sign_in("ben")
    path = f"/approvals/{approval.approval_id}"
    seen = await staff.send(path, choice="approve", digest="0" * 64)
    assert (seen.status, rooms.approvals[approval.approval_id].status) == (409, "pending")
    assert "has changed since you opened the page" in seen.text


async def test_a_denial_without_a_reason_and_a_choice_that_is_none_are_not_sent(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    path = f"/approvals/{rooms.asked().approval_id}"
    await staff.sign_in("ben")
    before = len(rooms.made("Approvals/decide"))
    assert (await staff.send(path, choice="deny", reason="  ")).status == 422
    assert (await staff.send(path, choice="burn")).status == 422
    assert len(rooms.made("Approvals/decide")) == before


async def test_the_customer_of_a_call_does_not_decide_it(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("ben")
    path = f"/approvals/{rooms.asked(user_id='BEN').approval_id}"
    page = await staff.get(path)
    assert 'value="approve"' not in page.text
    assert (await staff.send(path, choice="approve", digest="0" * 64)).status == 403


MAY_TALK = {"anna": True, "ben": True, "dora": False, "carla": True}


@pytest.mark.parametrize("name", NAMES)
async def test_each_role_reads_and_only_those_who_may_talk_do(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    key, ticket = rooms.talk(), rooms.ticket()
    await staff.sign_in(name)
    for path in ("/queue", f"/conversations/{key}", "/tickets", f"/tickets/{ticket.ticket_id}", "/approvals"):
        assert (await staff.get(path)).status == 200
    before = len(rooms.talks[key])
    told = {"text": "Hello.", "say_id": "1", "to": "dora"}
    for act in ("take", "say", "assign", "return"):
        seen = await staff.send(f"/conversations/{key}", at="/approvals", act=act, **told)
        assert seen.status == (200 if MAY_TALK[name] else 403), act
    assert len(rooms.talks[key]) == before + (4 if MAY_TALK[name] else 0)


async def test_of_two_who_take_one_wins_and_what_the_other_wrote_is_not_lost(
    rooms: FakeRooms, console: Service
) -> None:
    key = rooms.talk()
    path = f"/conversations/{key}"
    async with StaffBrowser(console.address) as anna, StaffBrowser(console.address) as carla:
        await anna.sign_in("anna")
        await carla.sign_in("carla")
        assert (await anna.send(path, act="take")).status == 200
        opened = await anna.get(path)
        late = await carla.send(path, act="take")
        assert (late.status, "Somebody else was faster" in late.text) == (409, True)
        assert rooms.holder(key) == "anna"
        assert (await carla.send(path, act="assign", to="carla")).status == 200
        lost = await anna.post(path, **(opened.fields | {"act": "say", "text": "My long answer."}))
    assert (lost.status, "My long answer." in lost.text) == (409, True)
    assert [line for line in rooms.talks[key] if line["kind"] == "person"] == []


async def test_what_cannot_be_said_is_not_sent(rooms: FakeRooms, staff: StaffBrowser) -> None:
    key = rooms.talk()
    await staff.sign_in("anna")
    await staff.send(f"/conversations/{key}", act="take")
    before = len(rooms.talks[key])
    for wrong in (
        {"act": "say", "text": " "},
        {"act": "say", "text": "x" * 4001},
        {"act": "burn"},
        {"act": "assign", "to": "a b"},
    ):
        assert (await staff.send(f"/conversations/{key}", **wrong)).status == 422, wrong
    assert len(rooms.talks[key]) == before
    for path in ("/conversations/nothing", f"/conversations/conv_{'0' * 32}", "/tickets/x", "/tickets/TCK-999999"):
        assert (await staff.get(path)).status == 404, path


async def test_the_address_says_what_is_listed(rooms: FakeRooms, staff: StaffBrowser) -> None:
    rooms.talks.clear()
    mine, waiting = rooms.talk(user_id="user_mine"), rooms.talk(user_id="user_waiting")
    rooms.line(mine, "owner", speaker="person", person="anna", by="anna")
    await staff.sign_in("anna")
    views = ("", "who=mine", "who=nobody", "customer=user_waiting")
    seen = {each: (await staff.get(f"/queue?{each}")).text for each in views}
    found = {each: (mine in text, waiting in text) for each, text in seen.items()}
    assert found == {
        "": (True, True),
        "who=mine": (True, False),
        "who=nobody": (False, True),
        "customer=user_waiting": (False, True),
    }
    await staff.get("/tickets?who=mine&state=solved&priority=high&customer=user_1&search=words&after=12~3")
    assert rooms.made("TicketDesk/list")[-1] == {
        "limit": 50,
        "search": "words",
        "cursor": "12~3",
        "mine": True,
        "states": ["solved"],
        "priority": "high",
        "user_id": "user_1",
    }
    await staff.get("/tickets?who=king&state=x&priority=x&customer=%00a%20b&after=%27")
    assert rooms.made("TicketDesk/list")[-1] == {"limit": 50, "search": "", "cursor": ""}


async def test_a_page_that_follows_does_not_keep_its_session_alive(staff: StaffBrowser) -> None:
    await staff.sign_in("anna")
    assert "Set-Cookie" in (await staff.get("/queue")).headers
    assert "Set-Cookie" not in (await staff.get("/queue", headers={"X-Refresh": "1"})).headers


async def test_a_token_tells_the_rooms_who_acts_and_lives_for_a_minute(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("carla")
    await staff.get("/approvals")
    _, by, _ = rooms.calls[-1]
    assert (by["sub"], by["roles"], by["aud"]) == ("carla", ["admin"], "switchboard-staff")
    assert by["exp"] - by["iat"] == 60


async def test_what_cannot_be_done_is_told_by_a_page(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("ben")
    missing = await staff.get(f"/approvals/appr_{'0' * 32}")
    assert (missing.status, "There is nothing here" in missing.text) == (404, True)
    assert (await staff.get("/nowhere")).status == 404
    assert (await staff.get("/approvals?" + "x" * 5000)).status == 404
    assert (await staff.get("/static/../settings.py")).status == 404
    rooms.away = True
    away = await staff.get("/approvals")
    ready = await staff.get("/readyz")
    rooms.away = False
    assert (away.status, away.headers["Retry-After"]) == (503, "2")
    assert (ready.status, (await staff.get("/readyz")).status, (await staff.get("/livez")).status) == (503, 200, 200)
    rooms.refuses_tokens = True
    refused = await staff.get("/approvals")
    rooms.refuses_tokens = False
    assert (refused.status, "STAFF_KEY" in refused.text) == (502, True)


async def test_a_body_that_is_none_of_a_form_goes_no_further(rooms: FakeRooms, staff: StaffBrowser) -> None:
    path = f"/approvals/{rooms.asked().approval_id}"
    await staff.sign_in("ben")
    before, typed = len(rooms.calls), {"Content-Type": "application/x-www-form-urlencoded"}
    for status, data, headers in (
        (415, b"{}", {"Content-Type": "application/json"}),
        (413, b"a=" + b"x" * 70_000, typed),
        (400, b"a=%ff", typed),
    ):
        async with staff.http.post(staff.address + path, data=data, headers=headers) as reply:
            assert reply.status == status
    assert [target for target, _, _ in rooms.calls[before:]] == []


async def test_every_answer_lets_a_browser_load_nothing_else_and_is_not_kept(staff: StaffBrowser) -> None:
    await staff.sign_in("ben")
    nonces: set[str] = set()
    for path in ("/login", "/approvals", "/nowhere", "/livez"):
        headers = (await staff.get(path)).headers
        allowed = headers["Content-Security-Policy"]
        assert "default-src 'none'" in allowed
        assert "unsafe" not in allowed
        nonces.add(allowed.partition("'nonce-")[2].partition("'")[0])
        told = {name: headers[name] for name in ("X-Content-Type-Options", "X-Frame-Options", "Cache-Control")}
        assert told == {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"}
    assert len(nonces) == 4


async def test_cookies_are_out_of_reach_for_scripts_and_other_sites(staff: StaffBrowser) -> None:
    page = await staff.get("/login")
    form = page.fields | {"name": "ben"}
    async with staff.http.post(
        staff.address + "/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False
    ) as reply:
        told = next(each for each in reply.headers.getall("Set-Cookie") if each.startswith("desk="))
    assert "HttpOnly" in told
    assert "samesite=lax" in told.lower()
    assert reply.status == 303
