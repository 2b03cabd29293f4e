"""The life of a ticket on real parts: what staff see and do, what falls due, what its customer is told."""

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from contracts import TicketChange, TicketsQuery
from runtime.postgres import caller_transaction, migrate, open_pool, provision
from tests.parts.desk import STAFF_KEY, staff_token
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer
from tests.parts.service import Service
from tests.parts.tickets import (
    BUG,
    ROLES,
    SECRET,
    TicketsDatabase,
    TicketServices,
    WebhookReceiver,
    tickets_database,
    webhook_receiver,
)
from tickets.changing import Act, Changing
from tickets.life import usual
from tickets.looking import Looking
from tickets.model import CreateSupportTicket
from tickets.store import MIGRATIONS, TicketStore

FORGED = staff_token(key="a-key-of-nobody-in-this-company-1")

Launch = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> TicketsDatabase:
    return await tickets_database(postgres, "ticket_life_test")


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as sink:
        yield sink


@pytest.fixture(scope="module")
async def store(database: TicketsDatabase) -> AsyncIterator[TicketStore]:
    async with open_pool(database.app, "tickets") as pool:
        yield TicketStore(pool)


@pytest.fixture(scope="module")
async def tickets(
    own_restate: RestateServer, service: Launch, database: TicketsDatabase, receiver: WebhookReceiver
) -> AsyncIterator[TicketServices]:
    child = await service(
        "tickets",
        DATABASE_URL=database.app,
        WEBHOOK_URL=receiver.url,
        WEBHOOK_SECRET=SECRET,
        STAFF_KEYS=STAFF_KEY,
        FIRST_REPLY_HOURS="urgent=0.0006 high=2 normal=8 low=24",
        SOLUTION_HOURS="urgent=0.0012 high=8 normal=24 low=72",
    )
    services = TicketServices(own_restate)
    await services.register(child)
    yield services
    await child.stop()


async def desk(tickets: TicketServices, handler: str, name: str = "anna", **body: Any) -> HttpReply:
    return await tickets.restate.call("TicketDesk", handler, {"staff_token": staff_token(name)} | body)


async def done(tickets: TicketServices, handler: str, name: str = "anna", **body: Any) -> dict[str, Any]:
    reply = await desk(tickets, handler, name, **body)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def ids(tickets: TicketServices, **wanted: Any) -> list[str]:
    return [each["ticket_id"] for each in (await done(tickets, "list", **wanted))["tickets"]]


async def made(tickets: TicketServices, user: str = "", **changes: str) -> dict[str, Any]:
    reply = await tickets.create(body=BUG | {"user_id": user or uuid.uuid4().hex} | changes)
    assert reply.status_code == 200, reply.text
    return reply.json()


# --- what staff see ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", ["list", "counts", "show"])
@pytest.mark.parametrize("token", ["", "none", FORGED, staff_token(exp=1)])
async def test_only_staff_come_to_the_desk(tickets: TicketServices, handler: str, token: str) -> None:
    ticket = {"ticket_id": "TCK-000001"} if handler == "show" else {}
    reply = await tickets.restate.call("TicketDesk", handler, {"staff_token": token} | ticket)
    assert (reply.status_code, reply.json()["metadata"]["field"]) == (401, "staff_token")


async def test_a_new_ticket_is_shown_with_its_words_and_its_history(tickets: TicketServices) -> None:
    ticket = await made(tickets, "user_shown")
    shown = await done(tickets, "show", ticket_id=ticket["ticket_id"])
    assert (shown["state"], shown["user_id"], shown["subject"]) == ("new", "user_shown", BUG["subject"])
    assert (shown["description"], shown["assignee"], shown["messages"]) == (BUG["description"], "", [])
    assert [(each["who"], each["acting"], each["action"]) for each in shown["history"]] == [
        ("user_shown", "customer", "create")
    ]


async def test_a_ticket_that_never_was_is_not_shown(tickets: TicketServices) -> None:
    reply = await desk(tickets, "show", ticket_id="TCK-999999")
    assert (reply.status_code, reply.json()["metadata"]["code"]) == (404, "no_such_ticket")


async def test_a_list_is_paged_by_what_is_due_first(tickets: TicketServices) -> None:
    user = uuid.uuid4().hex
    words = ("It stays empty.", "Production is down", "Please do it asap", "It is slow", "My data is stolen")
    for description in words:
        await made(tickets, user, description=description)
    whole = (await done(tickets, "list", user_id=user))["tickets"]
    assert [each["priority"] for each in whole] == ["urgent", "urgent", "high", "normal", "normal"]

    async def the_pages_are_the_whole() -> bool:  # unless something falls due between two of them
        paged, cursor = [], ""
        while True:
            page = await done(tickets, "list", user_id=user, limit=2, cursor=cursor)
            paged += page["tickets"]
            cursor = page["next"]
            if not cursor:
                return paged == (await done(tickets, "list", user_id=user))["tickets"]

    await eventually(the_pages_are_the_whole, 20)


FILTERS = [
    ({}, {"mine", "theirs", "new", "low"}),
    ({"mine": True}, {"mine"}),
    ({"assignee": "bert"}, {"theirs"}),
    ({"unassigned": True}, {"new", "low"}),
    ({"priority": "low"}, {"low"}),
    ({"category": "feature_request"}, {"low"}),
    ({"states": ["new"]}, {"new", "low"}),
    ({"states": ["open"]}, {"mine", "theirs"}),
    ({"states": ["closed", "solved"]}, {"closed"}),
    ({"states": ["new", "open", "waiting", "solved", "closed"]}, {"mine", "theirs", "new", "low", "closed"}),
    ({"overdue": True}, {"theirs"}),
    ({"search": "dashboard"}, {"mine", "theirs", "new", "low", "closed"} - {"closed"}),
    ({"search": "zebra"}, {"new"}),
    ({"search": '"striped zebra"'}, {"new"}),
    ({"search": "zebra -striped"}, set[str]()),
    ({"search": "'; DROP TABLE tickets; --"}, set[str]()),
    ({"search": "  "}, {"mine", "theirs", "new", "low"}),
    ({"search": "zebra", "states": ["open"]}, set[str]()),
]


@pytest.fixture(scope="module")
async def shelf(tickets: TicketServices, database: TicketsDatabase) -> dict[str, str]:
    """Tickets of one customer, by what they are."""
    found = {name: await made(tickets, "user_filters", subject=f"Dashboard {name}") for name in ("mine", "theirs")}
    found["new"] = await made(tickets, "user_filters", description="The dashboard shows a striped zebra")
    found["low"] = await made(tickets, "user_filters", category="feature_request")
    found["closed"] = await made(tickets, "user_filters", subject="Dashboard once more")
    names = {name: ticket["ticket_id"] for name, ticket in found.items()}
    change = "UPDATE tickets SET {} WHERE ticket_id = $1"
    await database.rows(change.format("state = 'open', assignee = 'anna'"), names["mine"])
    await database.rows(
        change.format("state = 'open', assignee = 'bert', solve_due_at = now() - interval '1 h'"), names["theirs"]
    )
    await database.rows(change.format("state = 'closed'"), names["closed"])
    return names


@pytest.mark.parametrize(("wanted", "expected"), FILTERS, ids=[str(wanted) for wanted, _ in FILTERS])
async def test_a_list_holds_what_is_wanted(
    tickets: TicketServices, shelf: dict[str, str], wanted: dict[str, Any], expected: set[str]
) -> None:
    found = await ids(tickets, user_id="user_filters", **wanted)
    assert {name for name, ticket_id in shelf.items() if ticket_id in found} == expected
    assert len(found) == len(expected)


async def test_a_search_finds_a_ticket_by_its_id(tickets: TicketServices, shelf: dict[str, str]) -> None:
    assert await ids(tickets, search=shelf["low"].lower()) == [shelf["low"]]


@pytest.mark.parametrize(
    "wanted",
    [
        {"states": []},
        {"states": ["gone"]},
        {"limit": 0},
        {"limit": 201},
        {"cursor": "x"},
        {"search": "x" * 201},
        {"by": 1},
    ],
    ids=str,
)
async def test_a_list_of_nothing_sensible_is_refused(tickets: TicketServices, wanted: dict[str, Any]) -> None:
    assert (await desk(tickets, "list", **wanted)).status_code == 422


async def test_the_counts_are_those_of_the_lists(tickets: TicketServices, shelf: dict[str, str]) -> None:
    lists: dict[str, dict[str, Any]] = {
        "new": {"states": ["new"]},
        "open": {"states": ["open"]},
        "waiting": {"states": ["waiting"]},
        "mine": {"mine": True},
        "unassigned": {"unassigned": True},
        "overdue": {"overdue": True},
    }

    async def all_agree() -> bool:  # what falls due between two reads is in one of them alone
        counts = await done(tickets, "counts")
        return all([counts[name] == len(await ids(tickets, limit=200, **wanted)) for name, wanted in lists.items()])

    await eventually(all_agree, 20)


async def test_a_customers_transaction_sees_nothing_of_the_desk(store: TicketStore, database: TicketsDatabase) -> None:
    made = await store.insert("user_1", uuid.uuid4().hex, CreateSupportTicket.model_validate(BUG))
    async with open_pool(database.app, "tickets") as pool:
        assert await pool.fetch("SELECT * FROM tickets_with('dashboard')") == []
        assert await pool.fetch("SELECT * FROM ticket_history($1)", made.ticket_id) == []


# --- what staff do -----------------------------------------------------------------------------------------------


async def acted(tickets: TicketServices, ticket_id: str) -> list[tuple[str, str]]:
    """Who did what, as the audit has it, without the making."""
    history = (await done(tickets, "show", ticket_id=ticket_id))["history"]
    return [(each["who"], each["action"]) for each in history][1:]


async def told(receiver: WebhookReceiver, ticket_id: str, *types: str) -> list[dict[str, Any]]:
    """What receivers were told of a ticket after its making, once all of these have come; each is signed."""
    seen = await receiver.wait_for(ticket_id, len(types) + 1)
    messages = [Webhook(SECRET).verify(body, headers) for headers, body in seen]
    found = sorted(message["type"] for message in messages if message["type"] != "ticket.created")
    assert found == sorted(f"ticket.{each}" for each in types)
    return [message["data"] for message in messages]


async def test_a_reply_takes_the_ticket_and_waits_for_the_customer(
    tickets: TicketServices, receiver: WebhookReceiver
) -> None:
    user = uuid.uuid4().hex
    ticket_id = (await made(tickets, user))["ticket_id"]
    line = await done(tickets, "reply", ticket_id=ticket_id, text="Which browser?")
    assert (line["state"], line["assignee"], line["due_at"]) == ("waiting", "anna", "")
    assert await acted(tickets, ticket_id) == [("anna", "reply"), ("anna", "assign"), ("anna", "wait")]
    got = (await tickets.tool("get_ticket", user_id=user, ticket_id=ticket_id)).json()
    assert (got["state"], got["status"]) == ("waiting", "assigned")
    assert [(each["by"], each["text"]) for each in got["messages"]] == [("support", "Which browser?")]
    assert "anna" not in json.dumps(got)
    [data, *_] = [each for each in await told(receiver, ticket_id, "replied", "assigned", "waiting") if "who" in each]
    assert (data["state"], data["who"], data["acting"]) == ("waiting", "anna", "staff")
    assert "Which browser?" not in json.dumps(data)


async def test_no_customer_ever_reads_a_note(
    tickets: TicketServices, database: TicketsDatabase, receiver: WebhookReceiver
) -> None:
    user = uuid.uuid4().hex
    ticket_id = (await made(tickets, user))["ticket_id"]
    await done(tickets, "note", ticket_id=ticket_id, text="A difficult customer")
    shown = await done(tickets, "show", ticket_id=ticket_id)
    assert [(each["kind"], each["text"]) for each in shown["messages"]] == [("note", "A difficult customer")]
    got = await tickets.tool("get_ticket", user_id=user, ticket_id=ticket_id)
    listed = await tickets.tool("list_my_tickets", user_id=user)
    assert "difficult" not in got.text + listed.text
    async with open_pool(database.app, "tickets") as pool, caller_transaction(pool, user) as db:
        assert await db.fetch("SELECT * FROM messages") == []
    assert [json.loads(body)["type"] for _, body in receiver.of(ticket_id)] == ["ticket.created"]


async def test_the_same_act_is_done_once_and_another_under_its_name_is_refused(tickets: TicketServices) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    same = {"ticket_id": ticket_id, "act_id": uuid.uuid4().hex}
    lines = [await done(tickets, "reply", **same, text="Hello") for _ in range(2)]
    assert lines[0] == lines[1]
    other = await desk(tickets, "reply", **same, text="Good bye")
    assert (other.status_code, other.json()["metadata"]["code"]) == (409, "act_id_taken")
    assert (await desk(tickets, "reply", "bert", **same, text="Hello")).status_code == 200  # a name of their own
    shown = await done(tickets, "show", ticket_id=ticket_id)
    assert [each["who"] for each in shown["messages"]] == ["anna", "bert"]


@pytest.mark.parametrize("handler", ["reply", "assign", "change", "merge"])
async def test_what_was_changed_since_it_was_seen_is_refused(tickets: TicketServices, handler: str) -> None:
    user = uuid.uuid4().hex
    ticket_id, other = [
        (await made(tickets, user, subject=each))["ticket_id"] for each in ("Empty chart", "No numbers")
    ]
    seen = (await done(tickets, "show", ticket_id=ticket_id))["changes"]
    await done(tickets, "note", "bert", ticket_id=ticket_id, text="I am looking at it", seen=seen)
    told = {
        "reply": {"text": "Hello"},
        "assign": {"to": "anna"},
        "change": {"priority": "low"},
        "merge": {"into": other},
    }
    act = {"ticket_id": ticket_id, "act_id": uuid.uuid4().hex} | told[handler]
    refused = await desk(tickets, handler, **act, seen=seen)
    assert (refused.status_code, refused.json()["metadata"]["code"]) == (409, "changed")
    assert await acted(tickets, ticket_id) == [("bert", "note")]
    for _ in range(2):  # a repeat of what was done is no new look
        await done(tickets, handler, **act, seen=seen + 1)


async def test_a_repeat_is_the_same_whatever_was_seen_meanwhile(tickets: TicketServices) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    act = {"ticket_id": ticket_id, "act_id": uuid.uuid4().hex, "text": "Hello"}
    for seen in (1, 4):
        await done(tickets, "reply", **act, seen=seen)
    assert len((await done(tickets, "show", ticket_id=ticket_id))["messages"]) == 1


async def test_a_repeat_tells_receivers_what_was_told_first(tickets: TicketServices, receiver: WebhookReceiver) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    lower = {"ticket_id": ticket_id, "act_id": uuid.uuid4().hex, "priority": "low"}
    await done(tickets, "change", **lower)
    await done(tickets, "change", ticket_id=ticket_id, state="closed")
    await done(tickets, "change", **lower)
    seen = await receiver.wait_for(ticket_id, 4)  # created, changed, closed, changed
    first, again = [body for _, body in seen if json.loads(body)["type"] == "ticket.changed"]
    assert first == again


async def test_what_fell_due_is_no_reason_to_look_again(tickets: TicketServices, database: TicketsDatabase) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    seen = (await done(tickets, "show", ticket_id=ticket_id))["changes"]
    await later(tickets, database, ticket_id, 9)
    assert (await done(tickets, "show", ticket_id=ticket_id))["escalated"]
    await done(tickets, "reply", ticket_id=ticket_id, text="Hello", seen=seen)


async def test_of_two_who_take_a_ticket_at_once_one_gets_it(tickets: TicketServices) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    names = ("anna", "bert", "carl", "dora")
    replies = await asyncio.gather(*(desk(tickets, "assign", name, ticket_id=ticket_id, to=name) for name in names))
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    [winner] = [name for name, reply in zip(names, replies, strict=True) if reply.status_code == 200]
    lost = next(reply for reply in replies if reply.status_code == 409)
    assert lost.json()["metadata"] == {"code": "assigned", "assignee": winner}
    assert await acted(tickets, ticket_id) == [(winner, "assign")]
    await done(tickets, "assign", ticket_id=ticket_id, to="", name=winner)
    assert (await done(tickets, "show", ticket_id=ticket_id))["state"] == "new"


async def test_a_ticket_through_its_whole_life(tickets: TicketServices, receiver: WebhookReceiver) -> None:
    user = uuid.uuid4().hex
    ticket_id = (await made(tickets, user))["ticket_id"]

    async def says(text: str) -> HttpReply:
        return await tickets.tool("reply_to_ticket", user_id=user, ticket_id=ticket_id, text=text)

    await done(tickets, "assign", ticket_id=ticket_id, to="bert")
    await done(tickets, "change", ticket_id=ticket_id, priority="high", category="outage", note="it is down")
    await done(tickets, "reply", "bert", ticket_id=ticket_id, text="Which browser?")
    assert (await says("Firefox")).json()["state"] == "open"
    await done(tickets, "reply", "bert", ticket_id=ticket_id, text="Mended.", state="solved")
    answered = (await says("It is not")).json()
    assert (answered["state"], answered["status"]) == ("open", "assigned")
    await done(tickets, "change", "bert", ticket_id=ticket_id, state="closed")
    refused = await says("Hello?")
    assert (refused.status_code, refused.json()["metadata"]["code"]) == (422, "ticket_closed")
    assert (await desk(tickets, "reply", ticket_id=ticket_id, text="Hello?")).json()["metadata"]["code"] == "closed"

    assert await acted(tickets, ticket_id) == [
        ("anna", "assign"),
        ("anna", "priority"),
        ("anna", "category"),
        ("bert", "reply"),
        ("bert", "wait"),
        (user, "answer"),
        (user, "open"),
        ("bert", "reply"),
        ("bert", "solve"),
        (user, "answer"),
        (user, "reopen"),
        ("bert", "close"),
    ]
    got = (await tickets.tool("get_ticket", user_id=user, ticket_id=ticket_id)).json()
    assert [(each["by"], each["text"]) for each in got["messages"]] == [
        ("support", "Which browser?"),
        ("you", "Firefox"),
        ("support", "Mended."),
        ("you", "It is not"),
    ]
    types = ("assigned", "changed", "changed", "replied", "waiting", "answered", "opened", "replied", "solved")
    await told(receiver, ticket_id, *types, "answered", "reopened", "closed")
    ids_ = [headers["webhook-id"] for headers, _ in receiver.of(ticket_id)]
    assert len(set(ids_)) == len(ids_)


async def test_nobody_answers_to_the_ticket_of_another(tickets: TicketServices) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    for caller in ("user_other", ""):
        body = {"user_id": "user_other", "ticket_id": ticket_id, "text": "Let me in"}
        reply = await tickets.tool("reply_to_ticket", caller, **body)
        assert (reply.status_code, reply.json()["metadata"]["code"]) == (404, "no_such_ticket")
    assert (await done(tickets, "show", ticket_id=ticket_id))["messages"] == []


async def test_what_is_added_to_a_waiting_ticket_lets_it_go_on(tickets: TicketServices) -> None:
    user, talk = uuid.uuid4().hex, f"conv_{uuid.uuid4().hex}"
    ticket = (await tickets.create(body=BUG | {"user_id": user}, conversation=talk)).json()
    await done(tickets, "reply", ticket_id=ticket["ticket_id"], text="Since when?")
    again = (await tickets.create(body=BUG | {"user_id": user, "description": "Noon."}, conversation=talk)).json()
    assert (again["ticket_id"], again["existing"]) == (ticket["ticket_id"], True)
    assert (await done(tickets, "show", ticket_id=ticket["ticket_id"]))["state"] == "open"


async def test_a_duplicate_is_closed_and_its_words_stand_in_the_other(tickets: TicketServices) -> None:
    user = uuid.uuid4().hex
    first, second, third = [(await made(tickets, user))["ticket_id"] for _ in range(3)]
    await done(tickets, "reply", ticket_id=third, text="In the third")
    await done(tickets, "merge", ticket_id=third, into=second)
    line = await done(tickets, "merge", ticket_id=second, into=first)
    assert line["state"] == "closed"
    shown = await done(tickets, "show", ticket_id=first)
    assert (shown["merged"], [each["text"] for each in shown["messages"]]) == ([second, third], ["In the third"])
    await tickets.tool("reply_to_ticket", user_id=user, ticket_id=third, text="More of it")
    got = (await tickets.tool("get_ticket", user_id=user, ticket_id=first)).json()
    assert [each["text"] for each in got["messages"]] == ["In the third", "More of it"]
    assert (await tickets.tool("get_ticket", user_id=user, ticket_id=third)).json()["merged_into"] == first
    again = await desk(tickets, "merge", ticket_id=second, into=first)
    assert (again.status_code, again.json()["metadata"]["code"]) == (409, "closed")


@pytest.mark.parametrize(
    ("into", "code"), [("itself", "itself"), ("another's", "other_customer"), ("TCK-999999", "no_such_ticket")]
)
async def test_only_tickets_of_one_customer_are_merged(tickets: TicketServices, into: str, code: str) -> None:
    one, other = [(await made(tickets))["ticket_id"] for _ in range(2)]
    into = {"itself": one, "another's": other}.get(into, into)
    reply = await desk(tickets, "merge", ticket_id=one, into=into)
    assert reply.json()["metadata"]["code"] == code
    assert await acted(tickets, one) == []


# --- what falls due ----------------------------------------------------------------------------------------------

SHIFTED = ("clock_since", "reply_due_at", "solve_due_at", "quiet_since", "next_look_at", "solved_at")


async def later(tickets: TicketServices, database: TicketsDatabase, ticket_id: str, hours: float) -> None:
    """As if so much time had passed, and Restate came with what it had planned."""
    shifts = ", ".join(f"{name} = {name} - $2 * interval '1 h'" for name in SHIFTED)
    await database.rows(f"UPDATE tickets SET {shifts} WHERE ticket_id = $1", ticket_id, hours)
    reply = await tickets.restate.call("TicketLife", "look", {}, key=ticket_id)
    assert reply.status_code == 200, reply.text


async def test_each_due_time_comes_by_itself_once(tickets: TicketServices, receiver: WebhookReceiver) -> None:
    ticket_id = (await made(tickets, description="Production is down"))["ticket_id"]
    data = await told(receiver, ticket_id, "reminded", "escalated", "reminded", "escalated")
    assert sorted((each["clock"], each["who"]) for each in data if "who" in each) == [
        ("first_reply", "switchboard"),
        ("first_reply", "switchboard"),
        ("solution", "switchboard"),
        ("solution", "switchboard"),
    ]
    line = await done(tickets, "show", ticket_id=ticket_id)
    assert line["escalated"]
    assert [(each["who"], each["acting"]) for each in line["history"][1:]] == [("switchboard", "switchboard")] * 4


async def test_what_escalates_becomes_more_urgent(tickets: TicketServices, database: TicketsDatabase) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    await later(tickets, database, ticket_id, 9)
    shown = await done(tickets, "show", ticket_id=ticket_id)
    assert (shown["priority"], shown["history"][-1]["note"]) == ("high", "normal -> high")
    before = await acted(tickets, ticket_id)
    for _ in range(3):
        await later(tickets, database, ticket_id, 0)
    assert await acted(tickets, ticket_id) == before == [("switchboard", "escalate_reply")]


async def test_a_time_that_was_moved_never_fires_at_its_old_moment(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    ticket_id = (await made(tickets, description="Production is down"))["ticket_id"]  # due in two seconds
    await done(tickets, "reply", ticket_id=ticket_id, text="We look", state="waiting")
    looks = "select id from sys_invocation where target_service_name = 'TicketLife' and target_service_key = '{}'"
    query = looks.format(ticket_id) + " and status = 'scheduled'"
    planned = {row["id"] for row in await tickets.restate.query(query)}
    assert planned
    ahead = "SELECT next_look_at > now() + interval '6 d' FROM tickets WHERE ticket_id = $1"

    async def old_ones_came() -> bool:
        left = {row["id"] for row in await tickets.restate.query(query)}
        [row] = await database.rows(ahead, ticket_id)
        return row[0] and len(left & planned) <= 1

    await eventually(old_ones_came, 20)
    await asyncio.sleep(3)  # past both old moments: nothing that could be polled for happens
    assert {action for _, action in await acted(tickets, ticket_id)} <= {"reply", "assign", "wait", "remind_reply"}


@pytest.mark.parametrize("state", ["waiting", "solved"])
async def test_silence_closes_a_ticket(tickets: TicketServices, database: TicketsDatabase, state: str) -> None:
    user = uuid.uuid4().hex
    ticket_id = (await made(tickets, user))["ticket_id"]
    await done(tickets, "reply", ticket_id=ticket_id, text="Well?", state=state)
    await later(tickets, database, ticket_id, 24 * 6)
    assert (await done(tickets, "show", ticket_id=ticket_id))["state"] == state
    await later(tickets, database, ticket_id, 25)
    assert (await done(tickets, "show", ticket_id=ticket_id))["state"] == "closed"
    assert (await acted(tickets, ticket_id))[-1] == ("switchboard", "close")


async def test_a_ticket_of_a_former_version_is_looked_after(tickets: TicketServices, database: TicketsDatabase) -> None:
    """As the former version inserts it, while it drains or after a rollback: without a word of its life."""
    [row] = await database.rows(
        "INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at) "
        "VALUES ($1, 'user_old', 'Old one', 'Old words', 'bug', 'normal', now() + interval '2 s') RETURNING ticket_id",
        uuid.uuid4().hex,
    )
    ticket_id = row["ticket_id"]
    assert ticket_id in await ids(tickets, search="old words")

    async def escalated() -> bool:
        return ("switchboard", "escalate_solve") in [
            (each["who"], each["action"]) for each in (await done(tickets, "show", ticket_id=ticket_id))["history"]
        ]

    await eventually(escalated, 20)


async def test_the_former_version_assigns_and_closes_what_has_a_life(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    change = "UPDATE tickets SET {} WHERE ticket_id = $1"
    await database.rows(change.format("status = 'assigned', assignee = 'erik'"), ticket_id)
    assert (await done(tickets, "show", ticket_id=ticket_id))["state"] == "open"
    await database.rows(change.format("status = 'closed'"), ticket_id)
    shown = await done(tickets, "show", ticket_id=ticket_id)
    assert (shown["state"], shown["due_at"]) == ("closed", "")
    await later(tickets, database, ticket_id, 1000)
    assert await acted(tickets, ticket_id) == []


async def test_whoever_gets_a_waiting_ticket_of_the_former_version_waits_on(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    await done(tickets, "change", ticket_id=ticket_id, state="waiting")
    for change in ("status = 'assigned', assignee = 'erik'", "status = 'open', assignee = NULL"):
        await database.rows(f"UPDATE tickets SET {change} WHERE ticket_id = $1", ticket_id)
        assert (await done(tickets, "show", ticket_id=ticket_id))["state"] == "waiting"


_OLD = """
INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, created_at, sla_due_at)
SELECT $1 || number, 'user_old', 'Old one', 'Words', 'bug', 'normal', now() - interval '9 d', now() + interval '1 d'
FROM generate_series(1, $2::int) AS number RETURNING ticket_id
"""


async def test_tickets_that_nobody_looks_after_are_found_once_however_many_notice(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    finds = "select id from sys_invocation where target_service_name = 'TicketKeeper'"
    before = len(await tickets.restate.query(finds))
    await database.rows(_OLD, uuid.uuid4().hex, 12)
    await asyncio.gather(*(ids(tickets) for _ in range(4)))

    async def all_looked_after() -> bool:
        return not await database.rows("SELECT 1 FROM tickets WHERE next_look_at IS NULL AND state <> 'closed'")

    await eventually(all_looked_after, 20)
    assert len(await tickets.restate.query(finds)) - before <= 3


async def test_nothing_is_planned_for_a_ticket_of_which_nothing_falls_due(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    ticket_id = (await made(tickets))["ticket_id"]
    await later(tickets, database, ticket_id, 100)
    [row] = await database.rows("SELECT next_look_at FROM tickets WHERE ticket_id = $1", ticket_id)
    assert row["next_look_at"].year == 9999
    kept = "select key from state where service_name = 'TicketLife' and service_key = '{}'"
    assert await tickets.restate.query(kept.format(ticket_id)) == []


async def test_an_answer_to_what_is_just_being_merged_goes_to_the_other(
    store: TicketStore, database: TicketsDatabase
) -> None:
    user = uuid.uuid4().hex
    new = CreateSupportTicket.model_validate(BUG | {"user_id": user})
    first, second = [(await store.insert(user, uuid.uuid4().hex, new)).ticket_id for _ in range(2)]
    async with open_pool(database.app, "tickets") as pool, open_pool(database.app, "tickets") as merging:
        changing, act = Changing(pool, usual(), notify=False), Act(f"answer/{user}", user, "customer", "More")
        async with caller_transaction(merging, user) as db:
            await db.execute("SELECT set_config('app.desk', 'staff/anna', true)")
            merge = "UPDATE tickets SET state = 'closed', merged_into = $2 WHERE ticket_id = $1"
            await db.execute(merge, second, first)
            answer = asyncio.create_task(changing.answer(user, second, "More", act))

            async def waits() -> bool:
                return bool(await database.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

            await eventually(waits, 10)
        line = (await answer).line
        assert line
        assert line.ticket_id == first


@pytest.mark.parametrize("first", ["look", "change"])
async def test_nothing_of_a_ticket_of_before_an_upgrade_is_late_at_once(
    postgres: PostgresServer, tmp_path: Path, first: str
) -> None:
    for file in sorted(MIGRATIONS.glob("000[1-6]_*.sql")):
        shutil.copy(file, tmp_path)
    admin = postgres.database(f"ticket_upgrade_{first}")
    await provision(admin, "tickets", dict.fromkeys(ROLES, "secret"))
    address = admin.split("@", 1)[1]
    urls = TicketsDatabase(admin, *(f"postgresql://tickets_{role}:secret@{address}" for role in ROLES))
    await migrate(urls.owner, "tickets", tmp_path)
    [[ticket_id]] = await urls.rows(_OLD, uuid.uuid4().hex, 1)
    await migrate(urls.owner, "tickets", MIGRATIONS)
    async with open_pool(urls.app, "tickets") as pool:
        changing = Changing(pool, usual(), notify=False)
        looked = await changing.look(ticket_id, "look") if first == "look" else None
        change = TicketChange(staff_token="", ticket_id=ticket_id, category="api")
        await changing.change(change, Act("touch", "anna", "staff", ""))
        looks = [each for each in (looked, await changing.look(ticket_id, "another look")) if each]
        assert [each.actions for each in looks] == [[] for _ in looks]
        assert all(0 < each.seconds < 8 * 3600 for each in looks)


_MANY = """
INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at, state, next_look_at)
SELECT 'many' || number, 'user_' || number % 500, 'One', 'Words', 'bug', 'normal', now() + interval '1 d',
    CASE number % 10 WHEN 0 THEN 'solved' WHEN 1 THEN 'open' ELSE 'closed' END, now() + interval '1 d'
FROM generate_series(1, 5000) AS number
"""


async def test_what_is_asked_most_reads_an_index(postgres: PostgresServer) -> None:
    database = await tickets_database(postgres, "ticket_plans_test")
    await database.rows(_MANY)
    await database.rows("ANALYZE tickets")
    async with open_pool(database.app, "tickets") as pool:
        await Changing(pool, usual(), notify=False).left_alone(1)
        await Looking(pool).listed(TicketsQuery(staff_token="", states=["closed"]), "anna")

    async def used() -> bool:
        scans = await database.rows("SELECT indexrelname FROM pg_stat_user_indexes WHERE idx_scan > 0")
        return {"tickets_to_look_at", "tickets_of_state"} <= {row["indexrelname"] for row in scans}

    await eventually(used, 10)
