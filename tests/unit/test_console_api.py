"""The desk's API: whose key opens what, what is refused how, and that what is sent twice is done once."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.parts.desk_api import Told, Tool
from tests.parts.fake_rooms import OF_A_CONSOLE, SCOPES, FakeRooms, fake_rooms
from tests.parts.polling import eventually
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser
from tests.unit.test_console import session, staff_token_as_session

WIDE_OPEN = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000"}
ROLES = ("agent", "approver", "admin")
EVERY_ROLE = frozenset(ROLES)
TALKERS = frozenset({"agent", "admin"})
DIGEST = "0" * 64


class Route(NamedTuple):
    """What it takes to get there. `path` names things that are there."""

    method: str
    path: str
    scope: str = "read"
    roles: frozenset[str] = EVERY_ROLE
    body: Any = None


ROUTES = [
    *(
        Route("GET", path)
        for path in ("/me", "/queue", "/conversations", "/conversations/{talk}", "/conversations/{talk}/runs/run_1")
    ),
    Route("GET", "/conversations/{talk}/account", roles=TALKERS),
    *(Route("GET", path) for path in ("/tickets", "/tickets/{ticket}", "/approvals", "/approvals/{approval}")),
    Route("GET", "/audit", "audit", frozenset({"admin"})),
    *(
        Route("POST", f"/conversations/{{talk}}/{act}", "act", TALKERS, body)
        for act, body in {"take": {}, "say": {"text": "Hello."}, "assign": {"to": "anna"}, "return": {}}.items()
    ),
    *(
        Route("POST", f"/tickets/{{ticket}}/{act}", "act", TALKERS, body)
        for act, body in {
            "reply": {"text": "Hello."},
            "note": {"text": "Hello."},
            "take": {},
            "release": {},
            "assign": {"to": "anna"},
            "change": {"priority": "low"},
            "merge": {"into": "TCK-999999"},
        }.items()
    ),
    *(
        Route("POST", f"/approvals/{{approval}}/{act}", "approve", frozenset({"approver"}), {"digest": DIGEST} | body)
        for act, body in {"approve": {}, "deny": {"reason": "No."}, "edit": {"arguments": {}}}.items()
    ),
]


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        rooms.accounts["user_12345"] = {"user_id": "user_12345", "problems": [], "parts": []}
        yield rooms


@pytest.fixture(scope="module")
async def launch(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Callable[..., Awaitable[Service]]:
    async def start(**more: str) -> Service:
        urls = {"RESTATE_INGRESS_URL": rooms.url, "CONVERSATIONS_URL": rooms.url, "REGISTRY_URL": rooms.url}
        return await service("console", **urls, BODY_SECONDS="1", API_KEY_SECONDS="0.1", **OF_A_CONSOLE, **more)

    return start


@pytest.fixture(scope="module")
async def console(launch: Callable[..., Awaitable[Service]]) -> Service:
    return await launch(**WIDE_OPEN)


@pytest.fixture
async def tool(rooms: FakeRooms, console: Service) -> AsyncIterator[Tool]:
    """It may everything."""
    async with Tool(console.address, rooms.key(*ROLES)) as tool:
        yield tool


@pytest.fixture(scope="module")
def places(rooms: FakeRooms) -> dict[str, str]:
    """Where the routes lead."""
    return {"talk": rooms.talk(), "ticket": rooms.ticket().ticket_id, "approval": rooms.asked().approval_id}


FORGED: dict[str, Callable[[FakeRooms], dict[str, str]]] = {
    "nothing": lambda _: {},
    "no word": lambda _: {"Authorization": "Bearer "},
    "a word": lambda _: {"Authorization": "Bearer anna"},
    "a long word": lambda _: {"Authorization": f"Bearer {'x' * 5000}"},
    "a key by another scheme": lambda rooms: {"Authorization": f"Basic {rooms.key(*ROLES)}"},
    "a key without a scheme": lambda rooms: {"Authorization": rooms.key(*ROLES)},
    "a key that nobody made": lambda _: {"Authorization": f"Bearer sbd_{'0' * 12}_{'k' * 43}"},
    "a key with one letter more": lambda rooms: {"Authorization": f"Bearer {rooms.key(*ROLES)}x"},
    "a key in another place": lambda rooms: {"X-Api-Key": rooms.key(*ROLES)},
    "a key that has expired": lambda rooms: {"Authorization": f"Bearer {rooms.key(*ROLES, days=-1)}"},
    "a machine's key": lambda _: {"Authorization": f"Bearer sb_{'0' * 12}_{'k' * 43}"},
    "a customer's token": lambda _: {"Authorization": "Bearer demo-user_12345"},
    "a session": lambda _: {"Cookie": f"desk={session(sub='carla', roles=list(ROLES))}"},
    "a session as a key": lambda _: {"Authorization": f"Bearer {session(sub='carla', roles=list(ROLES))}"},
    "a staff token": lambda _: {"Authorization": f"Bearer {staff_token_as_session()}"},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_no_route_opens_without_a_key_that_is_good(
    rooms: FakeRooms, console: Service, places: dict[str, str], forged: Callable[[FakeRooms], dict[str, str]]
) -> None:
    headers, wrong = forged(rooms), list[str]()
    before = len(rooms.calls)
    async with Tool(console.address) as tool:
        for route in ROUTES:
            told = await tool.ask(route.method, route.path.format(**places), route.body, headers=headers)
            wrong += [] if told.status == 401 and told.headers["WWW-Authenticate"] == "Bearer" else [str(route)]
    assert (wrong, rooms.calls[before:]) == ([], [])


def subsets(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [some for count in range(len(words) + 1) for some in itertools.combinations(words, count)]


async def test_a_key_opens_what_its_scopes_and_its_roles_both_allow(
    rooms: FakeRooms, console: Service, places: dict[str, str]
) -> None:
    wrong, met = list[str](), 0
    async with Tool(console.address) as tool:
        for roles, scopes in itertools.product(subsets(ROLES)[1:], subsets(SCOPES)):
            key = rooms.key(*roles, scopes=scopes)
            for route in ROUTES:
                may = route.scope in scopes and bool(route.roles & set(roles))
                before = len(rooms.calls)
                told = await tool.ask(route.method, route.path.format(**places), route.body, key=key)
                met += 1
                is_refused = told.code in ("forbidden", "approval_role")
                if may == is_refused or (not may and route.scope != "approve" and len(rooms.calls) > before):
                    wrong.append(f"{roles} {scopes} {route.method} {route.path}: {told.status}")
    assert wrong == []
    assert met == 7 * 16 * len(ROUTES)


async def test_a_key_opens_no_page_and_sends_no_form(rooms: FakeRooms, console: Service) -> None:
    key, talk = rooms.key(*ROLES), rooms.talk()
    before = len(rooms.calls)
    async with StaffBrowser(console.address) as staff:
        for path in ("/queue", "/tickets", "/audit", f"/conversations/{talk}"):
            seen = await staff.get(path, headers={"Authorization": f"Bearer {key}"})
            assert seen.path.startswith("/login"), path
        told = {"Authorization": f"Bearer {key}", "Sec-Fetch-Site": "same-origin"}
        url = f"{console.address}/conversations/{talk}"
        async with staff.http.post(url, data={"act": "take"}, headers=told) as posted:
            assert posted.status == 401
    assert rooms.calls[before:] == []


async def test_a_tool_learns_as_whom_it_acts(rooms: FakeRooms, console: Service) -> None:
    async with Tool(console.address) as tool:
        itself = await tool.get("/me", key=rooms.key("agent", name="reports", scopes=["read"]))
        for_anna = await tool.get("/me", key=rooms.key("agent", name="phone", person="anna"))
    told = {name: itself.body[name] for name in ("name", "key", "roles", "scopes")}
    assert told == {"name": "key.reports", "key": "reports", "roles": ["agent"], "scopes": ["read"]}
    assert (for_anna.body["name"], for_anna.body["key"]) == ("anna", "phone")


async def test_what_a_key_does_is_done_by_its_name_or_by_whom_it_acts_for(rooms: FakeRooms, console: Service) -> None:
    ticket, talk = rooms.ticket().ticket_id, rooms.talk()
    async with Tool(console.address) as tool:
        await tool.post(f"/tickets/{ticket}/note", {"text": "Seen."}, key=rooms.key("agent", name="reports"))
        await tool.post(f"/conversations/{talk}/take", key=rooms.key("agent", person="anna"))
    assert [each.who for each in rooms.tickets[ticket].history] == ["key.reports"]
    assert rooms.holder(talk) == "anna"


async def test_a_conversation_is_read_in_pages_taken_answered_and_given_back(rooms: FakeRooms, tool: Tool) -> None:
    talk = rooms.talk(("packet", {"reason": "They want to talk to a human."}))
    waiting = await tool.get("/conversations?who=nobody&limit=200")
    assert talk in [each["conversation"] for each in waiting.body["conversations"]]
    first = await tool.get(f"/conversations/{talk}?limit=2")
    rest = await tool.get(f"/conversations/{talk}?after={first.body['next']}")
    assert [line["position"] for page in (first, rest) for line in page.body["entries"]] == [1, 2, 3]
    assert (first.body["user_id"], rest.body["next"]) == ("user_12345", None)
    assert first.body["packet"] == {"reason": "They want to talk to a human."}
    last = await tool.get(f"/conversations/{talk}?latest=true&limit=2")
    assert ([line["position"] for line in last.body["entries"]], last.body["earlier"]) == ([2, 3], 2)

    assert (await tool.post(f"/conversations/{talk}/say", {"text": "Hello."})).code == "not_yours"
    assert (await tool.post(f"/conversations/{talk}/take")).body == {"person": "key.bot", "waiting": False}
    assert (await tool.post(f"/conversations/{talk}/say", {"text": "Hello."})).body == {"position": 5}
    mine = await tool.get("/conversations?who=mine")
    assert [each["conversation"] for each in mine.body["conversations"]] == [talk]
    assert (await tool.post(f"/conversations/{talk}/assign", {"to": "anna"})).body["person"] == "anna"
    assert (await tool.post(f"/conversations/{talk}/take")).code == "taken"
    assert (await tool.post(f"/conversations/{talk}/return", {})).status == 200
    assert rooms.holder(talk) is None


async def test_the_queue_is_read_page_by_page(rooms: FakeRooms, tool: Tool) -> None:
    user, found, after = "user_of_the_queue", list[str](), ""
    talks = {rooms.talk(user_id=user) for _ in range(60)}
    while True:
        page = await tool.get(f"/queue?customer={user}&kind=conversations&after={after}")
        found += [each["conversation"] for each in page.body["rows"]]
        after = page.body["next"]
        if not after:
            break
    assert (len(found), set(found)) == (60, talks)
    ticket = rooms.ticket(subject="Nothing like it").ticket_id
    both = await tool.get("/queue?search=Nothing%20like%20it")
    assert [each["ticket_id"] for each in both.body["rows"]] == [ticket]


async def test_a_ticket_is_found_and_worked_on(rooms: FakeRooms, tool: Tool) -> None:
    ticket, other = rooms.ticket(subject="A rare subject").ticket_id, rooms.ticket().ticket_id
    found = await tool.get("/tickets?search=rare&state=new&state=open&unassigned=true&limit=10")
    assert [each["ticket_id"] for each in found.body["tickets"]] == [ticket]
    asked = rooms.made("TicketDesk/list")[-1]
    assert (asked["states"], asked["unassigned"], asked["limit"]) == (["new", "open"], True, 10)

    path = f"/tickets/{ticket}"
    assert (await tool.post(f"{path}/take")).body["assignee"] == "key.bot"
    assert (await tool.post(f"{path}/reply", {"text": "Done.", "state": "solved"})).body["state"] == "solved"
    assert (await tool.post(f"{path}/change", {"priority": "low", "note": "It can wait."})).body["priority"] == "low"
    assert (await tool.post(f"{path}/note", {"text": "Odd."})).status == 200
    assert (await tool.post(f"{path}/note", {"text": "Odd.", "seen": 1})).code == "invalid_request"
    assert (await tool.post(f"{path}/reply", {"text": "Late.", "seen": 1})).code == "changed"
    assert (await tool.post(f"{path}/merge", {"into": ticket})).code == "itself"
    assert (await tool.post(f"{path}/merge", {"into": "TCK-999999"})).code == "not_found"
    assert (await tool.post(f"{path}/merge", {"into": other})).body["state"] == "closed"
    assert (await tool.post(f"{path}/reply", {"text": "Late."})).code == "closed"
    shown = (await tool.get(path)).body
    assert [each["text"] for each in shown["messages"]] == ["Done.", "Odd."]
    assert {each["who"] for each in shown["history"]} == {"key.bot"}


async def test_a_call_is_decided_by_the_digest_that_was_shown(rooms: FakeRooms, tool: Tool) -> None:
    shown = (await tool.get(f"/approvals/{rooms.asked().approval_id}")).body
    path, digest = f"/approvals/{shown['approval_id']}", shown["digest"]
    assert (await tool.post(f"{path}/approve", {"digest": DIGEST})).code == "other_arguments"
    assert (await tool.post(f"{path}/deny", {"digest": digest})).code == "invalid_request"
    refused = await tool.post(f"{path}/edit", {"digest": digest, "arguments": {"invoice_id": "refused"}})
    assert (refused.code, refused.body["detail"]) == ("arguments_do_not_fit", "invoice_id: no such invoice")
    done = await tool.post(f"{path}/edit", {"digest": digest, "arguments": {"invoice_id": "INV-1", "amount": 5}})
    assert (done.body["status"], done.body["by"]) == ("edited", "key.bot")
    assert (await tool.post(f"{path}/approve", {"digest": digest})).code == "decided"
    listed = await tool.get("/approvals?status=decided")
    assert shown["approval_id"] in [each["approval_id"] for each in listed.body["approvals"]]


async def test_nobody_decides_what_is_done_for_themselves(rooms: FakeRooms, console: Service) -> None:
    shown = rooms.asked(user_id="dora")
    async with Tool(console.address, rooms.key("approver", person="dora")) as tool:
        told = await tool.post(f"/approvals/{shown.approval_id}/approve", {"digest": shown.digest})
    assert (told.code, rooms.approvals[shown.approval_id].status) == ("own_approval", "pending")


async def test_the_audit_is_asked_for_what_is_wanted(rooms: FakeRooms, tool: Tool) -> None:
    told = await tool.get("/audit?kind=ticket&by=anna&subject=TCK-000001&since=2026-01-02T00:00:00Z&limit=7")
    assert told.body == {"lines": [], "next": ""}
    asked = rooms.made("TicketDesk/audit")[-1]
    assert (asked["who"], asked["subject"], asked["since"][:10]) == ("anna", "TCK-000001", "2026-01-02")


async def test_what_is_sent_twice_by_a_name_is_done_once(rooms: FakeRooms, tool: Tool) -> None:
    ticket = f"/tickets/{rooms.ticket().ticket_id}"
    for _ in range(2):
        assert (await tool.post(f"{ticket}/reply", {"text": "Done."}, once="a")).status == 200
    assert (await tool.post(f"{ticket}/reply", {"text": "Something else."}, once="a")).code == "key_reused"
    assert (await tool.post(f"{ticket}/reply", {"text": "Something else."}, once="b")).status == 200
    assert [each["text"] for each in (await tool.get(ticket)).body["messages"]] == ["Done.", "Something else."]

    talk, path = (key := rooms.talk()), f"/conversations/{key}"
    taken = [await tool.post(f"{path}/take", once="a") for _ in range(2)]
    given = [await tool.post(f"{path}/assign", {"to": "anna"}, once="a") for _ in range(2)]
    again = await tool.post(f"{path}/take", once="a")
    told = [each.body["person"] for each in (*taken, *given, again)]
    assert told == ["key.bot", "key.bot", "anna", "anna", "key.bot"]
    assert rooms.holder(talk) == "anna", "what is told once more changes nothing"
    assert (await tool.post(f"{path}/assign", {"to": "ben"}, once="a")).code == "key_reused"
    assert rooms.holder(talk) == "anna"


async def test_two_keys_may_use_the_same_name_for_what_each_does(rooms: FakeRooms, console: Service) -> None:
    path = f"/conversations/{rooms.talk()}/take"
    async with Tool(console.address) as tool:
        first = await tool.post(path, key=rooms.key("agent", name="one"), once="a")
        second = await tool.post(path, key=rooms.key("agent", name="two"), once="a")
    assert (first.body["person"], second.code) == ("key.one", "taken")


GOOD = b'{"text":"Hello."}'
BAD: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "nothing": (400, b"", {}),
    "no JSON": (400, b"{", {}),
    "no UTF-8": (400, b'{"text":"\xff"}', {}),
    "a key twice": (400, b'{"text":"a","text":"b"}', {}),
    "no object": (422, b"[]", {}),
    "a field that is not known": (422, b'{"text":"a","staff_token":"x"}', {}),
    "another type": (422, b'{"text":5}', {}),
    "blank": (422, b'{"text":" \\n"}', {}),
    "too many characters": (422, json.dumps({"text": "x" * 9000}).encode(), {}),
    "NUL": (422, rb'{"text":"\u0000"}', {}),
    "half a character": (400, rb'{"text":"\ud800"}', {}),
    "no number": (422, b'{"text":NaN}', {}),
    "nested": (400, b'{"text":' + b"[" * 40 + b"]" * 40 + b"}", {}),
    "large": (413, b'{"text":"' + b"x" * 70_000 + b'"}', {}),
    "a form": (415, b"text=Hello", {"Content-Type": "application/x-www-form-urlencoded"}),
    "text": (415, GOOD, {"Content-Type": "text/plain"}),
    "a name that is none": (400, GOOD, {"Idempotency-Key": "a b"}),
    "a name that is too long": (400, GOOD, {"Idempotency-Key": "x" * 129}),
    "too many headers": (431, GOOD, {f"X-{number}": "x" for number in range(120)}),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_body_is_refused_and_goes_no_further(
    rooms: FakeRooms, tool: Tool, places: dict[str, str], bad: tuple[int, bytes, dict[str, str]]
) -> None:
    status, data, headers = bad
    before, wrong = len(rooms.calls), list[str]()
    for path in ("/conversations/{talk}/say", "/tickets/{ticket}/reply", "/tickets/{ticket}/note"):
        told = await tool.post(path.format(**places), data=data, headers={"Content-Type": "application/json"} | headers)
        wrong += [] if (told.status, bool(told.code)) == (status, True) else [f"{path}: {told.text}"]
    assert (wrong, rooms.calls[before:]) == ([], [])


NOWHERE = [
    *("/", "", "/none", "/me/", "//me", "/queue/x", "/tickets/TCK-1", "/tickets/tck-000001", "/tickets/TCK-000001%20"),
    *("/approvals/x", "/approvals/appr_%2e%2e", "/conversations/conv_short", "/conversations/..%2f..", "/audit/1"),
    f"/conversations/conv_{'0' * 65}",
]


async def test_what_is_not_there_is_not_found(rooms: FakeRooms, tool: Tool) -> None:
    before = len(rooms.calls)
    assert [path for path in NOWHERE if (await tool.get(path)).code != "not_found"] == []
    assert rooms.calls[before:] == []


@pytest.mark.parametrize(
    ("path", "code"), [(f"/queue?{'a' * 2100}", "address_too_long"), ("/tickets/TCK-000001%00", "invalid_address")]
)
async def test_an_address_that_can_be_none_is_refused(tool: Tool, path: str, code: str) -> None:
    assert (await tool.get(path)).code == code


async def test_a_route_takes_its_own_methods_alone(rooms: FakeRooms, tool: Tool, places: dict[str, str]) -> None:
    before, wrong = len(rooms.calls), list[str]()
    for route in ROUTES:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} - {route.method}:
            told = await tool.ask(method, route.path.format(**places), headers={"Origin": "https://evil.example"})
            is_plain = not any(name.lower().startswith("access-control") for name in told.headers)
            wrong += [] if told.status == 405 and is_plain else [f"{method} {route.path}: {told.status}"]
    assert (wrong, rooms.calls[before:]) == ([], [])


@pytest.mark.parametrize(
    "query",
    [
        *("/queue?who=x", f"/queue?customer={'x' * 65}", "/queue?after=1", "/queue?kind=", "/conversations?after=x"),
        *("/conversations?who=overdue", "/tickets?state=x", "/tickets?limit=0", "/tickets?limit=201"),
        *(
            "/tickets?after=x",
            "/tickets?mine=maybe",
            "/tickets?priority=",
            "/tickets?customer=a%20b",
            *("/approvals?status=", "/approvals?after=x"),
        ),
        *("/audit?kind=x", "/audit?since=yesterday", "/audit?since=2026-01-02", "/audit?after=x"),
    ],
)
async def test_a_filter_that_is_none_is_refused(rooms: FakeRooms, tool: Tool, query: str) -> None:
    before = len(rooms.calls)
    assert (await tool.get(query)).code == "invalid_request"
    assert rooms.calls[before:] == []


async def test_a_body_that_does_not_come_is_not_waited_for(tool: Tool, places: dict[str, str]) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b'{"text":'
        await asyncio.Event().wait()

    path = f"/tickets/{places['ticket']}/note"
    try:
        told = await tool.post(path, data=slow(), headers={"Content-Type": "application/json"})
    except aiohttp.ClientError:  # the client's library may see the end before the answer
        return
    assert told.code == "body_too_slow"


async def test_rooms_that_are_away_or_do_not_believe_the_desk_are_told_apart(rooms: FakeRooms, tool: Tool) -> None:
    assert (await tool.get("/me")).status == 200
    rooms.refuses_tokens = True
    try:
        told = await tool.get("/queue")
    finally:
        rooms.refuses_tokens = False
    assert (told.code, "token" in told.text) == ("failed", False)
    rooms.away = True
    try:
        told = await tool.get("/queue")
    finally:
        rooms.away = False
    assert (told.code, told.headers["Retry-After"], told.body["retryable"]) == ("unavailable", "1", True)


async def test_each_key_may_ask_so_often(rooms: FakeRooms, launch: Callable[..., Awaitable[Service]]) -> None:
    console = await launch(REQUESTS_PER_MINUTE="1", BURST="2")
    one, two = rooms.key("agent"), rooms.key("agent")
    async with Tool(console.address) as tool:
        told = [await tool.get("/me", key=one) for _ in range(3)]
        assert [each.status for each in told] == [200, 200, 429]
        assert told[0].headers["RateLimit"].startswith('"caller";r=1')
        assert int(told[2].headers["Retry-After"]) > 1
        assert (await tool.get("/me", key=two)).status == 200


async def test_where_no_tools_may_come_in_there_is_no_api(
    rooms: FakeRooms, launch: Callable[..., Awaitable[Service]]
) -> None:
    console = await launch(API_KEYS="false")
    async with Tool(console.address, rooms.key(*ROLES)) as tool:
        assert (await tool.get("/me")).status == 404


async def test_every_answer_has_the_headers_of_an_api(tool: Tool) -> None:
    def kept(told: Told) -> tuple[str, ...]:
        names = ("Content-Security-Policy", "X-Content-Type-Options", "Cache-Control", "Referrer-Policy")
        return tuple(told.headers[name] for name in names)

    expected = ("default-src 'none'; frame-ancestors 'none'", "nosniff", "no-store", "no-referrer")
    for path in ("/me", "/none", "/queue?who=x"):
        assert kept(await tool.get(path)) == expected


async def test_a_request_is_logged_with_who_and_by_which_key(rooms: FakeRooms, console: Service) -> None:
    key = rooms.key("agent", person="anna")
    async with Tool(console.address, key) as tool:
        told = await tool.get("/tickets")
    request_id = told.headers["X-Request-Id"]

    async def line() -> dict[str, Any] | None:
        lines = console.log.read_text().splitlines()
        return next((json.loads(each) for each in lines if request_id in each and each.endswith("}")), None)

    found = await eventually(line)
    assert (found["by"], found["key"], found["route"]) == ("anna", key.split("_")[1], "/api/v1/tickets")
    assert key not in json.dumps(found)
