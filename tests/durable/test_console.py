"""The desk against the real rooms: what staff do on its pages is done, by their name, and once."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from standalone.ports import free_port
from tests.parts.board import USER, Board, calls, start_board, text, until
from tests.parts.conversations import ConversationsDatabase, Talk, conversations_database, start_conversations
from tests.parts.desk import staff_token
from tests.parts.fake_rooms import OF_A_CONSOLE, STAFF_KEY
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.staff import Seen, StaffBrowser
from tests.parts.tickets import tickets_database

CALLERS = {"CALLER_KEYS": "a-secret-of-32-bytes-for-the-tests"}


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "console_test")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payments") / "ledger"
    path.touch()
    return path


@pytest.fixture(scope="module")
def watch_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def desk_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    postgres: PostgresServer,
    database: ConversationsDatabase,
    ledger: Path,
    watch_port: int,
    desk_port: int,
) -> Board:
    kept = await tickets_database(postgres, "console_tickets_test")
    for module, env in {
        "tests.parts.approved_tools": {"LEDGER": str(ledger)},
        "tickets": {"DATABASE_URL": kept.app, "STAFF_KEYS": STAFF_KEY, "TRUST_USER_ID": "true"},
    }.items():
        await own_restate.register((await service(module, **env)).url)
    stored = {"CONVERSATIONS_DATABASE_URL": database.router}
    record = {"DESK_PORT": str(desk_port), "RECORD_DIR": str(ledger.parent / "record"), "STAFF_KEYS": STAFF_KEY}
    board = await start_board(own_restate, service, record, **(CALLERS | stored | {"APPROVAL_WAIT": "0.5"}))
    told = CALLERS | {"STAFF_KEYS": STAFF_KEY, "COALESCE_MS": "0", "WATCH_PORT": str(watch_port)}
    await start_conversations(board, service, database, **told)
    return board


@pytest.fixture
async def console(hall: Board, service: Callable[..., Awaitable[Service]], watch_port: int, desk_port: int) -> Service:
    rooms = {"RESTATE_INGRESS_URL": hall.restate.ingress_url, "CONVERSATIONS_URL": f"http://127.0.0.1:{watch_port}"}
    rooms["REGISTRY_URL"] = f"http://127.0.0.1:{desk_port}"
    return await service("console", **rooms, **OF_A_CONSOLE)


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


async def test_a_conversation_that_waits_is_found_taken_answered_and_given_back(
    hall: Board, database: ConversationsDatabase, staff: StaffBrowser
) -> None:
    talk = Talk(hall, database)
    handed = calls(("hand_over_to_person", {"reason": "They want to talk to a human."}))
    await talk.say(await hall.script(handed, text("I am back.")))
    await talk.answers()
    await talk.settled()
    await staff.sign_in("anna")
    path = f"/conversations/{talk.key}"
    assert path in (await staff.get("/queue?who=nobody")).text
    seen = await staff.get(path)
    assert "They want to talk to a human." in seen.text
    assert "It waits for a person" in seen.text

    assert "You speak; the agent is silent." in (await staff.send(path, act="take")).text
    say = (await staff.get(path)).fields | {"act": "say", "text": "Hello, this is Anna."}
    for _ in range(2):  # sent twice, as by a double click
        assert "Hello, this is Anna." in (await staff.post(path, **say)).text
    assert await talk.texts("person") == ["Hello, this is Anna."]
    assert "The agent speaks." in (await staff.send(path, act="return")).text
    entries = await talk.entries("owner")
    assert [each["body"]["by"] for each in entries[1:]] == ["anna", "anna"]
    assert path not in (await staff.get("/queue")).text


async def test_an_approval_from_request_to_effect(
    hall: Board, database: ConversationsDatabase, ledger: Path, staff: StaffBrowser
) -> None:
    talk, order = Talk(hall, database), uuid.uuid4().hex
    await talk.say(await hall.script(calls(("pay", {"order": order, "euros": 5})), text("It waits.")))
    query = "SELECT approval_id FROM approvals WHERE arguments LIKE '%' || $1 || '%'"
    approval = (await until(lambda: database.rows(query, order)))[0]["approval_id"]
    await staff.sign_in("ben")
    path = f"/approvals/{approval}"
    assert path in (await staff.get("/approvals")).text
    assert order in (await staff.get(path)).text
    wrong = await staff.send(path, **{"choice": "edit", "arg:order": order, "arg:euros": "5000"})
    assert (wrong.status, ledger.read_text()) == (422, "")
    done = await staff.send(path, **{"choice": "edit", "arg:order": order, "arg:euros": "4"})
    assert "edited</strong> by <strong>ben" in done.text

    async def paid() -> str:
        return ledger.read_text()

    assert (await until(paid)).split()[:3] == [order, "4", USER]
    late = await staff.send(
        path, choice="deny", reason="no", digest=(await staff.get(path)).fields.get("digest", "0" * 64)
    )
    assert "edited</strong> by <strong>ben" in late.text


async def test_an_open_page_is_told_what_a_customer_says_and_fetches_that_alone(
    hall: Board, database: ConversationsDatabase, staff: StaffBrowser
) -> None:
    talk = Talk(hall, database)
    handed = calls(("hand_over_to_person", {"reason": "They want to talk to a human."}))
    await talk.say(await hall.script(handed, text("I am back.")))
    await talk.answers()
    await talk.settled()
    await staff.sign_in("anna")
    path = f"/conversations/{talk.key}"
    await staff.send(path, act="take")
    last, words = (await talk.entries())[-1]["position"], f"Are you there? {uuid.uuid4().hex}"
    async with staff.following(f"conversation:{talk.key}", "wait") as told:
        await talk.say(words)
        await until(lambda: told.of(talk.key, last + 1))
    assert words.encode() not in told.body
    fresh = (await staff.get(f"{path}?after={last}", headers={"x-refresh": "1"})).text
    assert words in fresh
    assert f'id="line{last}"' not in fresh
    async with staff.following("ticket") as told:
        await until(lambda: told.of(""))  # the first question: any ticket may have changed before
        ticket = await ticket_of(hall, database)
        await until(lambda: told.of(ticket))


async def ticket_of(hall: Board, database: ConversationsDatabase) -> str:
    talk = await Customer(hall, database).has("create_support_ticket", subject="It is down", description="All of it.")
    return next(each["body"]["ticket_id"] for each in await talk.entries("effect") if each["body"].get("ticket_id"))


async def test_tickets_are_listed_and_shown(hall: Board, staff: StaffBrowser) -> None:
    await staff.sign_in("anna")
    listed = await staff.get("/tickets?who=unassigned&search=nothing+of+this+kind")
    assert (listed.status, "No ticket is like that" in listed.text) == (200, True)
    assert (await staff.get("/tickets/TCK-999999")).status == 404


@dataclass
class Customer:
    """A customer of their own, who talks to the agent alone."""

    hall: Board
    database: ConversationsDatabase
    user_id: str = field(default_factory=lambda: f"user_{uuid.uuid4().hex[:12]}")

    async def has(self, tool: str, **arguments: str) -> Talk:
        """They say something, and the agent calls a tool for it."""
        talk = Talk(self.hall, self.database, self.user_id)
        await talk.say(await self.hall.script(calls((tool, arguments)), text("Passed on.")))
        await talk.answers()
        return talk

    async def opens(self, staff: StaffBrowser, subject: str = "Empty chart") -> str:
        """The address of a new ticket's page, as staff find it."""
        await self.has("create_support_ticket", subject=subject, description="The chart shows nothing.")
        listed = await staff.get(f"/tickets?customer={self.user_id}")
        [address] = re.findall(r'href="(/tickets/TCK-[0-9]+)"', listed.text)
        return address

    async def answers(self, address: str, words: str) -> None:
        await self.has("reply_to_ticket", ticket_id=address.rpartition("/")[2], text=words)


def state(seen: Seen) -> str:
    found = re.search(r'<span class="state (\w+)">', seen.text)
    return found[1] if found else f"none: {seen.status}"


async def test_a_ticket_through_its_whole_life(
    hall: Board, database: ConversationsDatabase, staff: StaffBrowser
) -> None:
    await staff.sign_in("anna")
    customer = Customer(hall, database)
    path = await customer.opens(staff, "<b>Empty</b> chart")
    page = await staff.get(path)
    assert (state(page), "&lt;b&gt;Empty&lt;/b&gt; chart" in page.text) == ("new", True)
    assert state(await staff.send(path, act="take")) == "open"
    noted = await staff.send(path, act="note", text="<i>A note</i>")
    assert (state(noted), "&lt;i&gt;A note&lt;/i&gt;" in noted.text) == ("open", True)

    form = (await staff.get(path)).fields | {"act": "reply", "state": "waiting", "text": "Which browser?"}
    for _ in range(2):  # sent twice, as by a double click
        assert state(await staff.post(path, **form)) == "waiting"
    await customer.answers(path, "Firefox.")
    assert state(await staff.get(path)) == "open"
    changed = await staff.send(path, act="change", priority="high", category="api", why="They pay for it.")
    assert ("<dd>high</dd>" in changed.text, "They pay for it." in changed.text) == (True, True)
    assert state(await staff.send(path, act="reply", state="solved", text="Mended.")) == "solved"
    await customer.answers(path, "It is still empty.")
    reopened = await staff.get(path)
    assert (state(reopened), reopened.text.count("Which browser?")) == ("open", 1)
    assert state(await staff.send(path, act="change", state="solved")) == "solved"
    assert state(await staff.send(path, act="change", state="closed")) == "closed"
    late = await staff.post(path, **(form | {"act_id": "0" * 32, "text": "One more thing."}))
    assert (late.status, "This ticket is closed" in late.text, "One more thing." in late.text) == (409, True, True)


async def test_of_two_staff_one_has_the_ticket_and_no_word_of_the_other_is_lost(
    hall: Board, database: ConversationsDatabase, console: Service, staff: StaffBrowser
) -> None:
    await staff.sign_in("anna")
    customer = Customer(hall, database)
    path = await customer.opens(staff)
    async with StaffBrowser(console.address) as carla:
        await carla.sign_in("carla")
        both = (staff, carla)
        opened = [await each.get(path) for each in both]
        raced = await asyncio.gather(
            *(each.post(path, **(page.fields | {"act": "take"})) for each, page in zip(both, opened, strict=True))
        )
        assert sorted(each.status for each in raced) == [200, 409]
        winner = ("anna", "carla")[[each.status for each in raced].index(200)]
        assert all(f"<dd>{winner}</dd>" in each.text for each in raced)
        assert f"{winner} has it." in next(each.text for each in raced if each.status == 409)

        opened = [await each.get(path) for each in both]
        raced = await asyncio.gather(
            *(
                each.post(
                    path, **(page.fields | {"act": "reply", "state": "open", "text": f"Hello from number {number}."})
                )
                for number, (each, page) in enumerate(zip(both, opened, strict=True))
            )
        )
        assert sorted(each.status for each in raced) == [200, 409]
        lost = [each.status for each in raced].index(409)
        assert f"Hello from number {lost}.</textarea>" in raced[lost].text
        await customer.answers(path, "Hello?")  # seen by nobody yet
        again = await both[lost].post(
            path, **(raced[lost].fields | {"act": "reply", "state": "open", "text": "Too late."})
        )
        assert (again.status, "Hello?" in again.text) == (409, True)
    said = (await staff.get(path)).text
    assert (said.count("Hello from number"), "Too late." in said) == (1, False)


async def test_a_duplicate_is_merged_into_a_ticket_of_the_same_customer_alone(
    hall: Board, database: ConversationsDatabase, staff: StaffBrowser
) -> None:
    await staff.sign_in("anna")
    customer = Customer(hall, database)
    first, stranger = await customer.opens(staff), await Customer(hall, database).opens(staff)
    await customer.has("create_support_ticket", subject="No numbers", description="There are none.")
    listed = (await staff.get(f"/tickets?customer={customer.user_id}")).text
    [second] = set(re.findall(r'href="(/tickets/TCK-[0-9]+)"', listed)) - {first}
    for into, status in ((stranger, 422), (second, 422), ("/tickets/TCK-999999", 404)):
        refused = await staff.send(second, act="merge", into=into.rpartition("/")[2])
        assert (refused.status, state(refused)) == (status, "new"), into
    merged = await staff.send(second, act="merge", into=first.rpartition("/")[2])
    assert (merged.path, state(merged), state(await staff.get(second))) == (first, "new", "closed")


async def test_an_admin_reads_who_did_what_in_all_rooms_and_nobody_else_is_told(
    hall: Board, database: ConversationsDatabase, console: Service, staff: StaffBrowser
) -> None:
    await staff.sign_in("anna")
    ticket, talk, order = await Customer(hall, database).opens(staff), Talk(hall, database), uuid.uuid4().hex
    await staff.send(ticket, act="note", text="For us.")
    await talk.say(await hall.script(calls(("pay", {"order": order, "euros": 5})), text("It waits.")))
    query = "SELECT approval_id FROM approvals WHERE arguments LIKE '%' || $1 || '%'"
    approval = (await until(lambda: database.rows(query, order)))[0]["approval_id"]
    await staff.send(f"/conversations/{talk.key}", act="take")
    await staff.send(f"/conversations/{talk.key}", act="assign", to="carla")
    async with StaffBrowser(console.address) as ben, StaffBrowser(console.address) as carla:
        await ben.sign_in("ben")
        await ben.send(f"/approvals/{approval}", choice="deny", reason="Not <b>this</b> one.")
        await carla.sign_in("carla")
        for subject, told in {
            ticket.rpartition("/")[2]: [("anna", "note"), (None, "create")],
            talk.key: [("anna", "assign"), ("anna", "take")],
            approval: [("ben", "denied"), (USER, "asked")],
        }.items():
            page = (await carla.get(f"/audit?subject={subject}")).text
            found = re.findall(r'<p><strong>([^<]*)</strong> <span class="state">([^<]*)</span>', page)
            assert [action for _, action in found] == [action for _, action in told]
            assert all(who in (None, name) for (who, _), (name, _) in zip(told, found, strict=True))
        assert "Not &lt;b&gt;this&lt;/b&gt; one." in (await carla.get("/audit?who=ben&kind=approval")).text
    for room in ("TicketDesk", "ConversationDesk"):
        token = staff_token("anna", roles=["agent", "approver"])
        refused = await hall.restate.call(room, "audit", {"staff_token": token})
        assert (refused.status_code, refused.json()["metadata"]["code"]) == (403, "staff_role")


@pytest.mark.parametrize("room", ["TicketDesk", "ConversationDesk"])
async def test_page_after_page_tells_each_line_of_a_room_once(hall: Board, room: str) -> None:
    async def lines(limit: int, cursor: str = "") -> list[str]:
        asked = {"staff_token": staff_token("carla", roles=["admin"]), "limit": limit, "cursor": cursor}
        reply = await hall.restate.call(room, "audit", asked)
        assert reply.status_code == 200, reply.text
        return [line["cursor"] for line in reply.json()["lines"]]

    found: list[str] = []
    while page := await lines(2, found[-1] if found else ""):
        found += page
    assert found == await lines(200)
    assert len(found) > 2


async def test_a_yes_to_a_tool_that_an_admin_has_switched_off_meanwhile_does_nothing(
    hall: Board, database: ConversationsDatabase, ledger: Path, staff: StaffBrowser, console: Service
) -> None:
    async def is_off() -> bool:
        message = await hall.script(text("Nothing to do."))
        await hall.answer(message)
        return "pay" not in [tool["function"]["name"] for tool in (await hall.conversation(message))["tools"]]

    async def is_told() -> bool:
        return "it could not be done" in str(await talk.entries("approval"))

    talk, order, why = Talk(hall, database), uuid.uuid4().hex, f"It pays twice. {uuid.uuid4().hex}"
    await talk.say(await hall.script(calls(("pay", {"order": order, "euros": 5})), text("It waits.")))
    await talk.answers()
    query = "SELECT approval_id FROM approvals WHERE arguments LIKE '%' || $1 || '%'"
    approval = (await until(lambda: database.rows(query, order)))[0]["approval_id"]
    await staff.sign_in("ben")
    assert (await staff.send("/tools", tool="pay", act="off", why=why, act_id=uuid.uuid4().hex)).status == 403
    async with StaffBrowser(console.address) as carla:
        await carla.sign_in("carla")
        assert why in (await carla.send("/tools", tool="pay", act="off", why=why)).text
        await until(is_off)
        await staff.send(f"/approvals/{approval}", choice="approve")
        await until(is_told)
        assert order not in ledger.read_text()
        await carla.send("/tools", tool="pay", act="on", why="It is mended.")
        audit = (await carla.get("/audit?kind=tool&subject=pay")).text
        assert (audit.count("switch on"), audit.count("switch off"), audit.count(why)) == (1, 1, 1)
